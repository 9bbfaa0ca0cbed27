"""Whether media is in the planned VLAN at every tap of its way (`vlan.way`; L1, P1): also where the sender's
own address is gone, inside a carrier, and on the way to a phone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from uclab.judge.check import CHECKS, REFERENCE, Check, FindingKind
from uclab.judge.checks.marking import seen_at
from uclab.judge.checks.vlan_isolation import check_voice_vlan
from uclab.judge.evidence.network import Leg
from uclab.judge.measure.run_evidence import ObservedMarking, RunEvidence
from uclab.judge.path.hop_check import Seen, walk_finding
from uclab.judge.path.path_conformance import broken_times, overlaps
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Finding
from uclab.judge.result.media import Walk
from uclab.plan.schema.plan import Endpoint

EXPECTED = "the planned VLAN at every tap of the planned path"


def check_way_vlans(
    evidence: RunEvidence, walks: Sequence[Walk], elsewhere: Collection[str]
) -> Iterator[Finding]:
    """One finding for each direction of each call with a VLAN on its way; none of endpoints whose own frames
    are `elsewhere` (`vlan.voice` says so), nor while something was failed on purpose."""
    by_call = {(walk.call, walk.direction): walk for walk in walks}
    troubled = broken_times(evidence)
    for call, direction, sender, receiver in evidence.call_directions():
        walk, stream = by_call.get((call.id, direction)), evidence.stream(call, direction)
        planned = _planned(evidence, sender, receiver)
        if walk is None or stream is None or all(vlan is None for vlan in planned.values()):
            continue
        if overlaps(call, troubled) or {sender.node, receiver.node} & set(elsewhere):
            continue
        flows = evidence.media_flows[stream.ssrc]
        seen = [
            seen_at(hop.tap, hop.leg, [flow for flow in flows if evidence.leg(flow) == hop.leg])
            for hop in walk.hops
            if (hop.leg, hop.tap) in planned
        ]
        claim = Claim("vlan.way", ("L1", "P1"), f"{call.id}:{direction}", EXPECTED)

        def right(
            at: Seen, marking: ObservedMarking, planned: dict[tuple[Leg, str], int | None] = planned
        ) -> bool:
            vlan = planned[at.leg, at.tap]
            return marking.vlan == (-1 if vlan is None else vlan)

        if seen:
            yield walk_finding(claim, evidence.network, seen, right, _named, None)


def check_vlans(evidence: RunEvidence, walks: Sequence[Walk]) -> Iterator[Finding]:
    """Where endpoints are, then where media is on its way."""
    placed = list(check_voice_vlan(evidence))
    yield from placed
    yield from check_way_vlans(
        evidence, walks, [finding.subject for finding in placed if finding.verdict == "fail"]
    )


def _planned(
    evidence: RunEvidence, sender: Endpoint, receiver: Endpoint
) -> dict[tuple[Leg, str], int | None]:
    """Leg and tap -> VLAN, of the ways of both."""
    found: dict[tuple[Leg, str], int | None] = {}
    ends: tuple[tuple[Leg, Endpoint], ...] = (("up", sender), ("down", receiver))
    for leg, endpoint in ends:
        path = evidence.network.path_of.get(endpoint.name)
        found |= {(leg, hop.tap): hop.vlan for hop in (path.hops if path is not None else ())}
    return found


def _named(marking: ObservedMarking) -> str:
    return f"VLAN {marking.vlan}" if marking.vlan >= 0 else "no VLAN tag"


CHECKS.declare(
    "vlans",
    Check(
        REFERENCE,
        lambda run: check_vlans(run.evidence, run.walks),
        (
            FindingKind(
                "vlan.voice",
                ("L1", "L2"),
                "frames of a phone only in the voice VLAN, of PCs and softclients only in theirs; "
                "else the device behind the last tap where they were is named, or the host itself",
            ),
            FindingKind(
                "vlan.way",
                ("L1", "P1"),
                "media has the planned VLAN at every tap of its planned path, upstream and "
                "downstream, also inside carriers; else the device between the last correct tap and "
                "the first wrong one is named. Not where `vlan.voice` found one of the two outside "
                "its VLAN, nor during a deliberate failure",
            ),
        ),
    ),
)
