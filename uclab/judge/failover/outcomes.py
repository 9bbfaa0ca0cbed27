"""Measures what each incident did to the calls that were live (V2): detection, registrations, silences,
the fate of
every call, and which lines were used in which order. Verdicts are made of this in `failover_findings`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uclab.judge.evidence.network import Leg, PlannedNetwork
from uclab.judge.failover.media import (
    STEADY_NS,
    busiest,
    carried,
    ns,
    streams_of,
    turn_ns,
    ways_of,
)
from uclab.judge.failover.reasons import explained
from uclab.judge.failover.signalling import addresses, answered_in_dialog, registrations
from uclab.judge.measure.media_gaps import Span, joined
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Stream
from uclab.judge.result.incidents import JudgedIncident, LinesUsed
from uclab.plan.paths.reachability import Line
from uclab.plan.traffic.incidents import HELD_CALL
from uclab.records.run import CallRecord, Incident

WINDOW_NS = 2_000_000_000
"""Which line carries media at a time is decided over so long."""
TELLING = ("bfd-", "flow-failed", "link-", "neighbour-", "path-", "peer-", "route-", "tunnel-")
"""Beginnings of the kinds of events that tell of a path."""


def judged_incidents(evidence: RunEvidence) -> tuple[JudgedIncident, ...]:
    """All incidents of the run."""
    return tuple(judge_incident(evidence, incident) for incident in evidence.run.incidents)


def judge_incident(evidence: RunEvidence, incident: Incident) -> JudgedIncident:
    """One incident."""
    calls = [call for call in evidence.run.calls if call.id in incident.calls]
    used = tuple(lines_used(evidence, incident, calls))
    moved = [call for call in calls if _readdressed(evidence, incident, call)]
    sites = _sites(evidence, moved) | {lines.site for lines in used if _translated(evidence, lines)}
    left = orphaned(evidence.network, incident)
    detection_ms, detected_by = detection(evidence, incident, calls, used)
    broken = incident.failed_at, incident.healed_at
    answers = [answer for call in calls for answer in answered_in_dialog(evidence, call, *broken)]
    return JudgedIncident(
        incident=incident,
        calls=tuple(
            explained(
                evidence,
                incident,
                call,
                tuple(ways_of(evidence, incident, call)),
                probe=call.kind == HELD_CALL,
            )
            for call in calls
        ),
        detection_ms=detection_ms,
        detected_by=detected_by,
        moves=any(lines.wanted[1] not in (None, lines.wanted[0]) for lines in used),
        new_address=bool(sites),
        recovered_s=evidence.network.policy.tolerances.recovered_s,
        registrations=tuple(registrations(evidence, incident, sites | left)),
        in_dialog_ms=round(1000 * (min(answers)[0] - incident.failed_at), 1) if answers else None,
        lines=used,
    )


def _readdressed(evidence: RunEvidence, incident: Incident, call: CallRecord) -> bool:
    found = (
        addresses(evidence, incident, call, direction)
        for direction in ("caller_to_callee", "callee_to_caller")
    )
    return any(addresses is not None and addresses.new for addresses in found)


def _sites(evidence: RunEvidence, calls: Sequence[CallRecord]) -> set[str]:
    """The sites of these calls' endpoints."""
    names = {evidence.network.endpoint_called(name) for call in calls for name in (call.caller, call.callee)}
    endpoints = [endpoint for endpoint in evidence.network.site_endpoints if endpoint.name in names]
    return {evidence.network.ways.site_of[endpoint.node] for endpoint in endpoints}


def _passed(evidence: RunEvidence, calls: Sequence[CallRecord]) -> set[str]:
    """The sites of these calls' endpoints, and those that their way leads through (a hub)."""
    ways = evidence.network.ways
    names = {evidence.network.endpoint_called(name) for call in calls for name in (call.caller, call.callee)}
    endpoints = [endpoint for endpoint in evidence.network.site_endpoints if endpoint.name in names]
    return {ways.site_of[device] for endpoint in endpoints for device in ways.passed(endpoint)} & set(
        ways.sites
    )


def _translated(evidence: RunEvidence, used: LinesUsed) -> bool:
    """Whether media moved to a line on which the router gives it another address."""
    outside = {line.name: line.outside for line in evidence.network.ways.lines[used.site]}
    before, during = used.out[:2]
    return before is not None and during is not None and outside[before] != outside[during]


def orphaned(network: PlannedNetwork, incident: Incident) -> set[str]:
    """The sites whose session controller is cut off while another can be reached: phones must go there."""
    ways, parts = network.ways, incident.parts
    return {
        ways.site_of[endpoint.node]
        for endpoint in network.site_endpoints
        if not ways.keeps_calls(endpoint, parts, parts) and ways.reaches_cloud(endpoint, parts, parts)
    }


def lines_used(evidence: RunEvidence, incident: Incident, calls: Sequence[CallRecord]) -> Iterator[LinesUsed]:
    """For each site with live calls, which lines were used, and which were to be."""
    moments = [ns(incident.failed_at), ns(incident.healed_at), ns(incident.ended_at)]
    for site in sorted(_passed(evidence, calls)):
        lines = evidence.network.ways.lines.get(site, ())
        if not lines:
            continue
        legs: dict[Leg, list[str | None]] = {"up": [], "down": []}
        returns = 0
        for leg, found in legs.items():
            spans = media_of_site(evidence, calls, lines, leg) or marked(evidence, lines)
            found += [busiest(lines, spans, moment - WINDOW_NS, moment) for moment in moments]
            if leg == "up":
                begun = [begin for begin, _ in spans.get(lines[0].tap, [])]
                returns = sum(turn_ns(incident) <= begin < moments[-1] for begin in begun)
        yield LinesUsed(
            site=site,
            wanted=(lines[0].name, line_wanted(evidence.network, incident, site), lines[0].name),
            out=(legs["up"][0], legs["up"][1], legs["up"][2]),
            into=(legs["down"][0], legs["down"][1], legs["down"][2]),
            router=lines[0].near,
            returns=returns,
        )


def media_of_site(
    evidence: RunEvidence, calls: Sequence[CallRecord], lines: Sequence[Line], leg: Leg
) -> dict[str, list[Span]]:
    """Tap -> when the calls' media passed it; of this site's lines."""
    streams: list[Stream] = []
    for call in calls:
        streams += streams_of(evidence, call, "caller_to_callee") + streams_of(
            evidence, call, "callee_to_caller"
        )
    taps = {line.tap for line in lines}
    return {tap: spans for tap, spans in carried(evidence, streams, leg).items() if tap in taps}


def marked(evidence: RunEvidence, lines: Sequence[Line]) -> dict[str, list[Span]]:
    """Tap -> seconds in which packets marked as voice passed it, in whichever direction: where an overlay
    hides
    the media, its outer header carries the class (W6)."""
    seconds: dict[str, list[Span]] = {}
    for tap, second, dscp, _ in evidence.seen.flows.octets_per_second:
        if dscp == evidence.network.policy.voice_dscp and tap in {line.tap for line in lines}:
            seconds.setdefault(tap, []).append((second * 1_000_000_000, (second + 1) * 1_000_000_000))
    return {tap: joined(spans, STEADY_NS) for tap, spans in seconds.items()}


def line_wanted(network: PlannedNetwork, incident: Incident, site: str) -> str | None:
    """The first line in the plan's order by which the cloud can still be reached; None where there is
    none, or
    where nobody says that a router must leave a line that is merely bad."""
    ways = network.ways
    lines = ways.lines[site]
    if incident.how == "brown-out":
        return None
    endpoint = next(e for e in network.site_endpoints if ways.site_of[e.node] == site)
    for line in lines:
        others = {other.link for other in lines if other is not line}
        if ways.reaches_cloud(endpoint, others | set(incident.parts), incident.parts):
            return line.name
    return None


def detection(
    evidence: RunEvidence, incident: Incident, calls: Sequence[CallRecord], used: Sequence[LinesUsed]
) -> tuple[float | None, str]:
    """When it was detected: the first packet on another line, or the first event of a path, whichever came
    first."""
    failed, healed = ns(incident.failed_at), ns(incident.healed_at)
    found: list[tuple[float, str]] = []
    for lines in used:
        others = [line for line in evidence.network.ways.lines[lines.site] if line.name != lines.out[0]]
        for tap, spans in media_of_site(evidence, calls, others, "up").items():
            began = [begin for begin, _ in spans if failed <= begin < healed]
            if began:
                found.append(((min(began) - failed) / 1e6, f"first packet at {tap}"))
    found += [
        (1000 * (event.time - incident.failed_at), f"{event.source}: {event.kind}")
        for event in evidence.run.events
        if event.kind.startswith(TELLING) and incident.failed_at <= event.time < incident.healed_at
    ]
    if not found:
        return None, ""
    first, reason = min(found)
    return round(first, 1), reason
