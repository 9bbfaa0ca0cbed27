"""How many calls a line carried: calls were placed one after another, and voice was watched from call to call
until it violated the policy's limits (`capacity.*`; C8, Q2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from uclab.judge.check import CHECKS, Check, FindingKind
from uclab.judge.load.load_levels import LoadLevel, first_missed, sent_by, steps_of
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding, MeasuredWay
from uclab.plan.capacity.experiment_record import MeasuringRecord, WayRecord

ELSEWHERE = 2
"""So many times more voice lost than the queue dropped: somebody else has lost it."""


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
    mine = {number for number, _ in sent_by(evidence, sender)}
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
            for queue_class in use.classes:
                found[queue_class.name] = found.get(queue_class.name, 0) + queue_class.dropped
    return found


def _admitted(evidence: RunEvidence, record: MeasuringRecord) -> Finding:
    claim = Claim("capacity.admitted", ("D3", "Q2"), "calls", "every call that is placed is answered")
    refused = [admission for admission in evidence.run.load.admissions if not 200 <= admission.status < 300]
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
    narrow = min(found, key=lambda measured_way: measured_way.measured)
    summary = "; ".join(map(in_words, found))
    numbers = f"{narrow.computed_words} computed, {narrow.measured} measured"
    observed = f"{numbers}, {narrow.apart_pct:.1f} % apart; {summary}"
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


def _gave_way_elsewhere(measured_way: MeasuredWay, way: WayRecord) -> str | None:
    """Where voice was lost, if not in the line's queue."""
    if measured_way.lost_elsewhere > measured_way.lost_in_queue:
        return (
            f"{measured_way.lost_elsewhere} packets of voice were lost behind the queue,"
            f" {measured_way.lost_in_queue} before it"
        )
    dropped = sum(count for name, count in measured_way.dropped.items() if name != way.others)
    if measured_way.next and measured_way.lost_in_queue > ELSEWHERE * max(dropped, 1):
        return (
            f"{measured_way.lost_in_queue} packets of voice were lost before the line,"
            f" {dropped} of them by its queue"
        )
    return None


def in_words(measured_way: MeasuredWay) -> str:
    """A direction in words."""
    if measured_way.loss_pct is None:
        return f"{measured_way.way}: {measured_way.measured} pass, and no more were placed"
    held = "no more than " if measured_way.bound == "at most" else ""
    after = f", next bottleneck {measured_way.next}" if measured_way.next else ""
    where = f", in queue {measured_way.gave_way}" if measured_way.gave_way else ""
    return (
        f"{measured_way.way}: {held}{measured_way.measured} pass,"
        f" with one more {measured_way.loss_pct:.1f} % are lost"
        f" (a call's most {measured_way.worst_loss_pct:.1f} %){where}{after}"
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
