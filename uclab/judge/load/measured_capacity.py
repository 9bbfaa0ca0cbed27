"""How many calls a line carried: calls were placed one after another, and voice was watched from call to call
until it violated the policy's limits (`capacity.*`; C8, Q2)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from uclab.judge.check import CHECKS, Check, FindingKind
from uclab.judge.measure import emodel
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Stream
from uclab.judge.quality.figures import beyond, rating
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding, MeasuredWay
from uclab.plan.capacity.experiment_record import Admission, MeasuringRecord, WayRecord
from uclab.plan.paths.loss_interval import loss_interval
from uclab.plan.schema.plan import Policy

SETTLE_S = 0.3
"""After a call was answered, until it counts: its packets are on their way, and the queue has filled."""
ELSEWHERE = 2
"""So many times more voice lost than the queue dropped: somebody else has lost it."""
ONE = 1
"""Packets that one call may lose without a word on its loss: of 60 ms there are 33 between two calls."""
IN_A_ROW = 3
"""Voice is missed where it is missed with that many calls in a row, or to the end: a machine may stumble."""


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


def check_admission(evidence: RunEvidence) -> Iterator[Finding]:
    """Whether all calls were taken, and whether as many held as were computed."""
    record = evidence.run.load.measuring
    if record is None:
        return
    yield _admitted(evidence, record)
    subject = f"{record.site}/{record.line}"
    apart_pct = evidence.network.policy.tolerances.capacity_apart_pct
    claim = Claim(
        "capacity.measured",
        ("C8", "Q2"),
        subject,
        f"computed and measured number of calls are less than {apart_pct:g} % apart",
    )
    found = measured_ways(evidence)
    if not found:
        yield claim.not_shown("no call was observed for long enough")
        return
    yield _apart(evidence, record, claim, found)


def measured_ways(evidence: RunEvidence) -> tuple[MeasuredWay, ...]:
    """Each direction that was measured; none where nothing was."""
    record = evidence.run.load.measuring
    if record is None:
        return ()
    found = []
    for way in record.ways:
        steps = steps_of(evidence, record, way)
        if steps:
            found.append(_measured(evidence, record, way, steps))
    return tuple(found)


def steps_of(evidence: RunEvidence, record: MeasuringRecord, way: WayRecord) -> list[LoadLevel]:
    """One for each call that stood for at least a whole second before the next one."""
    sender, _ = record.parties(way)
    streams = [stream for _, stream in _sent_by(evidence, sender)]
    end = min((stream.window.end_ns / 1e9 for stream in streams if stream.window), default=0.0)
    answered = [one for one in evidence.run.load.admissions if 200 <= one.status < 300]
    steps = []
    for one, after in itertools.zip_longest(answered, answered[1:]):
        seconds = _whole_seconds(one, after, record, end)
        there = [stream for stream in streams if stream.first_ns <= one.at * 1e9 + SETTLE_S * 1e9]
        if seconds and there:
            steps.append(_step(one.number, there, seconds, evidence.network.policy))
    return steps


def _sent_by(evidence: RunEvidence, sender: str) -> Iterator[tuple[int, Stream]]:
    """The streams of calls that a generator sends, with their numbers."""
    for number, stream in enumerate(evidence.seen.media.streams):
        if stream.window is not None and evidence.endpoint_name(stream.sender) == sender:
            yield number, stream


def _whole_seconds(one: Admission, after: Admission | None, record: MeasuringRecord, end: float) -> range:
    """The seconds since the epoch that lie wholly between two calls."""
    until = after.at if after is not None else min(one.at + record.step_s, end)
    # what was sent at the very end of a second is heard within the next one's beginning, before the next call
    return range(math.ceil(one.at + SETTLE_S), math.floor(until - 0.05))


def _step(calls: int, streams: Sequence[Stream], seconds: range, policy: Policy) -> LoadLevel:
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
        if all(one.missed for one in row) and _beyond_chance(row, policy):
            return step
    return None


def _beyond_chance(row: Sequence[LoadLevel], policy: Policy) -> bool:
    """Whether these steps together, or the worst call of one of them, are shown to be beyond the limit."""
    sure, limit = policy.confidence, policy.max_loss_pct / 100
    if any(one.otherwise for one in row):
        return True
    lost, sent = sum(one.lost for one in row), sum(one.sent for one in row)
    if sent and loss_interval(lost, sent, sure.level).beyond(limit):
        return True
    level = 1 - sure.accused_pct / 100 / max(2, sum(one.calls for one in row))
    return any(
        one.worst_sent > 0 and loss_interval(one.worst_lost, one.worst_sent, level).beyond(limit)
        for one in row
    )


def _measured(
    evidence: RunEvidence, record: MeasuringRecord, way: WayRecord, steps: Sequence[LoadLevel]
) -> MeasuredWay:
    missed = first_missed(steps, evidence.network.policy)
    held = steps[-1].calls if missed is None else missed.calls - 1
    in_queue, elsewhere = _where_lost(evidence, record, way)
    dropped = _dropped(evidence, way)
    return MeasuredWay(
        line=f"{record.site}/{record.line}",
        way=way.way,
        codec=record.codec.name,
        packet_ms=record.codec.packet_ms,
        computed=way.calls,
        computed_lossy=way.calls_lossy,
        measured=held,
        bound=_bound(steps, missed),
        loss_pct=missed.loss_pct if missed else None,
        worst_loss_pct=missed.worst_loss_pct if missed else None,
        delay_ms=missed.delay_ms if missed else None,
        lost_in_queue=in_queue,
        lost_elsewhere=elsewhere,
        dropped=dropped,
        gave_way=max(
            (n for n in dropped if n != way.others and dropped[n]), key=dropped.__getitem__, default=None
        ),
        next=way.next,
    )


def _bound(steps: Sequence[LoadLevel], missed: LoadLevel | None) -> Literal["exactly", "at least", "at most"]:
    if missed is None:
        return "at least"
    return "at most" if missed is steps[0] and missed.calls > 1 else "exactly"


def _where_lost(evidence: RunEvidence, record: MeasuringRecord, way: WayRecord) -> tuple[int, int]:
    """Packets lost between the sender and the line, where the queue stands; and behind the line."""
    sender, receiver = record.parties(way)
    mine = {number for number, _ in _sent_by(evidence, sender)}
    packets: dict[str, int] = {}
    for (stream, _, _), hop in evidence.seen.media.hops.items():
        if stream in mine:
            packets[hop.tap] = packets.get(hop.tap, 0) + hop.packets
    sent, passed = packets.get(f"{sender}:eth0", 0), packets.get(way.tap, 0)
    arrived = packets.get(f"{receiver}:eth0", 0)
    return max(sent - passed, 0), max(passed - arrived, 0)


def _dropped(evidence: RunEvidence, way: WayRecord) -> dict[str, int]:
    """Packets that each class of the queue had no room for."""
    found: dict[str, int] = {}
    for use in evidence.run.load.queues:
        if use.tap == way.tap:
            for one in use.classes:
                found[one.name] = found.get(one.name, 0) + one.dropped
    return found


def _admitted(evidence: RunEvidence, record: MeasuringRecord) -> Finding:
    claim = Claim("capacity.admitted", ("D3", "Q2"), "calls", "every call that is placed is answered")
    refused = [one for one in evidence.run.load.admissions if not 200 <= one.status < 300]
    if not evidence.run.load.admissions:
        return claim.not_shown("no call was placed")
    if refused:
        first = refused[0]
        return claim.failed(
            f"call {first.number}: {first.error or first.status}: the cloud is the bottleneck"
        )
    return claim.passed(f"{len(evidence.run.load.admissions)} calls")


def _apart(
    evidence: RunEvidence, record: MeasuringRecord, claim: Claim, found: Sequence[MeasuredWay]
) -> Finding:
    narrow = min(found, key=lambda one: one.measured)
    words = "; ".join(map(in_words, found))
    numbers = f"{narrow.computed_words} computed, {narrow.measured} measured"
    observed = f"{numbers}, {narrow.apart_pct:.1f} % apart; {words}"
    way = next(way for way in record.ways if way.way == narrow.way)
    proof = Evidence(way.tap)
    if elsewhere := _gave_way_elsewhere(narrow, way):
        return claim.not_shown(f"{elsewhere}: the lab host is the bottleneck; {observed}", proof)
    if record.overloaded and not narrow.dropped.get(way.others):
        return claim.not_shown(f"bulk did not overload the line; {observed}", proof)
    if narrow.apart_pct >= evidence.network.policy.tolerances.capacity_apart_pct:
        return claim.failed(observed, proof, way.device)
    if narrow.bound != "exactly":
        return claim.not_shown(f"calls ended before the number was known; {observed}", proof)
    return claim.passed(observed, proof)


def _gave_way_elsewhere(one: MeasuredWay, way: WayRecord) -> str | None:
    """Where voice was lost, if not in the line's queue."""
    if one.lost_elsewhere > one.lost_in_queue:
        return (
            f"{one.lost_elsewhere} packets of voice were lost behind the queue, {one.lost_in_queue} before it"
        )
    dropped = sum(count for name, count in one.dropped.items() if name != way.others)
    if one.next and one.lost_in_queue > ELSEWHERE * max(dropped, 1):
        return (
            f"{one.lost_in_queue} packets of voice were lost before the line, {dropped} of them by its queue"
        )
    return None


def in_words(one: MeasuredWay) -> str:
    """A direction in words."""
    if one.loss_pct is None:
        return f"{one.way}: {one.measured} pass, and no more were placed"
    held = "no more than " if one.bound == "at most" else ""
    after = f", next bottleneck {one.next}" if one.next else ""
    where = f", in queue {one.gave_way}" if one.gave_way else ""
    return (
        f"{one.way}: {held}{one.measured} pass, with one more {one.loss_pct:.1f} % are lost"
        f" (a call's most {one.worst_loss_pct:.1f} %){where}{after}"
    )


CHECKS.declare(
    "capacity",
    Check(
        frozenset(("capacity",)),
        lambda run: check_admission(run.evidence),
        (
            FindingKind(
                "capacity.*",
                ("C8", "Q2"),
                "only of a [measurement of capacity](capacity.md#measurement): whether a line carries "
                "as many calls as computed",
            ),
        ),
    ),
)
