"""What a campaign's load generators tell, and what they are told: files below `campaign/` of a run directory.

```
campaign/<generator>.json             the `Pool` that its users come from
campaign/<generator>.legs.jsonl       a `LegRecord` a line: each side of each call, when it has ended
campaign/<generator>.accounts.jsonl   a `RegistrationRecord` a line
campaign/<generator>.callers.jsonl    a `CallerRecord` a line; of the generator in the telephone network alone
campaign/campaign.json                the `CampaignRecord`
campaign/usage.jsonl                  a `Usage` a line: who used the processor
campaign/queues.jsonl                 a `QueueUse` a line: what a line's queues sent
```
Times are seconds since the epoch; statuses are SIP's, 0 where nobody answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from uclab.plan.schema.telephony import Account, RegistrationTiming

FOLDER = "campaign"
EFFECTIVE = frozenset({480, 486, 600, 603})
"""The called side was reached, and was not there or did not want (RFC 6076 section 4.7)."""
OUTSIDE = "pstn"
"""Kind of the telephone network's side of a call. Sides of a campaign's users that called it, or were called
from it, have a kind that ends in `-outside`."""
POOL_VARIABLE = "UCLAB_POOL"
"""Environment variable that names a generator's pool file."""


def over_trunk(kind: str) -> bool:
    """Whether a side of that kind was in a call between the cloud and the telephone network."""
    return kind == OUTSIDE or kind.endswith("-outside")


@dataclass(frozen=True)
class LoadUser:
    """A user of a load generator: an address on it, and an account."""

    account: Account
    address: str
    tone_hz: int
    """What it sends as voice, and its peer looks for."""


@dataclass(frozen=True)
class Registrar:
    """A session controller as users reach it."""

    host_name: str
    address: str
    port: int


OPUS_PAYLOAD = 107
"""RTP payload type of load generators' Opus; a dynamic one (RFC 3551 section 3)."""


PACKET_MS = (20, 40, 60)
"""Packet times that load generators keep: multiples of their pacer's."""


@dataclass(frozen=True)
class PoolCodec:
    """A codec that load generators speak."""

    name: Literal["G711", "Opus"] = "G711"
    packet_ms: int = 20
    opus_kbps: int = 32


G711 = PoolCodec()


@dataclass(frozen=True)
class TrunkEnd:
    """The telephone network's end of the trunk, for the generator that plays it."""

    host_name: str
    """Its own, as its certificate shows it."""
    port: int
    """Where session controllers call it."""
    controller: Registrar
    """The session controller's end."""
    callers: tuple[str, ...]
    """Host names of all session controllers that may call."""
    certificate: str
    key: str
    """Files (PEM)."""


@dataclass(frozen=True)
class Pool:
    """What a load generator's users need to know."""

    generator: str
    domain: str
    registrars: tuple[Registrar, ...]
    """The preferred one first."""
    ca_file: str
    dscp_signalling: int
    dscp_media: int
    registration: RegistrationTiming
    users: tuple[LoadUser, ...]
    colleagues: tuple[str, ...]
    """Extensions of all users of the campaign."""
    outside: tuple[str, ...]
    """Telephone numbers in the telephone network that answer; none where nobody plays it."""
    records: str
    """Path of the records' files, without their endings."""
    direct: tuple[str, ...] = ()
    """How the telephone network dials each of the `colleagues`: the direct number, or else the extension."""
    trunk: TrunkEnd | None = None
    """Of the generator in the telephone network: its users are numbers there, and do not register."""
    codec: PoolCodec = G711
    """What calls are offered with."""


@dataclass(frozen=True)
class LegRecord:
    """One side of a call as its party experienced it."""

    user: str
    peer: str
    role: Literal["caller", "callee"]
    kind: str
    status: int
    """Final status of its INVITE."""
    started_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    request_delay_ms: float | None = None
    """Session request delay (RFC 6076 section 4.3); of the caller."""
    setup_ms: float | None = None
    """From INVITE to 200; of the caller."""
    media_port: int | None = None
    """UDP port of the session controller towards this side."""
    sent: int = 0
    received: int = 0
    lost: int = 0
    unauthentic: int = 0
    """Packets that the other side's key does not open (SRTP)."""
    heard: bool | None = None
    """Whether the other side's signal was in what it sent; None without media."""
    error: str = ""
    offers: int = 0
    """How often either side described its media again, as for a hold: media stops and moves on purpose."""
    address: str = ""
    """Where the user sits: whose connection has the keys of this side."""


@dataclass(frozen=True)
class RegistrationRecord:
    """One attempt to register."""

    user: str
    at: float
    status: int
    delay_ms: float
    """Registration request delay (RFC 6076 section 4.1)."""
    error: str = ""


@dataclass(frozen=True)
class CallerRecord:
    """Somebody in the telephone network has begun: nobody who registers."""

    user: str
    at: float
    present: int
    """How many were there by then."""


@dataclass(frozen=True)
class GeneratorRecord:
    """How a generator's program ended."""

    node: str
    status: int | None
    """Exit status, minus the signal; None: it had to be ended because it did not end by itself."""
    words: str = ""
    """The end of its log, where the status is not 0."""
    trouble: str = ""
    """Why its records are not whole, of one on another machine; empty where they are."""


@dataclass(frozen=True)
class CampaignRecord:
    """What was wanted, and how it ended."""

    profile: str
    users: int
    calls_expected: bool
    """Whether users of this profile call each other: then it is a gap when none did."""
    generators: tuple[GeneratorRecord, ...]


@dataclass(frozen=True)
class Usage:
    """Processor time of a group of processes during the second that ended `at`, per cent of one core."""

    at: float
    group: str
    percent: float


@dataclass(frozen=True)
class ClassUse:
    """A queue's class since the record before: what it sent, what it had no room for, and what waits in it
    now. Rates are kbit/s, the rest packets."""

    name: str
    guaranteed_kbps: float
    """As the kernel has it."""
    sent_kbps: float
    """Counted with the Ethernet header, without FCS."""
    dropped: int
    waiting: int


@dataclass(frozen=True)
class QueueUse:
    """The queue at one end of a line, once a second; less often in long campaigns."""

    at: float
    tap: str
    """Of the interface that it stands before."""
    classes: tuple[ClassUse, ...]
