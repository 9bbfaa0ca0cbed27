"""Media of a call through an incident: silences at the receiver, lines that carried it, MOS by the second
(V2)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from uclab.judge.evidence.network import LEGS, Leg
from uclab.judge.measure import emodel
from uclab.judge.measure.media_gaps import Span, joined, longest, overlap_ns, silences
from uclab.judge.measure.run_evidence import DIRECTIONS, RunEvidence
from uclab.judge.measure.streams import Second, Stream
from uclab.judge.result.incidents import Flow, Silence, Stretch, Way
from uclab.plan.paths.reachability import Line
from uclab.records.run import CallRecord, Direction, Incident

BEFORE_S = 1.0
"""Silences that begin so long before the failure count as its own: the clock of whoever broke it is not
the wire's."""
TURN_S = 0.1
"""So long before restoration it begins: the last packet before a silence is older than what made it."""
AWAY_NS = 1_000_000_000
"""A direction that is silent for less over the restoration was not away."""
SHOWN_BEFORE_S = 3.0
"""How much of the time before the failure is kept for drawings."""
STEADY_NS = 250_000_000
"""A line that pauses for less has gone on carrying."""
END_NS = 1_000_000_000
"""Media that was there in the last second is there."""


def ns(seconds: float) -> int:
    """Nanoseconds since the epoch."""
    return int(seconds * 1e9)


def turn_ns(incident: Incident) -> int:
    """Silences that begin before are the failure's, those that begin later the restoration's."""
    return ns(incident.healed_at - TURN_S)


def streams_of(evidence: RunEvidence, call: CallRecord, direction: Direction) -> list[Stream]:
    """All streams of one direction of a call: a re-INVITE may have begun a new one."""
    return evidence.streams.get((call.id, direction), [])


def flow_of(evidence: RunEvidence, call: CallRecord, direction: Direction) -> Flow:
    """Whether media leaves a site, comes into one, or both."""
    at_sites = {endpoint.name for endpoint in evidence.network.site_endpoints}
    ends = [evidence.network.endpoint_called(name) in at_sites for name in (call.caller, call.callee)]
    sender, receiver = ends if direction == "caller_to_callee" else reversed(ends)
    return "within" if sender and receiver else "out" if sender else "in"


def ways_of(evidence: RunEvidence, incident: Incident, call: CallRecord) -> Iterator[Way]:
    """Both directions of a call."""
    for direction in DIRECTIONS:
        yield way_of(evidence, incident, call, direction)


def way_of(evidence: RunEvidence, incident: Incident, call: CallRecord, direction: Direction) -> Way:
    """One direction of a call."""
    streams = streams_of(evidence, call, direction)
    failed, turn, ended = ns(incident.failed_at), turn_ns(incident), ns(incident.ended_at)
    presence = joined(span for stream in streams for span in stream.heard.presence)
    quiet = silences(presence, ended)
    began = bool(presence) and presence[0][0] < failed
    flow = flow_of(evidence, call, direction)
    first = math.floor(incident.failed_at - SHOWN_BEFORE_S)
    return Way(
        direction=direction,
        flow=flow,
        silences=tuple(_seconds(span) for span in quiet if span[1] >= ns(first)),
        gap_ms=_length(longest(quiet, ns(incident.failed_at - BEFORE_S), turn)) if began else None,
        failback_gap_ms=_length(longest(quiet, turn, ended)) if began else None,
        returned=began and not any(begin < turn <= end and end - begin >= AWAY_NS for begin, end in quiet),
        alive=overlap_ns(presence, ended - END_NS, ended) > 0,
        stretches=tuple(stretches(evidence, streams, "down" if flow == "in" else "up")),
        mos_start=float(first),
        mos=tuple(mos_by_second(streams, first, math.ceil(incident.ended_at))),
    )


def _seconds(span: Span) -> Silence:
    return Silence(span[0] / 1e9, span[1] / 1e9)


def _length(span: Span | None) -> float:
    return 0.0 if span is None else round((span[1] - span[0]) / 1e6, 1)


def carried(evidence: RunEvidence, streams: Iterable[Stream], leg: Leg) -> dict[str, list[Span]]:
    """Tap of a site's line -> when these streams passed it, on the way to the cloud (`up`) or from it
    (`down`)."""
    numbers = {evidence.seen.media.streams.index(stream) for stream in streams}
    found: dict[str, list[Span]] = {}
    for (number, tap, flow_leg), timeline in evidence.seen.media.passed.items():
        if number in numbers and LEGS[flow_leg] == leg:
            found.setdefault(evidence.seen.media.labels[tap], []).extend(timeline.presence)
    return {tap: joined(spans, STEADY_NS) for tap, spans in found.items()}


def stretches(evidence: RunEvidence, streams: Sequence[Stream], leg: Leg) -> Iterator[Stretch]:
    """For how long each line carried these streams, in order of time."""
    names = {line.tap: line.name for lines in evidence.network.ways.lines.values() for line in lines}
    found = [
        Stretch(names[tap], begin / 1e9, end / 1e9)
        for tap, spans in carried(evidence, streams, leg).items()
        for begin, end in spans
    ]
    yield from sorted(found, key=lambda stretch: stretch.begin)


def busiest(lines: Sequence[Line], spans: dict[str, list[Span]], begin_ns: int, end_ns: int) -> str | None:
    """The line that carried most of a window; None where none carried anything."""
    shares = {line.name: overlap_ns(spans.get(line.tap, []), begin_ns, end_ns) for line in lines}
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best is not None and shares[best] > 0 else None


def mos_by_second(streams: Sequence[Stream], first: int, last: int) -> Iterator[float | None]:
    """MOS of what was sent in each second from `first` to before `last`; 1 where nothing of it arrived."""
    for second in range(first, last):
        # in a stream's first second its way was opened
        parts = [s.seconds[second] for s in streams if second in s.seconds and second > min(s.seconds)]
        codec = emodel.BY_PAYLOAD_TYPE.get(streams[0].payload_type, emodel.G711) if streams else emodel.G711
        yield _mos(parts, codec)


def _mos(parts: Sequence[Second], codec: emodel.Codec) -> float | None:
    sent, received = sum(part.sent for part in parts), sum(part.received for part in parts)
    if not sent:
        return None
    if not received:
        return 1.0
    delay_ms = sum(part.delay_sum_ms for part in parts) / received
    jitter_ms = sum(part.jitter_sum_ms for part in parts) / received
    loss_pct = 100.0 * max(sent - received, 0) / sent
    return round(emodel.mos(emodel.r_factor(delay_ms + codec.packet_ms + 2 * jitter_ms, loss_pct, codec)), 2)
