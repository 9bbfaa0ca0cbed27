"""What the topology drawing says of each link: its load, and the marking that voice carried on it."""

from __future__ import annotations

from collections import defaultdict

from uclab.judge.types import Judgement
from uclab.plan.graph import LinkLoad
from uclab.plan.types import LinkEnd, Plan


def link_loads(plan: Plan, judgement: Judgement) -> dict[str, LinkLoad]:
    """For each link that carried something: the highest load (kbit/s) seen at one of its taps, and DSCP and PCP of voice there."""
    labels = {(tap.device, tap.interface): tap.label for tap in plan.taps}
    peaks: dict[str, float] = defaultdict(float)
    for tap, total in totals(judgement).items():
        peaks[tap] = max(total)
    marking = {hop.tap: (hop.dscp, hop.pcp) for walk in judgement.walks for hop in walk.hops if hop.packets}
    loads = {}
    for link in plan.links:
        taps = [label for label in (label_of(labels, end) for end in (link.a, link.b)) if label]
        peak = max((peaks[tap] for tap in taps if tap in peaks), default=0.0)
        dscp, pcp = next((marking[tap] for tap in taps if tap in marking), (None, None))
        if peak or dscp is not None:
            loads[link.name] = LinkLoad(peak, 0.0, () if dscp is None else (dscp,), () if pcp is None else (pcp,))
    return loads


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
        sums[series.subject] = [a + b for a, b in zip(longer, [*shorter, *[0.0] * (len(longer) - len(shorter))], strict=True)]
    return sums
