"""What the topology drawing says of each link: its load, and the marking that voice carried on it."""

from __future__ import annotations

from collections import Counter

from uclab.judge.types import Judgement
from uclab.plan.graph import LinkLoad
from uclab.plan.types import LinkEnd, Plan


def link_loads(plan: Plan, judgement: Judgement) -> dict[str, LinkLoad]:
    """For each link that carried something: the highest load (kbit/s, both directions together) at one of its
    taps, DSCP and PCP of voice there, and whether these were the policy's in all calls."""
    labels = {(tap.device, tap.interface): tap.label for tap in plan.taps}
    peaks = {tap: max(total) for tap, total in totals(judgement).items()}
    voice, priority = plan.policy.voice_dscp, plan.policy.pcp(plan.policy.voice_dscp)
    loads = {}
    for link in plan.links:
        taps = [label for label in (label_of(labels, end) for end in (link.a, link.b)) if label]
        hops = [h for walk in judgement.walks for h in walk.hops if h.tap in taps and h.packets]
        dscps = Counter(hop.dscp for hop in hops if hop.dscp is not None)
        pcps = Counter(hop.pcp for hop in hops if hop.pcp is not None)
        peak = max((peaks[tap] for tap in taps if tap in peaks), default=0.0)
        if peak or dscps:
            right = set(dscps) == {voice} and set(pcps) <= {priority} if dscps else None
            loads[link.name] = LinkLoad(peak, None, _most(dscps), _most(pcps), right)
    return loads


def _most(seen: Counter[int]) -> tuple[int, ...]:
    """What was seen, most often first."""
    return tuple(value for value, _ in seen.most_common())


def label_of(labels: dict[tuple[str, str], str], end: LinkEnd) -> str | None:
    """The tap at this end of a link."""
    return labels.get((end.device, end.interface))


def totals(judgement: Judgement) -> dict[str, list[float]]:
    """Load of each tap over time, all classes together (kbit/s)."""
    sums: dict[str, list[float]] = {}
    for series in judgement.series:
        if series.kind != "kbps" or not series.values:
            continue
        values = [value or 0.0 for value in series.values]
        before = sums.get(series.subject, [])
        longer, shorter = (before, values) if len(before) >= len(values) else (values, before)
        padded = [*shorter, *[0.0] * (len(longer) - len(shorter))]
        sums[series.subject] = [a + b for a, b in zip(longer, padded, strict=True)]
    return sums
