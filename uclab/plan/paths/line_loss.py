"""What the plan's lines lose by their profiles, and how long calls must be to show on which side of the
policy's limit that lies (C8).

A limit holds for a path: the way between an endpoint and the session controller, each direction by itself.
What a call between two sites loses is the sum of two paths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from uclab.plan.paths.loss_interval import FEW_CLUSTERS, packets_needed
from uclab.plan.paths.reachability import Reachability
from uclab.plan.resolve.lines import far_ends
from uclab.plan.schema.plan import Bursts, Call, Impairment, LinkEnd, Plan

Way = Literal["up", "down"]
WAYS: tuple[Way, ...] = ("up", "down")
"""Towards the cloud and from it."""
PACKETS_A_SECOND = 50
"""Of one direction of a call: the lab's phones send a packet every 20 ms."""
UNCOUNTED_S = 0.5
"""Of each call: until both sides send, and what is on its way when it ends."""
INTERRUPTED = ("hold-transfer",)
"""Kinds of call whose media stops and moves on purpose: their loss is no measure of the network."""


@dataclass(frozen=True)
class ExpectedLoss:
    """What a path loses by the profiles of its lines."""

    share: float = 0.0
    """0..1, in the mean."""
    design_effect: float = 1.0
    """By how much more than random loss it scatters, because of bursts."""
    delay_ms: float = 0.0
    """Of its lines, without queueing."""


def expected_loss(plan: Plan, endpoint: str, way: Way) -> ExpectedLoss:
    """Of the planned path of an endpoint."""
    path = next((path for path in plan.paths if path.endpoint == endpoint), None)
    places = {tap.label: LinkEnd(tap.device, tap.interface) for tap in plan.taps}
    order = {places[hop.tap]: at for at, hop in enumerate(path.hops) if hop.tap in places} if path else {}
    ends = far_ends(plan.nodes, plan.links)
    crossed = []
    for node in plan.nodes:
        for line in node.impairments:
            near = LinkEnd(node.name, line.interface)
            far = ends.get(near)
            if near in order and far in order and (way == "up") == (order[near] < order[far]):
                crossed.append(line)
    return _together([_of_line(line) for line in crossed])


def _of_line(line: Impairment) -> ExpectedLoss:
    """Mean loss and design effect of a line that is now good, now bad: the sum of the autocorrelations of
    its losses (E. N. Gilbert, Bell System Technical Journal 39, 1960; E. O. Elliott, ibid. 42, 1963)."""
    good = line.loss_pct / 100
    if line.bursts is None:
        return ExpectedLoss(good, 1.0, line.delay_ms)
    bad, time_bad, kept = _states(line.bursts)
    share = good + time_bad * (bad - good)
    scatter = time_bad * (1 - time_bad) * (bad - good) ** 2
    if not 0 < share < 1 or kept >= 1:
        return ExpectedLoss(share, 1.0, line.delay_ms)
    between = scatter / (share * (1 - share))
    return ExpectedLoss(share, max(1.0, 1 + 2 * between * kept / (1 - kept)), line.delay_ms)


def _states(bursts: Bursts) -> tuple[float, float, float]:
    """Loss while bad, share of the packets that meet a bad line, and how much of a state is left a packet
    later."""
    enter, leave = bursts.enter_pct / 100, bursts.leave_pct / 100
    return bursts.lost_pct / 100, enter / (enter + leave), 1 - enter - leave


def _together(lines: Sequence[ExpectedLoss]) -> ExpectedLoss:
    """Lines one after another: design effects count by what each loses."""
    lost = sum(line.share for line in lines)
    effect = sum(line.share * line.design_effect for line in lines) / lost if lost else 1.0
    kept = math.prod(1 - line.share for line in lines)
    return ExpectedLoss(1 - kept, effect, sum(line.delay_ms for line in lines))


Groups = Sequence[Sequence[Call]]


def long_enough(plan: Plan, groups: Groups, verdicts: int = 1) -> tuple[tuple[Call, ...], ...]:
    """Calls of one kind of verdict, in groups that run at once, one group after the other, made so long
    that the loss of each site's path can be judged by all of them together. Shorter they never become.

    A path for which the policy's longest call is too short asks for nothing, nor does one whose delay alone
    is beyond the limit: its verdict falls anyhow.
    """
    power = 1 - (1 - plan.policy.confidence.right_pct / 100) / verdicts
    longer = [tuple(group) for group in groups]
    for site, endpoint in _first_endpoints(plan).items():
        legs = [sum(_legs_of(plan, call, site) for call in group) for group in longer]
        most = max(range(len(longer)), key=legs.__getitem__, default=-1)
        if most < 0 or not legs[most]:
            continue
        outward = sum(
            _legs_of(plan, call, site) * max(call.seconds - UNCOUNTED_S, 0.0)
            for group in longer
            for call in group
        )
        longest = max(call.seconds for call in longer[most])
        missing = [
            math.ceil((wanted - outward) / legs[most])
            for way in WAYS
            if (wanted := _media_s(plan, expected_loss(plan, endpoint, way), sum(legs), power)) < math.inf
        ]
        within_reason = [more for more in missing if longest + more <= plan.policy.confidence.longest_call_s]
        if more_s := max([0, *within_reason]):
            longer[most] = tuple(_longer(call, more_s) for call in longer[most])
    return tuple(longer)


CALL_S = 5.0
"""Of a call of which nobody says how long it is to be, at least."""


def call_s(plan: Plan, caller: str, callee: str) -> float:
    """How long a single call must be for a verdict on its lines, in seconds; at least `CALL_S`."""
    alone = Call("alone", caller, callee, "desk-desk", CALL_S)
    ((call,),) = long_enough(plan, ((alone,),), verdicts_on_loss(plan, 1))
    return call.seconds


def _longer(call: Call, more_s: float) -> Call:
    return call if call.kind in INTERRUPTED else replace(call, seconds=call.seconds + more_s)


def verdicts_on_loss(plan: Plan, conditions: int) -> int:
    """How many a run has: of each site's path, each way, under so many conditions."""
    return max(1, len(_first_endpoints(plan)) * len(WAYS) * conditions)


def _first_endpoints(plan: Plan) -> dict[str, str]:
    """Site -> the endpoint whose path stands for the site's."""
    site_of = Reachability(plan).site_of
    sites: dict[str, str] = {}
    for endpoint in plan.endpoints:
        if endpoint.kind != "pstn-phone":
            sites.setdefault(site_of[endpoint.node], endpoint.name)
    return sites


def _legs_of(plan: Plan, call: Call, site: str) -> int:
    """How many parties of a call send and receive over a site's path."""
    if call.kind in INTERRUPTED:
        return 0
    node = {endpoint.name: endpoint.node for endpoint in plan.endpoints if endpoint.kind != "pstn-phone"}
    site_of = Reachability(plan).site_of
    return sum(party in node and site_of[node[party]] == site for party in (call.caller, call.callee))


def _media_s(plan: Plan, expected: ExpectedLoss, legs: int, power: float) -> float:
    """Seconds of one direction of a call that must cross a path, where `legs` do at once; 0 where the delay
    decides, infinite at the limit itself."""
    policy, sure = plan.policy, plan.policy.confidence
    if expected.delay_ms >= policy.max_one_way_delay_ms:
        return 0.0

    def media_s(judged_effect: float) -> float:
        limit, effect = policy.max_loss_pct / 100, expected.design_effect
        needed = packets_needed(expected.share, limit, sure.level, power, effect, judged_effect)
        return math.inf if needed is None else needed / PACKETS_A_SECOND

    wanted = media_s(1.0)
    by_second = -math.expm1(-legs * PACKETS_A_SECOND * expected.share / expected.design_effect)
    if wanted / legs * by_second < 2 * FEW_CLUSTERS:
        # so few seconds with losses may be seen that the judge takes what the policy assumes
        wanted = max(wanted, media_s(sure.assumed_design_effect))
    return wanted
