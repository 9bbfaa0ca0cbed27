"""What is said of calls: their media hop by hop, their quality, their signalling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class HopRecord:
    """One tap on the walk of a call's media, aggregated over its packets."""

    tap: str
    dscp: int | None
    """Of nearly all packets; None when nothing was seen."""
    pcp: int | None
    """802.1p priority; None where the frame is untagged."""
    vlan: int | None
    delay_us: float
    """Median one-way delay from the first tap."""
    packets: int
    lost: int
    """Packets that the tap before had and this one had not."""
    leg: Literal["up", "down", "direct"] = "up"
    """`up`: towards the session controller, `down`: from it, `direct`: past it."""
    mixed: int = 0
    """Packets whose marking differs from `dscp` and `pcp`, which are the majority's."""
    service_vlan: int | None = None
    service_pcp: int | None = None
    """VLAN and priority of a service tag (802.1ad); None where there is none."""
    label: int | None = None
    tc: int | None = None
    """MPLS label and its traffic class; None where there is none."""
    up: int | None = None
    """Wi-Fi user priority on the air, where the frame's tag has no 802.1p priority."""


@dataclass(frozen=True)
class Walk:
    """One direction of one call, hop by hop."""

    call: str
    direction: Literal["caller_to_callee", "callee_to_caller"]
    hops: tuple[HopRecord, ...]


@dataclass(frozen=True)
class MediaQuality:
    """Quality of one direction from the packets: RFC 3550 jitter, one-way delay tap to tap, loss, ITU-T
    G.107 MOS."""

    packets: int
    lost: int
    loss_pct: float
    jitter_ms: float | None
    """None where nothing arrived, as `delay_ms`."""
    delay_ms: float | None
    max_gap_ms: float
    r_factor: float
    mos: float
    max_jitter_ms: float = 0.0
    """Highest value of RFC 3550's running estimate; `jitter_ms` is its mean."""
    worst_jitter_ms: float = 0.0
    """Highest mean over five seconds (a receiver's report interval): this is held against the policy."""
    max_delay_ms: float = 0.0
    before_open: int = 0
    """Packets sent in the first second, before the way was open (NAT, call set-up); not counted as lost."""

    @property
    def judged_jitter_ms(self) -> float | None:
        """What is held against the policy's limit; None where nothing arrived."""
        return None if self.jitter_ms is None else self.worst_jitter_ms


@dataclass(frozen=True)
class JudgedCall:
    """One call with what the captures say of it."""

    id: str
    caller: str
    callee: str
    kind: str
    established: bool
    setup_ms: float | None
    seconds: float
    caller_to_callee: MediaQuality | None
    callee_to_caller: MediaQuality | None


SeriesKind = Literal[
    "delay_ms",
    "jitter_ms",
    "loss_pct",
    "kbps",
    "calls",
    "registrations",
    "setup_ms",
    "media_loss_pct",
    "cpu_pct",
    "queue_kbps",
    "queue_guaranteed_kbps",
    "queue_dropped",
]
"""From `calls` on: of a campaign."""


@dataclass(frozen=True)
class Series:
    """A measured figure over time, one value a step; None where nothing was seen. For plots."""

    kind: SeriesKind
    subject: str
    """`<call>:<direction>` for media, a tap for `kbps` and queues."""
    label: str
    """For `kbps` the traffic class by DSCP (`EF`, `AF31`, `0`, ...), for queues the class; else a tap or
    empty."""
    start: float
    """Seconds since the epoch of the first value."""
    step_s: float
    values: tuple[float | None, ...]
    direction: Literal["out", "in", ""] = ""
    """For `kbps`: what leaves the tap's device there, or what comes to it."""


@dataclass(frozen=True)
class LadderMessage:
    """One SIP message, or the first media packet of a stream, for a ladder diagram."""

    time: float
    source: str
    target: str
    text: str
    """Start line, e.g. `INVITE sip:102@ucaas.test` or `200 OK (INVITE)`."""


@dataclass(frozen=True)
class Ladder:
    """The signalling of one call as the session controller saw it, decrypted."""

    call: str
    messages: tuple[LadderMessage, ...]
