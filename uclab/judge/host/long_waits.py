"""What long waits of the lab's programs explain: registrations, calls, failovers, steering and measured
capacity are a matter of seconds."""

from __future__ import annotations

from collections.abc import Sequence

from uclab.judge.checks.registrations import longest_gap_s
from uclab.judge.evidence.host_pressure import Starved
from uclab.judge.host.places import (
    LONG_S,
    call_of,
    call_time_s,
    lab_time_s,
    longest,
    party_of,
    spaces_of,
    way_of,
)
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.incidents import JudgedIncident
from uclab.judge.result.judgement import Finding

LAB = ""
"""The namespace of the lab's own programs, the controllers among them."""


def of_signalling(evidence: RunEvidence, finding: Finding) -> Starved | None:
    """Registrations and calls that were not established: the phones' programs and the cloud's."""
    call = call_of(evidence, finding.subject)
    named = (call.caller, call.callee) if call is not None else (finding.subject,)
    parties = [party for name in named if (party := party_of(evidence, name)) is not None]
    if not parties:  # of a campaign: its generators
        parties = [
            e for e in evidence.network.endpoints if e.name in {g.node for g in evidence.run.load.generators}
        ]
    cloud = {controller.node for controller in evidence.network.plan.session_controllers}
    begin, end = lab_time_s(evidence)
    if call is not None:
        begin = call.started_at
        end = max(call.ended_at or call.started_at, call.started_at + LONG_S)
    nodes = {party.node for party in parties} | cloud
    reason = longest(evidence.host.starved(nodes, begin, end), LONG_S)
    if reason is None or finding.id != "signalling.registered" or not parties:
        return reason
    # who was registered and is not: for no longer than the program waited, and took to try again
    most_s = reason.waited_s + parties[0].registration.attempt_s
    return reason if longest_gap_s(evidence, finding.subject) <= most_s else None


def of_failover(
    evidence: RunEvidence, incidents: Sequence[JudgedIncident], finding: Finding
) -> Starved | None:
    """Somebody on the way of the calls through that incident had to wait for long while it lasted."""
    for judged in incidents:
        if finding.subject.startswith(judged.title):
            calls = [call for call in evidence.run.calls if call.id in judged.incident.calls]
            parties = [
                p for c in calls for n in (c.caller, c.callee) if (p := party_of(evidence, n)) is not None
            ]
            nodes = way_of(evidence, parties) | {party.node for party in parties}
            found = evidence.host.starved(nodes, judged.incident.failed_at, judged.incident.ended_at)
            if reason := longest(found, LONG_S):
                return reason
    return None


def of_steering(evidence: RunEvidence, finding: Finding) -> Starved | None:
    """Voice stayed on a bad path: who measures the paths and who steers, at both ends of the overlay, while
    calls were up."""
    overlay = next(
        (planned for planned in evidence.network.plan.overlays if planned.site == finding.subject), None
    )
    calls = [call_time_s(call) for call in evidence.run.calls]
    if overlay is None or not calls:
        return None
    ends = {overlay.edge, *(tunnel.far.device for tunnel in overlay.tunnels)}
    nodes = {LAB, *(space for end in ends for space in spaces_of(evidence.network, end))}
    found = evidence.host.starved(nodes, min(begin for begin, _ in calls), max(end for _, end in calls))
    return longest(found, LONG_S)


def of_capacity(evidence: RunEvidence) -> Starved | None:
    """Fewer calls held than were computed: the generators and everybody on their way, while calls were
    placed."""
    record = evidence.run.load.measuring
    placed = [admission.at for admission in evidence.run.load.admissions]
    if record is None or not placed:
        return None
    ends = [party for name in (record.near, record.far) if (party := party_of(evidence, name)) is not None]
    nodes = way_of(evidence, ends) | {end.node for end in ends}
    return longest(evidence.host.starved(nodes, min(placed), max(placed) + record.step_s), LONG_S)
