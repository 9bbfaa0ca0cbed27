"""What voice was like at each number of calls of a measurement, and from which on it violates the policy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uclab.judge.measure import emodel
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Stream
from uclab.judge.quality.figures import beyond, rating
from uclab.plan.capacity.experiment_record import Admission, MeasuringRecord, WayRecord
from uclab.plan.paths.loss_interval import loss_interval
from uclab.plan.schema.plan import Policy

SETTLE_S = 0.3
"""After a call was answered, until it counts: its packets are on their way, and the queue has filled."""


IN_A_ROW = 3
"""Voice is missed where it is missed with that many calls in a row, or to the end: a machine may stumble."""


ONE = 1
"""Packets that one call may lose without a word on its loss: of 60 ms there are 33 between two calls."""


@dataclass(frozen=True)
class LoadLevel:
    """With so many calls at once, what the worst of them had in the seconds before the next one."""

    calls: int
    missed: bool
    loss_pct: float
    """Of all calls together."""
    worst_loss_pct: float
    delay_ms: float
    """Mean of the call with the longest."""
    lost: int = 0
    sent: int = 0
    """Packets of all calls together."""
    worst_lost: int = 0
    worst_sent: int = 0
    """Of the call that lost most."""
    otherwise: bool = True
    """Missed by more than loss, which alone a few packets may be by chance."""


def steps_of(evidence: RunEvidence, record: MeasuringRecord, way: WayRecord) -> list[LoadLevel]:
    """One for each call that stood for at least a whole second before the next one."""
    sender, _ = record.parties(way)
    streams = [stream for _, stream in sent_by(evidence, sender)]
    end = min((stream.window.end_ns / 1e9 for stream in streams if stream.window), default=0.0)
    answered = [admission for admission in evidence.run.load.admissions if 200 <= admission.status < 300]
    steps = []
    for admission, after in itertools.zip_longest(answered, answered[1:]):
        seconds = _whole_seconds(admission, after, record, end)
        running = [stream for stream in streams if stream.first_ns <= admission.at * 1e9 + SETTLE_S * 1e9]
        if seconds and running:
            steps.append(level_of(admission.number, running, seconds, evidence.network.policy))
    return steps


def sent_by(evidence: RunEvidence, sender: str) -> Iterator[tuple[int, Stream]]:
    """The streams of calls that a generator sends, with their numbers."""
    for number, stream in enumerate(evidence.seen.media.streams):
        if stream.window is not None and evidence.endpoint_name(stream.sender) == sender:
            yield number, stream


def _whole_seconds(
    admission: Admission, after: Admission | None, record: MeasuringRecord, end: float
) -> range:
    """The seconds since the epoch that lie wholly between two calls."""
    until = after.at if after is not None else min(admission.at + record.step_s, end)
    # what was sent at the very end of a second is heard within the next one's beginning, before the next call
    return range(math.ceil(admission.at + SETTLE_S), math.floor(until - 0.05))


def level_of(calls: int, streams: Sequence[Stream], seconds: range, policy: Policy) -> LoadLevel:
    missed, otherwise, sent_all, received_all, longest = False, False, 0, 0, 0.0
    worst, worst_lost, worst_sent = 0.0, 0, 0
    for stream in streams:
        parts = [stream.seconds[second] for second in seconds if second in stream.seconds]
        sent, received = sum(part.sent for part in parts), sum(part.received for part in parts)
        if not sent:
            missed = otherwise = True  # a call that stands and of which nothing is sent is none
            continue
        lost = max(sent - received, 0)
        loss_pct = 100 * lost / sent if lost > ONE else 0.0
        delay_ms = sum(part.delay_sum_ms for part in parts) / received if received else math.inf
        jitter_ms = sum(part.jitter_sum_ms for part in parts) / received if received else math.inf
        missed |= _misses(loss_pct, delay_ms, jitter_ms, stream, policy)
        otherwise |= _misses(0.0 if received else 100.0, delay_ms, jitter_ms, stream, policy)
        sent_all, received_all = sent_all + sent, received_all + min(received, sent)
        longest = max(longest, delay_ms)
        if loss_pct > worst:
            worst, worst_lost, worst_sent = loss_pct, lost, sent
    loss_pct = 100 * (sent_all - received_all) / sent_all if sent_all else 100.0
    missed |= loss_pct >= policy.max_loss_pct
    return LoadLevel(
        calls,
        missed,
        round(loss_pct, 2),
        round(worst, 2),
        round(longest, 1),
        sent_all - received_all,
        sent_all,
        worst_lost,
        worst_sent,
        otherwise,
    )


def _misses(loss_pct: float, delay_ms: float, jitter_ms: float, stream: Stream, policy: Policy) -> bool:
    if loss_pct >= 100:
        return True
    mos = emodel.mos(rating(stream, loss_pct, delay_ms, jitter_ms))
    return beyond(policy, loss_pct, delay_ms, jitter_ms, mos)


def first_missed(steps: Sequence[LoadLevel], policy: Policy) -> LoadLevel | None:
    """The first step from which on voice is missed `IN_A_ROW` times, or to the end; where by loss alone, by
    more than chance explains: on a line that loses a little of everything there are such rows."""
    for at, step in enumerate(steps):
        row = steps[at : at + IN_A_ROW]
        if all(level.missed for level in row) and _beyond_chance(row, policy):
            return step
    return None


def _beyond_chance(row: Sequence[LoadLevel], policy: Policy) -> bool:
    """Whether these steps together, or the worst call of one of them, are shown to be beyond the limit."""
    sure, limit = policy.confidence, policy.max_loss_pct / 100
    if any(load_level.otherwise for load_level in row):
        return True
    lost, sent = sum(load_level.lost for load_level in row), sum(load_level.sent for load_level in row)
    if sent and loss_interval(lost, sent, sure.level).beyond(limit):
        return True
    level = 1 - sure.accused_pct / 100 / max(2, sum(load_level.calls for load_level in row))
    return any(
        load_level.worst_sent > 0
        and loss_interval(load_level.worst_lost, load_level.worst_sent, level).beyond(limit)
        for load_level in row
    )
