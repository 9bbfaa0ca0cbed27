"""The number of calls that a line carried, from what each call had between two others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from uclab.capture.dissect import Signalling
from uclab.judge.evidence.load_files import Load, load_load
from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.evidence.run import Run
from uclab.judge.evidence.run_files import RunFiles
from uclab.judge.load.load_levels import LoadLevel, first_missed, level_of
from uclab.judge.load.measured_capacity import check_admission, measured_ways
from uclab.judge.measure.cleartext_search import ReadableSearch
from uclab.judge.measure.flows import FlowTable
from uclab.judge.measure.media import MediaFollower
from uclab.judge.measure.observe import Observations
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.segments import SegmentBytes
from uclab.judge.measure.srtp import KeyRing, MediaSecrecy
from uclab.judge.measure.streams import CallWindow, Hop, Second, Stream
from uclab.judge.result.judgement import Finding
from uclab.model.load import load_topology
from uclab.plan.capacity.capacity_experiment import Measuring, measurable, measuring
from uclab.plan.capacity.experiment_record import MEASURING, Admission
from uclab.plan.load.load_placement import as_judged
from uclab.plan.load.record import CampaignRecord, ClassUse, GeneratorRecord, QueueUse
from uclab.plan.planner import make_plan
from uclab.plan.schema.codec import to_data

pytestmark = [pytest.mark.req("C8"), pytest.mark.req("Q2")]
BEGAN = 1000
DROPS = {"voice": 100, "default": 500}


@cache
def order() -> Measuring:
    loaded = load_topology("small-office")
    plan = make_plan(loaded)
    return measuring(plan, measurable(loaded, plan)[0])


def evidence_of(
    carried: int,
    *,
    placed: int = 22,
    drops: dict[str, int] = DROPS,
    elsewhere: int = 0,
    stumble: int | None = None,
    jitter_ms: float = 1.0,
    refused: int | None = None,
) -> RunEvidence:
    """A line that carries so many calls each way: what is more of packets gets lost, evenly.

    `stumble`: with that number of calls a second was bad for another reason; `elsewhere`: packets lost behind
    the queue; `refused`: the call that the cloud refused.
    """
    record, plan = order().record, as_judged(order().load_plan)
    network = PlannedNetwork(plan)
    index = {endpoint.name: number for number, endpoint in enumerate(network.endpoints)}
    admissions = [Admission(n, BEGAN + record.step_s * n, 200) for n in range(1, refused or placed + 1)]
    if refused:
        admissions.append(Admission(refused, BEGAN + record.step_s * refused, 503, "503 No Media Relay"))
    streams: list[Stream] = []
    hops = {}
    labels = [tap.label for tap in plan.taps]
    end = round(BEGAN + record.step_s * (placed + 1))
    for sender, other, tap in (
        (record.near, record.far, "edge:wan1"),
        (record.far, record.near, "isp1:edge"),
    ):
        for one in admissions:
            at = round(one.at)
            window = CallWindow(f"{sender}-{one.number}", index[sender], -2, 0, 0, 1 << 62)
            stream = Stream(len(streams), index[sender], 0, at * 10**9, window, receiver=index[other])
            for second in range(at, end):
                calls = sum(round(a.at) <= second for a in admissions)
                share = min(1.0, carried / calls)
                if stumble is not None and second == BEGAN + record.step_s * stumble + 1:
                    share = 0.5
                received = round(50 * share)
                stream.seconds[second] = Second(50, received, 20.0 * received, jitter_ms * received)
            sent = 50 * len(stream.seconds)
            arrived = sum(second.received for second in stream.seconds.values())
            for label, packets in (
                (f"{sender}:eth0", sent),
                (tap, arrived + elsewhere),
                (f"{other}:eth0", arrived),
            ):
                hops[(len(streams), labels.index(label), 0)] = Hop(label, "up", packets)
            streams.append(stream)
    queues = tuple(
        QueueUse(
            float(end), tap, tuple(ClassUse(name, 100.0, 100.0, count, 0) for name, count in drops.items())
        )
        for tap in ("edge:wan1", "isp1:edge")
    )
    load = Load(
        generators=(GeneratorRecord(record.near, 0), GeneratorRecord(record.far, 0)),
        queues=queues,
        measuring=record,
        admissions=tuple(admissions),
    )
    seen = Observations(
        FlowTable(),
        MediaFollower(labels, {}, [], streams, hops),
        MediaSecrecy(KeyRing(), frozenset()),
        ReadableSearch.for_accounts([]),
        SegmentBytes(()),
    )
    return RunEvidence(Run(plan, load=load), network, seen, Signalling((), ()))


MANY = {"voice": 10**6, "default": 500}
"""Drops of the queue that account for all that is lost before it."""


def findings(evidence: RunEvidence) -> dict[str, Finding]:
    return {one.id: one for one in check_admission(evidence)}


def test_as_many_as_computed_pass_and_what_gives_way_is_named() -> None:
    evidence = evidence_of(18, drops=MANY)
    found = findings(evidence)["capacity.measured"]
    assert found.verdict == "pass", found.observed
    assert "18 computed, 18 measured, 0.0 % apart" in found.observed
    assert "in queue voice, next bottleneck signalling" in found.observed
    assert [(one.way, one.computed, one.measured, one.gave_way) for one in measured_ways(evidence)] == [
        ("up", 18, 18, "voice"),
        ("down", 18, 18, "voice"),
    ]


@pytest.mark.parametrize("carried", [0, 12, 16])
def test_a_line_that_carries_fewer_fails_and_its_router_is_blamed(carried: int) -> None:
    found = findings(evidence_of(carried, drops=MANY))["capacity.measured"]
    assert (found.verdict, found.blame) == ("fail", "edge")
    assert f"{carried} measured" in found.observed


def test_a_line_that_carries_far_more_fails() -> None:
    found = findings(evidence_of(40, drops=MANY))["capacity.measured"]
    assert found.verdict == "fail"
    assert "22 pass, and no more were placed" in found.observed


@pytest.mark.parametrize(
    ("losses", "missed"),
    [((1, 0, 0, 0), False), ((2, 0, 0, 0), True), ((1, 1, 1, 1), True), ((0,) * 4, False)],
)
def test_a_single_packet_is_no_loss_but_one_of_every_call_is(losses: tuple[int, ...], missed: bool) -> None:
    # given calls of 40 packets each between two others, when so many of them get lost
    streams = []
    for number, lost in enumerate(losses):
        stream = Stream(number, 0, 0, 0, None)
        stream.seconds[7] = Second(40, 40 - lost, 20.0 * (40 - lost), 1.0 * (40 - lost))
        streams.append(stream)
    # then two of one call count, and one of each: more than the policy's 1 % of all
    assert level_of(4, streams, range(7, 8), order().load_plan.plan.policy).missed is missed


def test_one_bad_second_is_no_miss() -> None:
    found = findings(evidence_of(18, drops=MANY, stumble=10))["capacity.measured"]
    assert found.verdict == "pass", found.observed


@pytest.mark.parametrize(("measured", "apart_pct"), [(17, 5.56), (18, 0.0), (19, 0.0), (20, 5.26)])
def test_a_call_more_is_right_where_the_policy_allows_its_loss(measured: int, apart_pct: float) -> None:
    # given 18.9 calls by rate, of which the policy lets 1 % get lost: 19.1
    (down,) = [way for way in order().record.ways if way.way == "down"]
    assert (down.calls, down.calls_lossy) == (18, 19)
    one = next(way for way in measured_ways(evidence_of(18, drops=MANY)) if way.way == "down")
    assert replace(one, measured=measured).apart_pct == pytest.approx(apart_pct, abs=0.01)


def test_jitter_beyond_the_policy_is_a_miss() -> None:
    found = findings(evidence_of(18, drops=MANY, jitter_ms=31))["capacity.measured"]
    assert found.verdict == "fail"
    assert "0 measured" in found.observed


def test_loss_behind_the_queue_is_not_the_lines() -> None:
    found = findings(evidence_of(16, elsewhere=200, drops=MANY))["capacity.measured"]
    assert found.verdict == "not-shown"
    assert "lost behind the queue" in found.observed


def test_loss_that_the_queue_did_not_drop_is_not_the_lines() -> None:
    found = findings(evidence_of(12, drops={"voice": 3, "default": 500}))["capacity.measured"]
    assert found.verdict == "not-shown"
    assert "3 of them by its queue" in found.observed


def test_without_overload_nothing_is_shown() -> None:
    found = findings(evidence_of(18, drops={"voice": 10**6, "default": 0}))["capacity.measured"]
    assert found.verdict == "not-shown"
    assert "bulk did not overload the line" in found.observed


def test_a_call_that_the_cloud_refuses_is_its_own_finding() -> None:
    found = findings(evidence_of(18, drops=MANY, refused=9))
    assert found["capacity.admitted"].verdict == "fail"
    assert "call 9: 503 No Media Relay" in found["capacity.admitted"].observed
    assert found["capacity.measured"].verdict != "pass"


def test_without_calls_nothing_is_shown() -> None:
    evidence = evidence_of(18)
    empty = replace(evidence.run.load, admissions=())
    found = {
        one.id: one.verdict
        for one in check_admission(replace(evidence, run=replace(evidence.run, load=empty)))
    }
    assert found == {"capacity.admitted": "not-shown", "capacity.measured": "not-shown"}


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ([], None),
        ([False, False], None),
        ([False, True, True, True, False], 2),
        ([False, True, False, True, True], 4),
        ([True, True, True], 1),
        ([False, False, True], 3),
    ],
)
def test_a_miss_counts_when_it_stays(missed: Sequence[bool], expected: int | None) -> None:
    steps = [LoadLevel(n, one, 0.0, 0.0, 20.0) for n, one in enumerate(missed, start=1)]
    found = first_missed(steps, order().load_plan.plan.policy)
    assert (found.calls if found else None) == expected


def test_files_are_read(tmp_path: Path) -> None:
    record = order().record
    folder = tmp_path / "campaign"
    folder.mkdir()
    (folder / MEASURING).write_text(json.dumps(to_data(record)))
    campaign = CampaignRecord("capacity", 2, True, ())
    (folder / "campaign.json").write_text(json.dumps(to_data(campaign)))
    (folder / f"{record.near}.admissions.jsonl").write_text(
        json.dumps(to_data(Admission(1, 2.0, 200))) + "\n"
    )
    load = load_load(RunFiles(tmp_path))
    assert (load.measuring, load.admissions) == (record, (Admission(1, 2.0, 200),))


def test_a_row_of_unlucky_steps_on_a_line_within_the_policy_is_no_miss() -> None:
    # given 15 calls of 33 packets between two others, on a line that loses 0.8 %: 4 are lost, sometimes 6
    def step(calls: int, lost: int) -> LoadLevel:
        share = 100 * lost / (33 * calls)
        return LoadLevel(calls, share >= 1, share, 6.1, 20.0, lost, 33 * calls, 2, 33, otherwise=False)

    policy = order().load_plan.plan.policy
    unlucky = [step(15, 4), step(15, 6), step(15, 5), step(16, 6), step(16, 4)]
    assert [one.missed for one in unlucky] == [False, True, True, True, False]
    # then they are no miss, and four times as much is one
    assert first_missed(unlucky, policy) is None
    assert first_missed([step(15, 4), *(step(15, 20) for _ in range(3))], policy) is not None
