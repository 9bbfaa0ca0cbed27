"""What is kept of media: a stream at its receiver, and at each tap (hop) on its way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from uclab.capture.dissect import SipMessage
from uclab.capture.packets import I64
from uclab.judge.evidence.load_files import Leg as LoadLeg
from uclab.judge.evidence.network import Leg, PlannedNetwork
from uclab.judge.evidence.run import Run
from uclab.judge.measure.jitter import Jitter
from uclab.judge.measure.media_gaps import Timeline
from uclab.judge.measure.srtp import KeyRing

SAMPLES = 512
"""Delays kept of each stream at each tap. Longer streams are thinned by sequence number, to the same packets
at every tap, so that the differences between taps are those of single packets."""
REPORT_S = 5
"""Seconds between a receiver's reports (RFC 3550 section 6.2)."""
RECENT = 512
"""Packets at a tap that are remembered, so that one that passes again is known: ten seconds of voice."""
REPLAYED_US = 500_000.0
"""So much later than others of its stream nothing on the way repeats a packet by itself; somebody who kept it
does."""
GUARD_NS = 100_000_000
"""Packets sent in the last 100 ms before hang-up may meet a session that is already gone."""


NOBODY = -2
"""The callee of a load generator's leg: the other side has a leg of its own."""


@dataclass(frozen=True)
class CallWindow:
    """When a call's media counts: from its answer to its end. Parties are endpoint indices."""

    call: str
    caller: int
    callee: int
    begin_ns: int
    answered_ns: int
    end_ns: int
    ports: frozenset[int] = frozenset()
    """The session controller's media ports that the call's SDP names."""


@dataclass
class Second:
    """What a receiver had of a stream in one second (of sending)."""

    sent: int = 0
    received: int = 0
    delay_sum_ms: float = 0.0
    jitter_sum_ms: float = 0.0

    @property
    def jitter_ms(self) -> float:
        """Mean of the running estimate."""
        return self.jitter_sum_ms / self.received if self.received else 0.0


@dataclass
class Stream:
    """An SSRC that an endpoint sends, with what its receiver had of it."""

    ssrc: int
    sender: int
    payload_type: int
    first_ns: int
    window: CallWindow | None
    receiver: int = -1
    sent: int = 0
    """Packets that count."""
    received: int = 0
    early: int = 0
    """Packets sent in the opening second before the first one that arrived."""
    opened_s: int = -1
    """The second since the epoch in which the first packet that arrived was sent."""
    delay_sum_ms: float = 0.0
    delay_max_ms: float = 0.0
    gap_max_ms: float = 0.0
    duplicates: int = 0
    jitter: Jitter = field(default_factory=Jitter)
    seconds: dict[int, Second] = field(default_factory=dict)
    heard: Timeline = field(default_factory=Timeline)
    """When packets arrived at the receiver."""
    _opening_sent: int = 0
    _last_arrival: int = 0

    @property
    def counted(self) -> int:
        """Packets that should have arrived; none of a stream that ended unheard in the opening second: its
        way may not have been open yet."""
        if not self.received and self.sent <= self._opening_sent:
            return 0
        return max(self.sent - self.early, 0)

    @property
    def lost(self) -> int:
        return max(self.counted - self.received, 0)

    @property
    def worst_jitter_ms(self) -> float:
        """Highest mean of the running estimate over `REPORT_S` seconds, as a receiver's reports would show
        it."""
        worst = 0.0
        for first in self.seconds:
            part = [self.seconds[s] for s in range(first, first + REPORT_S) if s in self.seconds]
            received = sum(second.received for second in part)
            if received:
                worst = max(worst, sum(second.jitter_sum_ms for second in part) / received)
        return worst

    @property
    def direction(self) -> str | None:
        """Of its call: `caller_to_callee` when the caller sends it."""
        if self.window is None:
            return None
        return "caller_to_callee" if self.sender == self.window.caller else "callee_to_caller"


def media_time(stream: Stream) -> tuple[int, int]:
    """From when to when a stream's packets count, in nanoseconds since the epoch."""
    window = stream.window
    return (window.answered_ns, window.end_ns) if window is not None else (stream.first_ns, 1 << 62)


@dataclass
class Hop:
    """One stream at one tap, on one leg."""

    tap: str
    leg: Leg
    packets: int = 0
    """Each counted once, however often it passed."""
    repeated: int = 0
    """How often one passed that had passed before."""
    replayed: int = 0
    """How often that was much later."""
    first_ns: int = 1 << 62
    every: int = 1
    """Only sequence numbers that this divides are sampled."""
    seconds: dict[int, int] = field(default_factory=dict)
    """Second since the epoch -> packets."""
    seqs: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    delays_us: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    _recent: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

    def add(
        self, time_ns: I64, seq: npt.NDArray[np.int32], delay_us: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        """Takes further packets; which of them had not passed before."""
        fresh = self._fresh(seq)
        if not fresh.all():
            usual_us = self.median_us if len(self.delays_us) else float(np.median(delay_us[fresh]))
            self.repeated += int((~fresh).sum())
            self.replayed += int((delay_us[~fresh] - usual_us > REPLAYED_US).sum())
            time_ns, seq, delay_us = time_ns[fresh], seq[fresh], delay_us[fresh]
        if len(seq):
            self._take(time_ns, seq, delay_us)
        return fresh

    def _fresh(self, seq: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        first = np.zeros(len(seq), np.bool_)
        first[np.unique(seq, return_index=True)[1]] = True
        first &= ~np.isin(seq, self._recent)
        self._recent = np.concatenate((self._recent, seq[first]))[-RECENT:]
        return first

    def _take(self, time_ns: I64, seq: npt.NDArray[np.int32], delay_us: npt.NDArray[np.float64]) -> None:
        self.packets += len(seq)
        self.first_ns = min(self.first_ns, int(time_ns[0]))
        for second, count in zip(*np.unique(time_ns // 1_000_000_000, return_counts=True), strict=True):
            self.seconds[int(second)] = self.seconds.get(int(second), 0) + int(count)
        chosen = seq % self.every == 0
        self.seqs = np.concatenate((self.seqs, seq[chosen]))
        self.delays_us = np.concatenate((self.delays_us, delay_us[chosen]))
        while len(self.seqs) > SAMPLES and self.every < 1 << 14:
            self.every *= 2
            kept = self.seqs % self.every == 0
            self.seqs, self.delays_us = self.seqs[kept], self.delays_us[kept]

    @property
    def median_us(self) -> float:
        """Median one-way delay from the sender's first tap."""
        return float(np.median(self.delays_us)) if len(self.delays_us) else 0.0


def window_for(windows: Sequence[CallWindow], sender: int, time_ns: int, port: int) -> CallWindow | None:
    """The call to which a stream that begins now belongs.

    Of the sender's calls the one whose SDP named the port; without SDP, the one that began last. A load
    generator has many calls at once: there only the port tells.
    """
    own = [
        w
        for w in windows
        if sender in (w.caller, w.callee)
        and w.begin_ns <= time_ns <= w.end_ns + GUARD_NS
        and (w.callee != NOBODY or port in w.ports)
    ]
    return max(own, key=lambda w: (port in w.ports, w.begin_ns), default=None)


def call_windows(
    run: Run, network: PlannedNetwork, messages: Sequence[SipMessage], ring: KeyRing
) -> list[CallWindow]:
    """When the media of each call counts. It ends with the BYE at the session controller, where that was
    seen."""
    index = {endpoint.name: number for number, endpoint in enumerate(network.endpoints)}
    byes: dict[str, float] = {}
    for message in messages:
        if message.start_line.startswith("BYE "):
            byes[message.call_id] = min(message.at.time, byes.get(message.call_id, message.at.time))
    windows = []
    for call in run.calls:
        caller, callee = (index.get(network.endpoint_called(name), -1) for name in (call.caller, call.callee))
        ends = [end for end in (call.ended_at, byes.get(call.sip_call_id or "")) if end is not None]
        windows.append(
            CallWindow(
                call=call.id,
                caller=caller,
                callee=callee,
                begin_ns=int(call.started_at * 1e9),
                answered_ns=int((call.answered_at or call.started_at) * 1e9),
                end_ns=int(min(ends) * 1e9) - GUARD_NS if ends else 1 << 61,
                ports=frozenset(port for port, ids in ring.call_ids.items() if call.sip_call_id in ids),
            )
        )
    return windows + leg_windows(run.load.legs, index)


def leg_windows(legs: Iterable[LoadLeg], endpoint_index: dict[str, int]) -> list[CallWindow]:
    """When what each leg's own party sends counts: its stream is told by the session controller's port."""
    return [
        CallWindow(
            call=leg.id,
            caller=endpoint_index.get(leg.generator, -1),
            callee=NOBODY,
            begin_ns=int(leg.record.started_at * 1e9),
            answered_ns=int(leg.record.answered_at * 1e9),
            end_ns=int(leg.record.ended_at * 1e9) - GUARD_NS,
            ports=frozenset({leg.record.media_port}),
        )
        for leg in legs
        if leg.record.answered_at and leg.record.ended_at and leg.record.media_port is not None
    ]
