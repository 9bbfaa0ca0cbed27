"""Loss of each line and direction against the policy, by all calls that crossed it (C8).

A limit holds for a path: the way between a site and the session controller. What all calls lost there
together has an interval (`uclab.plan.paths.loss_interval`): kept where it lies below the limit, missed where
it lies above, and not shown where the limit lies within.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from uclab.judge.measure.clusters import Clusters, loss_with
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import media_time
from uclab.judge.path.fault_localisation import culprit
from uclab.judge.path.hop_trace import in_series
from uclab.judge.quality.accused import Accused
from uclab.judge.quality.call_parts import Part, blamed, in_evidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Finding
from uclab.judge.result.margins import LOSS, highest, with_margins
from uclab.judge.result.media import Walk
from uclab.plan.paths.line_loss import PACKETS_A_SECOND
from uclab.plan.paths.loss_interval import Interval, packets_needed
from uclab.plan.schema.plan import Policy
from uclab.records.run import Direction


def check_lines(evidence: RunEvidence, accused: Accused, walks: Sequence[Walk]) -> Iterator[Finding]:
    """One finding for each path and direction, with and without overload."""
    policy = evidence.network.policy
    by_direction = {(walk.call, walk.direction): walk for walk in walks}
    for (overloaded, place), parts in sorted(accused.places.items()):
        kept = _without_accused(accused, parts)
        detail = " while the WAN is overloaded" if overloaded else ""
        claim = Claim(
            "quality.overload" if overloaded else "quality.voice",
            ("C8",),
            place,
            f"loss < {policy.max_loss_pct:g} % of all calls' packets{detail},"
            f" with {policy.confidence.verdict_pct:g} % confidence",
        )
        clusters = Clusters.of(part.seconds for part in kept)
        if not clusters.count:
            yield claim.not_shown("no packet of a call counts here")
            continue
        planned = max(part.planned_effect for part in kept)
        interval, effect = loss_with(policy.confidence, policy.confidence.level, clusters, planned)
        observed = loss_in_words(interval, clusters, effect)
        if len(kept) < len(parts):
            observed += f"; {len(parts) - len(kept)} calls that fail by themselves are not counted"
        if interval.beyond(policy.max_loss_pct / 100):
            blame, where, tap = _most_lost(evidence, kept, by_direction)
            detail = f"{observed}; {where}" if where else observed
            finding = claim.failed(detail, in_evidence(kept, tap), blame)
        elif interval.below(policy.max_loss_pct / 100):
            finding = claim.passed(observed, in_evidence(kept))
        else:
            more = more_needed(policy, interval.value, clusters.count, effect)
            finding = claim.not_shown(f"{observed}; {more}")
        in_pct = Interval(100 * interval.value, 100 * interval.low, 100 * interval.high)
        yield with_margins(finding, [highest(LOSS, in_pct, policy.max_loss_pct, "%", 2)])


def _without_accused(accused: Accused, parts: Sequence[Part]) -> Sequence[Part]:
    """A call that fails by itself does not count for its line, unless half of the line's calls do."""
    kept = [part for part in parts if id(part) not in accused.lossy]
    return kept if 2 * len(kept) > len(parts) else parts


def loss_in_words(interval: Interval, clusters: Clusters, effect: float) -> str:
    """What was lost, and between which shares the line's loss lies."""
    return (
        f"{clusters.total:.0f} of {clusters.count:.0f} packets lost: {100 * interval.value:.2f} %, between"
        f" {100 * interval.low:.2f} and {100 * interval.high:.2f} % (design effect {effect:.1f})"
    )


def more_needed(policy: Policy, share: float, now: float, effect: float) -> str:
    """How much media would show it, in words."""
    sure, limit = policy.confidence, policy.max_loss_pct / 100
    needed = packets_needed(
        round(share, 5), limit, sure.level, sure.right_pct / 100, max(1.0, round(effect, 1))
    )
    if needed is None:
        return "that is so near to the limit that no number of calls shows on which side"
    return (
        f"to show it takes some {max(needed, now + 1):,.0f} packets:"
        f" {max(needed, now + 1) / PACKETS_A_SECOND:,.0f} s of one direction of a call"
    )


def _most_lost(
    evidence: RunEvidence, parts: Sequence[Part], walks: Mapping[tuple[str, Direction], Walk]
) -> tuple[str | None, str, str | None]:
    """The device between whose taps all these calls together lost most; that step in words, and its second
    tap. Taps that saw only part are passed over."""
    lost: Counter[tuple[str, str]] = Counter()
    most: dict[tuple[str, str], tuple[int, Part, Walk]] = {}
    for part in parts:
        walk = walks.get((part.call.id, part.direction))
        blind = evidence.windows.blind(*media_time(part.stream))
        hops = [hop for hop in (walk.hops if walk else ()) if hop.tap not in blind]
        for before, at in pairwise(in_series(evidence.network, hops, part.stream)):
            if part.leg is not None and not before.leg == at.leg == part.leg:
                continue
            early = part.stream.early if before.leg != at.leg else 0
            count = max(before.packets - at.packets, 0) - early
            step = (before.tap, at.tap)
            lost[step] += count
            if step not in most or count > most[step][0]:
                most[step] = (count, part, Walk(part.call.id, part.direction, (before, at)))
    if not lost:
        return None, "", None
    (step, total) = lost.most_common(1)[0]
    _, part, walk = most[step]
    blind = evidence.windows.blind(*media_time(part.stream))
    blame, _ = culprit(evidence.network, walk, part.stream, by_loss=True, blind=blind)
    return *blamed(evidence, parts, blame, f"{total} packets lost between {step[0]} and {step[1]}"), step[1]
