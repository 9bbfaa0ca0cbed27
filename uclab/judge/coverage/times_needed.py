"""Which taps a finding rests on, and over which time: what a tap did not see then was not shown, and nobody
is blamed for it.

A finding that something was wrong where it was seen stands, whatever other taps missed; but who did it is
said only where the taps in front saw enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.tap_windows import EVER_NS, call_time
from uclab.judge.path.hop_trace import passed_through
from uclab.judge.result.claim import each_call
from uclab.judge.result.incidents import JudgedIncident
from uclab.judge.result.judgement import Finding
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import CallRecord, Direction

BEFORE_NS = 5_000_000_000
"""So long before a failure its calls are looked at."""


@dataclass(frozen=True)
class Need:
    """What must have been seen: at these taps, between these times (nanoseconds since the epoch)."""

    taps: tuple[str, ...]
    begin_ns: int = 0
    end_ns: int = EVER_NS
    by_absence: bool = False
    """It fails because something was not seen; else because something was."""
    way: bool = False
    """The taps follow each other, upwards."""


def limited(
    evidence: RunEvidence, incidents: Sequence[JudgedIncident], findings: Iterable[Finding]
) -> Iterator[Finding]:
    """The findings, those not shown that rest on what a tap did not see."""
    for finding in findings:
        if finding.verdict not in ("pass", "fail"):
            yield finding
            continue
        if finding.verdict == "fail" and finding.evidence.tap in evidence.seen.misnamed:
            # what is wrong there was seen elsewhere, by the tap whose name this one has
            reason = f"{finding.evidence.tap} {evidence.seen.misnamed[finding.evidence.tap]}"
            observed = f"{reason}; elsewhere: {finding.observed}"
            yield replace(finding, verdict="not-shown", observed=observed, blame=None)
            continue
        needs = [need for part in each_call(finding) for need in needs_of(evidence, incidents, part)]
        gaps = [
            (need, gap)
            for need in needs
            if (gap := evidence.windows.first_gap(need.taps, need.begin_ns, need.end_ns)) is not None
        ]
        if not gaps and finding.verdict == "pass":
            yield finding
        elif gaps and (finding.verdict == "pass" or gaps[0][0].by_absence):
            reason = f"{gaps[0][1]}; elsewhere: {finding.observed}"
            yield replace(finding, verdict="not-shown", observed=reason, blame=None)
        else:
            ways = [need for need in needs if need.way and finding.evidence.tap in need.taps]
            down = finding.evidence.leg == "down"  # then it is the receiver's way
            yield _without_guess(evidence, finding, ways[-1 if down else 0]) if ways else finding


def _without_guess(evidence: RunEvidence, finding: Finding, need: Need) -> Finding:
    """Blames the one device between the last tap that saw enough and the first wrong one; nobody where there
    are several."""
    if finding.blame is None or finding.evidence.tap is None:
        return finding
    leg = finding.evidence.leg
    ways: dict[str | None, tuple[str, ...]] = {"up": need.taps, "down": need.taps[::-1]}
    for way in (ways[leg],) if leg in ways else ways.values():
        in_front = list(way[: way.index(finding.evidence.tap)])
        unseen = []
        while in_front and (gap := _nothing_seen(evidence, in_front[-1], need)):
            unseen.append((in_front.pop(), gap))
        if unseen:
            span = (*in_front[-1:], *(tap for tap, _ in reversed(unseen)), finding.evidence.tap)
            observed = f"{finding.observed}; in front of it {unseen[0][1]}"
            return replace(finding, observed=observed, blame=passed_through(evidence.network, span))
    return finding


def _nothing_seen(evidence: RunEvidence, tap: str, need: Need) -> str | None:
    """Why a tap cannot say what a packet was like when it passed."""
    gap = evidence.windows.gap(tap, need.begin_ns, need.end_ns)
    return gap if gap or evidence.seen.counts.at(tap) else f"{tap} saw no frame at all"


def needs_of(evidence: RunEvidence, incidents: Sequence[JudgedIncident], finding: Finding) -> Iterator[Need]:
    """What a finding rests on; nothing where it does not rest on captures."""
    family = finding.id.partition(".")[0]
    if finding.id in OF_CALLS:
        yield from _of_call(evidence, finding)
    elif finding.id in OF_RUN:
        taps, by_absence = OF_RUN[finding.id]
        way = taps is _way_of_subject
        yield Need(tuple(taps(evidence, finding)), by_absence=by_absence, way=way)
    elif family == "peering" and finding.evidence.tap is not None:
        yield Need((finding.evidence.tap,), by_absence="no BFD" in finding.observed)
    elif family == "failover":
        yield from _of_incidents(evidence, incidents, finding)
    if finding.id == "quality.overload" and finding.verdict == "pass":
        nodes = {node for bulk in evidence.network.plan.bulk for node in (bulk.source_node, bulk.target_node)}
        yield Need(tuple(tap.label for tap in evidence.network.plan.taps if tap.namespace in nodes))


# -- of one direction of a call
# ---------------------------------------------------------------------------------------------------

OF_CALLS = {
    "media.srtp": "proof",
    "media.keys": "proof",
    "hub.media": "proof",
    "quality.voice": "ends",
    "quality.overload": "ends",
    "qos.dscp": "way",
    "qos.pcp": "way",
    "qos.mpls-tc": "way",
    "qos.wmm": "way",
    "path.as-planned": "way",
    "vlan.way": "way",
}
"""What a finding of a call needs: its `way`, both `ends`, or ends and session controller (`proof`)."""
BY_ABSENCE = ("hub.media", "quality.voice", "quality.overload")


def _of_call(evidence: RunEvidence, finding: Finding) -> Iterator[Need]:
    name, _, direction = finding.subject.partition(":")
    for call, call_direction, sender, receiver in evidence.call_directions():
        if call.id == name and direction.split(":")[0] == call_direction:
            yield from _of_direction(evidence, finding.id, call, call_direction, (sender, receiver))
            return
    if direction == "signalling":
        yield Need(_way(evidence, name), way=True)


def _of_direction(
    evidence: RunEvidence,
    name: str,
    call: CallRecord,
    direction: Direction,
    parties: tuple[Endpoint, Endpoint],
) -> Iterator[Need]:
    sender, receiver = parties
    stream = evidence.stream(call, direction)
    if stream is not None and stream.receiver >= 0:  # after a transfer it is somebody else
        receiver = evidence.network.endpoints[stream.receiver]
    ends = tuple(
        tap
        for endpoint in (sender, receiver)
        if (tap := evidence.network.first_tap.get(endpoint.name)) is not None
    )
    ways = {
        "ends": (ends,),
        "proof": ((*ends, *evidence.network.controller_taps),),
        "way": (_way(evidence, sender.name), _way(evidence, receiver.name)),
    }[OF_CALLS[name]]
    for taps in ways:
        way = OF_CALLS[name] == "way"
        yield Need(taps, *call_time(call), by_absence=name in BY_ABSENCE, way=way)


def _way(evidence: RunEvidence, endpoint: str) -> tuple[str, ...]:
    path = evidence.network.path_of.get(endpoint)
    return tuple(hop.tap for hop in path.hops) if path is not None else ()


# -- of the whole run
# ---------------------------------------------------------------------------------------------------

Taps = Callable[[RunEvidence, Finding], Iterable[str]]


def _all(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    return evidence.network.taps


def _ports(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    return evidence.network.ports


def _way_of_subject(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    return _way(evidence, finding.subject)


def _signalling(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    own = evidence.network.first_tap.get(finding.subject)
    return (*evidence.network.controller_taps, *((own,) if own else ()))


def _controllers(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    return evidence.network.controller_taps


def _ends(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    return (*evidence.network.first_tap.values(), *evidence.network.controller_taps)


def _trusting(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    return (tap for tap, (switch, _) in evidence.network.ports.items() if switch.controlled)


def _exchanges(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    switches = {
        port.switch for exchange in evidence.network.plan.circuit_exchanges for port in exchange.ports
    }
    return (tap for tap, known in evidence.network.taps.items() if known.device in switches)


def _tunnels(evidence: RunEvidence, finding: Finding) -> Iterable[str]:
    tunnels = [tunnel for overlay in evidence.network.plan.overlays for tunnel in overlay.tunnels]
    devices = {end.device for tunnel in tunnels for end in (tunnel.near, tunnel.far)}
    return (tap for tap, known in evidence.network.taps.items() if known.device in devices)


OF_RUN: dict[str, tuple[Taps, bool]] = {
    "signalling.tls": (_signalling, False),
    "signalling.certificate": (_signalling, False),
    "signalling.registered": (_signalling, True),
    "signalling.untouched": (_way_of_subject, False),
    "hub.signalling": (_signalling, False),
    "message.delivered": (_controllers, False),
    "message.private": (_all, False),
    "media.injected": (_ends, False),
    "privacy.readable": (_all, False),
    "lab.isolation": (_all, False),
    "vlan.voice": (_ports, False),
    "vlan.port-control": (_ports, False),
    "qos.trust": (_trusting, False),
    "carrier.apart": (_all, False),
    "circuit.policy": (_exchanges, True),
    "qos.overlay": (_tunnels, True),
    "sdwan.sealed": (_tunnels, False),
    "sdwan.steering": (_tunnels, True),
    "load.quality": (_ends, True),
    "load.srtp": (_ends, False),
    "capacity.measured": (_all, True),
}
"""Id -> the taps that must have seen all the run, and whether it fails by what was not seen."""


# -- of incidents
# ---------------------------------------------------------------------------------------------------


def _of_incidents(
    evidence: RunEvidence, incidents: Sequence[JudgedIncident], finding: Finding
) -> Iterator[Need]:
    lines = tuple(line.tap for lines in evidence.network.ways.lines.values() for line in lines)
    for judged in incidents:
        if not finding.subject.startswith(judged.title):
            continue
        calls = [call for call in evidence.run.calls if call.id in judged.incident.calls]
        parties = [
            evidence.network.endpoint_called(name) for call in calls for name in (call.caller, call.callee)
        ]
        own = tuple(tap for name in parties if (tap := evidence.network.first_tap.get(name)) is not None)
        placed = min((int(call.started_at * 1e9) for call in calls), default=0)
        begin = max(int(judged.incident.failed_at * 1e9) - BEFORE_NS, placed)
        yield Need(
            tuple(dict.fromkeys((*own, *evidence.network.controller_taps, *lines))),
            begin,
            int(judged.incident.ended_at * 1e9),
            by_absence=True,
        )
