"""Priority inside carriers' networks: MPLS traffic class (`qos.mpls-tc`) and the service tag's priority
(`qos.pcp`), both against the policy's map (Q1, W2, W3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.measure.run_evidence import ObservedMarking
from uclab.judge.path.hop_check import Seen, walk_finding
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Finding
from uclab.plan.schema.plan import Endpoint, PathHop


def check_carried(
    network: PlannedNetwork,
    subject: str,
    seen: Sequence[Seen],
    ends: tuple[Endpoint, Endpoint],
    wanted: int,
    gap: str | None,
) -> Iterator[Finding]:
    """Findings of one walk, where the plan has it lead through a carrier's network. `wanted` is the DSCP."""
    planned = _planned(network, ends)
    if any(hop.label is not None for hop in planned):
        tc = network.policy.tc(wanted)
        claim = Claim("qos.mpls-tc", ("Q1", "W3"), subject, f"traffic class {tc} in every labelled frame")

        def right_tc(at: Seen, marking: ObservedMarking) -> bool:
            return marking.tc == tc

        def labelled(_: Seen, marking: ObservedMarking) -> bool:
            return marking.tc >= 0

        yield (
            walk_finding(claim, network, seen, right_tc, lambda m: f"traffic class {m.tc}", gap, labelled)
            if any(labelled(at, marking) for at in seen for marking in at.markings)
            else claim.not_shown("no labelled frame was seen")
        )
    if any(hop.service_vlan is not None for hop in planned):
        pcp = network.policy.pcp(wanted)
        expected = f"priority {pcp} in every service tag"
        claim = Claim("qos.pcp", ("Q1", "W2"), f"{subject}:service-tag", expected)

        def right_pcp(at: Seen, marking: ObservedMarking) -> bool:
            return marking.service_pcp == pcp

        def tagged(_: Seen, marking: ObservedMarking) -> bool:
            return marking.service_pcp >= 0

        yield (
            walk_finding(claim, network, seen, right_pcp, lambda m: f"priority {m.service_pcp}", gap, tagged)
            if any(tagged(at, marking) for at in seen for marking in at.markings)
            else claim.not_shown("no service tag was seen")
        )


def _planned(network: PlannedNetwork, ends: tuple[Endpoint, Endpoint]) -> list[PathHop]:
    return [
        hop
        for endpoint in ends
        if endpoint.name in network.path_of
        for hop in network.path_of[endpoint.name].hops
    ]


def follows_label(
    network: PlannedNetwork, pcp: Finding, carried: Sequence[Finding], seen: Sequence[Seen]
) -> Finding:
    """An edge that makes the customer's priority of the label's traffic class is not to blame when somebody
    in front got the class wrong."""
    wrong = next((f for f in carried if f.id == "qos.mpls-tc" and f.verdict == "fail"), None)
    if pcp.verdict != "fail" or wrong is None or pcp.blame is None:
        return pcp
    at = next(at for at in seen if at.tap == pcp.evidence.tap and at.leg == pcp.evidence.leg)
    taps = {hop.tap for path in network.plan.paths for hop in path.hops if hop.label is not None}
    edges = {network.device(tap) for tap in taps}
    behind = network.device(at.tap) in edges and at.tap not in taps
    if not behind:
        return pcp
    return replace(pcp, observed=f"{pcp.observed}, as the changed traffic class requires", blame=wrong.blame)
