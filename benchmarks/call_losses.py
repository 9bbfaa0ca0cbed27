"""What the captures say of many calls at once: what was lost, late or missed, and where."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.processor import Usage
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.path.hop_trace import blame_between, media_walk
from uclab.judge.quality.figures import media_quality
from uclab.judge.result.media import HopRecord, MediaQuality
from uclab.plan.schema.plan import Policy
from uclab.records.run import CallRecord


@dataclass(frozen=True)
class LoadLevel:
    """So many calls at once, as they were placed."""

    calls: int
    records: tuple[CallRecord, ...]
    usage: Usage


@dataclass(frozen=True)
class StepResult:
    """What the captures say of a step."""

    calls: int
    established: int
    heard: int
    """Calls in which both sides heard the other's tone."""
    packets: int
    """Media packets sent once the way was open, all directions."""
    lost: int
    worst_loss_pct: float
    worst_jitter_ms: float
    jitter_of: dict[str, float]
    """The same by kind of sender. High with little delay: the phone itself did not send in time."""
    worst_delay_ms: float
    """Of a single packet on its way."""
    worst_gap_ms: float
    least_mos: float
    lost_in: dict[str, int]
    """Packets that no later tap saw, by the device that had them last."""
    unseen: int
    """Packets that a tap missed and a later one saw: the captures' own loss."""
    usage: Usage

    @property
    def carried(self) -> bool:
        """All calls were established and not one packet was lost."""
        return self.established == self.calls and self.packets > 0 and not self.lost


def keeps_policy(result: StepResult, policy: Policy) -> bool:
    """Every direction of every call within the provider's limits, and heard."""
    return (
        result.heard == result.calls
        and result.worst_loss_pct < policy.max_loss_pct
        and result.worst_jitter_ms < policy.max_jitter_ms
        and result.least_mos >= policy.min_mos
    )


def losses(hops: Sequence[HopRecord], early: int) -> tuple[Counter[tuple[str, str]], int]:
    """Packets lost between two taps, and packets that taps missed (pure).

    A packet is lost where no later tap has it; `early` ones were dropped by the session controller before the
    way was open, which is no loss.
    """
    later = list(itertools.accumulate((hop.packets for hop in reversed(hops)), max))[::-1]
    lost: Counter[tuple[str, str]] = Counter()
    for (one, has), (other, had) in itertools.pairwise(zip(hops, later, strict=True)):
        turning = (one.leg, other.leg) == ("up", "down")
        lost[one.tap, other.tap] += max(has - had - (early if turning else 0), 0)
    unseen = sum(there - hop.packets for hop, there in zip(hops, later, strict=True))
    return +lost, unseen


def judge_step(evidence: RunEvidence, step: LoadLevel) -> StepResult:
    """The captures' word on the calls of a step."""
    qualities: list[MediaQuality] = []
    lost_in: Counter[str] = Counter()
    unseen = 0
    ids = {record.id for record in step.records}
    jitter: dict[str, float] = {}
    for call, direction, sender, receiver in evidence.call_directions():
        stream = evidence.stream(call, direction)
        quality = media_quality(stream)
        if call.id not in ids or stream is None or quality is None:
            continue
        qualities.append(quality)
        jitter[sender.kind] = max(jitter.get(sender.kind, 0.0), quality.worst_jitter_ms)
        walk = media_walk(evidence, call.id, direction, stream, receiver)
        lost, missed = losses(walk.hops, quality.before_open)
        unseen += missed
        for (before, at), packets in lost.items():
            lost_in[blame_between(evidence.network, before, at)] += packets
    return StepResult(
        calls=step.calls,
        established=sum(record.established for record in step.records),
        heard=sum(
            bool(
                r.caller_to_callee
                and r.caller_to_callee.heard
                and r.callee_to_caller
                and r.callee_to_caller.heard
            )
            for r in step.records
        ),
        packets=sum(q.packets + q.lost for q in qualities),
        lost=sum(q.lost for q in qualities),
        worst_loss_pct=max((q.loss_pct for q in qualities), default=100.0),
        worst_jitter_ms=max(jitter.values(), default=0.0),
        jitter_of=jitter,
        worst_delay_ms=max((q.max_delay_ms for q in qualities), default=0.0),
        worst_gap_ms=max((q.max_gap_ms for q in qualities), default=0.0),
        least_mos=min((q.mos for q in qualities), default=0.0),
        lost_in=dict(lost_in.most_common()),
        unseen=unseen,
        usage=step.usage,
    )
