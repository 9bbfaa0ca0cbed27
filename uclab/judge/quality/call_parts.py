"""A direction of a call in the parts that limits of loss hold for: the path up from its sender's site, the
cloud, and the path down to its receiver's; each with the packets lost by second (C8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from uclab.judge.evidence.network import LEGS, Leg
from uclab.judge.measure.clusters import Clusters
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Stream, media_time
from uclab.judge.result.judgement import Evidence
from uclab.plan.paths.line_loss import INTERRUPTED, expected_loss
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import CallRecord, Direction

CLOUD = "cloud"
"""The place of all that is lost neither on the way from a site nor on the way to one."""


@dataclass(frozen=True)
class Part:
    """What one direction of a call lost on one of its paths."""

    call: CallRecord
    direction: Direction
    stream: Stream
    place: str
    """`SITE/LINE up` or `down`, or the cloud."""
    leg: Leg | None
    """None for the cloud."""
    seconds: Mapping[int, tuple[float, float]]
    """Second since the epoch -> (packets lost, packets sent)."""
    planned_effect: float
    """Design effect that the line's bursts have by its profile."""

    @property
    def clusters(self) -> Clusters:
        """By second."""
        return Clusters.of([self.seconds])


@dataclass(frozen=True)
class DirectionSeen:
    """A direction of a call of which media arrived."""

    call: CallRecord
    direction: Direction
    stream: Stream
    sender: Endpoint
    receiver: Endpoint
    parts: tuple[Part, ...]
    unseen: str | None
    """Why loss cannot be told apart by path, where it cannot."""


def directions_seen(evidence: RunEvidence) -> Iterator[DirectionSeen]:
    """Of all calls whose media is a measure of the network."""
    for call, direction, sender, receiver in evidence.call_directions():
        stream = evidence.stream(call, direction)
        if call.established and call.kind not in INTERRUPTED and stream is not None and stream.received:
            taps = [
                tap
                for endpoint in (sender, receiver)
                if (tap := evidence.network.first_tap.get(endpoint.name))
            ]
            gap = evidence.windows.first_gap((*taps, *evidence.network.controller_taps), *media_time(stream))
            parts, unseen = ((), gap) if gap else _parts(evidence, call, direction, stream, sender, receiver)
            yield DirectionSeen(call, direction, stream, sender, receiver, parts, unseen)


def in_evidence(seen: Iterable[DirectionSeen | Part], tap: str | None = None) -> Evidence:
    """That a finding counts these directions of calls."""
    return Evidence(tap, directions=tuple(f"{direction.call.id}:{direction.direction}" for direction in seen))


def blamed(
    evidence: RunEvidence, seen: Iterable[DirectionSeen | Part], blame: str | None, where: str
) -> tuple[str | None, str]:
    """Who is to blame for what these directions lost: where a relay was led astray, who did that."""
    for direction in seen if blame in evidence.network.controller_nodes else ():
        if (taken := evidence.taken(direction.call, direction.direction)) is not None:
            return taken.intruder.blame, f"{where}; {taken.words}"
    return blame, where


def _parts(
    evidence: RunEvidence,
    call: CallRecord,
    direction: Direction,
    stream: Stream,
    sender: Endpoint,
    receiver: Endpoint,
) -> tuple[tuple[Part, ...], str | None]:
    number = evidence.seen.media.streams.index(stream)
    came, went = _anchored(evidence, number, "up"), _anchored(evidence, number, "down")
    if came is None or went is None:
        return (), "media was not seen at a session controller"
    sent = {second: figures.sent for second, figures in stream.seconds.items()}
    arrived = {second: figures.received for second, figures in stream.seconds.items()}
    up, down = _place(evidence, number, sender, "up"), _place(evidence, number, receiver, "down")
    lost: dict[str, dict[int, tuple[float, float]]] = {up: {}, CLOUD: {}, down: {}}
    early = stream.early
    for second in sorted(sent):
        here, counts = Counter[str](), Counter[str]()
        counts[CLOUD] = sent[second]
        for place, before, after in ((up, sent, came), (CLOUD, came, went), (down, went, arrived)):
            left = before.get(second, 0)
            here[place] += max(left - after.get(second, 0), 0)
            counts[place] = max(counts[place], left)
        for place in (CLOUD, down, up) if second <= stream.opened_s else ():
            before_open = min(early, here[place])  # the way was not open yet: no loss of anybody
            early -= before_open
            here[place] -= before_open
            counts[place] -= before_open
        for place, seconds in lost.items():
            seconds[second] = (float(min(here[place], counts[place])), float(counts[place]))
    legs: dict[str, Leg] = {up: "up", down: "down"}
    effects = {
        up: expected_loss(evidence.network.plan, sender.name, "up").design_effect,
        down: expected_loss(evidence.network.plan, receiver.name, "down").design_effect,
    }
    return tuple(
        Part(
            call,
            direction,
            stream,
            place,
            legs.get(place) if place != CLOUD else None,
            seconds,
            effects.get(place, 1.0),
        )
        for place, seconds in lost.items()
    ), None


def _anchored(evidence: RunEvidence, number: int, leg: Leg) -> dict[int, int] | None:
    """Packets of a stream at the first session controller that it reached, or when it left the last one, by
    the second in which they were sent."""
    media = evidence.seen.media
    found = [
        (media.hops[key].median_us, seconds)
        for key, seconds in media.anchored.items()
        if key[0] == number and LEGS[key[2]] == leg and key in media.hops
    ]
    if not found:
        return None
    return (min if leg == "up" else max)(found, key=lambda candidate: candidate[0])[1]


def _place(evidence: RunEvidence, number: int, endpoint: Endpoint, leg: Leg) -> str:
    """The site's line that carried most of a stream, as a path; the cloud for who sits in none of the
    sites."""
    ways, media = evidence.network.ways, evidence.seen.media
    site = ways.site_of.get(endpoint.node, "")
    if endpoint.kind == "pstn-phone" or site not in ways.lines:
        return CLOUD
    carried = {
        line.name: sum(
            hop.packets
            for (stream_number, _, _), hop in media.hops.items()
            if stream_number == number and hop.tap == line.tap and hop.leg == leg
        )
        for line in ways.lines[site]
    }
    line = max(carried, key=carried.__getitem__, default="")
    return f"{site}/{line} {leg}" if line and carried[line] else f"{site} {leg}"
