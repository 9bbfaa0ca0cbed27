"""What the topology drawing says of each link: its load, and the marking that voice carried on it."""

from __future__ import annotations

from collections import Counter, defaultdict

from uclab.drawing.wires import LinkLoad
from uclab.judge.result.judgement import Judgement
from uclab.plan.schema.plan import LinkEnd, Plan


def link_loads(plan: Plan, judgement: Judgement) -> dict[str, LinkLoad]:
    """For each link that carried something: the highest load of each direction (kbit/s) at its taps, DSCP and
    PCP of voice there, and whether these were the policy's in all calls."""
    labels = {(tap.device, tap.interface): tap.label for tap in plan.taps}
    peaks = peak_loads(judgement)
    voice, priority = plan.policy.voice_dscp, plan.policy.pcp(plan.policy.voice_dscp)
    loads = {}
    for link in plan.links:
        a, b = (label_of(labels, end) or "" for end in (link.a, link.b))
        hops = [h for walk in judgement.walks for h in walk.hops if h.tap in (a, b) and h.packets]
        dscps = Counter(hop.dscp for hop in hops if hop.dscp is not None)
        pcps = Counter(hop.pcp for hop in hops if hop.pcp is not None)
        forth = max(peaks.get((a, "out"), 0.0), peaks.get((b, "in"), 0.0))
        back = max(peaks.get((a, "in"), 0.0), peaks.get((b, "out"), 0.0))
        if forth or back or dscps:
            right = set(dscps) == {voice} and set(pcps) <= {priority} if dscps else None
            loads[link.name] = LinkLoad(forth, back, _most(dscps), _most(pcps), right)
    return loads


def _most(seen: Counter[int]) -> tuple[int, ...]:
    """What was seen, most often first."""
    return tuple(value for value, _ in seen.most_common())


def label_of(labels: dict[tuple[str, str], str], end: LinkEnd) -> str | None:
    """The tap at this end of a link."""
    return labels.get((end.device, end.interface))


def peak_loads(judgement: Judgement) -> dict[tuple[str, str], float]:
    """(tap, direction) -> its highest load in one second, all classes together (kbit/s)."""
    seconds: dict[tuple[str, str], dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for series in judgement.series:
        if series.kind == "kbps":
            for index, value in enumerate(series.values):
                moment = series.start + index * series.step_s
                seconds[series.subject, series.direction][moment] += value or 0.0
    return {key: max(loads.values()) for key, loads in seconds.items() if loads}
