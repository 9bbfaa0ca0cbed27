"""Wi-Fi user priority on the air (`qos.wmm`), against the policy's map (Q1, W7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from uclab.judge.evidence.network import PlannedNetwork, dscp_name
from uclab.judge.measure.run_evidence import ObservedMarking
from uclab.judge.path.hop_check import Seen, walk_finding
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Finding
from uclab.model.wmm import category
from uclab.plan.schema.plan import Endpoint, RadioChannel


def check_air(
    network: PlannedNetwork,
    subject: str,
    seen: Sequence[Seen],
    ends: tuple[Endpoint, Endpoint],
    wanted: int,
    gap: str | None,
) -> Iterator[Finding]:
    """A finding for each way over the air of one walk: that of the sender upwards, that of the receiver
    downwards; of signalling, both of its one endpoint. `wanted` is the DSCP."""
    up = network.policy.up(wanted)
    expected = f"user priority {up} ({category(up)}) in every frame on the air"
    for leg, endpoint in zip(("up", "down"), ends, strict=True):
        air = air_of(network, endpoint)
        if air is None:
            continue
        claim = Claim("qos.wmm", ("Q1", "W7"), f"{subject}:{air.access_point}-{leg}", expected)
        here = [at for at in seen if at.leg == leg and at.tap in network.air_taps]
        if here:
            yield walk_finding(claim, network, here, lambda _, marking: marking.pcp == up, _named, gap)
        else:
            yield claim.not_shown("no frame was seen on the air")


def air_of(network: PlannedNetwork, endpoint: Endpoint) -> RadioChannel | None:
    """The air over which an endpoint's way leads, if it is wireless."""
    airs = (air for air in network.plan.airs if any(s.node == endpoint.node for s in air.stations))
    return next(airs, None)


def follows_dscp(network: PlannedNetwork, wmm: Finding, dscp: Finding, seen: Sequence[Seen]) -> Finding:
    """Who maps a DSCP rightly is not to blame for the user priority when somebody in front changed the
    DSCP."""
    if not wmm.verdict == dscp.verdict == "fail":
        return wmm
    at = next(at for at in seen if at.tap == wmm.evidence.tap and at.leg == wmm.evidence.leg)
    if all(marking.pcp == network.policy.up(marking.dscp) for marking in at.markings):
        changed = dscp_name(next(iter(at.markings)).dscp)
        return replace(
            wmm, observed=f"{wmm.observed}, as the changed DSCP {changed} asks for", blame=dscp.blame
        )
    return wmm


def as_it_came(finding: Finding, others: Sequence[Finding], seen: Sequence[Seen]) -> Finding:
    """An access point that hands on a wrong priority, from the wire to the air or back, is not to blame for
    it: who made it wrong in front is, as one of the `others` says."""
    place = _place(finding, seen)
    if place is None:
        return finding
    at, before = seen[place], seen[place - 1]
    came = {marking.pcp for marking in before.markings} if place and before.leg == at.leg else set()
    for other in others:
        first = _place(other, seen)
        in_front = first is not None and first < place and seen[first].leg == at.leg
        if in_front and {marking.pcp for marking in at.markings} <= came:
            return replace(finding, observed=f"{finding.observed}, as it came", blame=other.blame)
    return finding


def _place(finding: Finding, seen: Sequence[Seen]) -> int | None:
    """Where on a walk a finding fails; None of one that does not."""
    if finding.verdict != "fail":
        return None
    where = finding.evidence
    return next(i for i, at in enumerate(seen) if at.tap == where.tap and at.leg == where.leg)


def _named(marking: ObservedMarking) -> str:
    if marking.pcp < 0:
        return "no user priority"
    return f"user priority {marking.pcp} ({category(marking.pcp)})"
