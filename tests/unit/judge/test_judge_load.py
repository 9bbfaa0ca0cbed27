"""Findings about campaigns fail when what they claim is not so."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from testbed.plans import shipped_plan
from uclab.capture.dissect import Signalling
from uclab.judge.evidence.load_files import Leg, Load, load_load
from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.evidence.run import Run
from uclab.judge.evidence.run_files import RunFiles
from uclab.judge.load.findings import check_load
from uclab.judge.load.series import load_series
from uclab.judge.measure.cleartext_search import ReadableSearch
from uclab.judge.measure.flows import FlowTable
from uclab.judge.measure.media import MediaFollower
from uclab.judge.measure.observe import Observations
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.segments import SegmentBytes
from uclab.judge.measure.srtp import KeyRing, MediaSecrecy
from uclab.judge.measure.streams import Second, Stream, leg_windows, window_for
from uclab.judge.result.judgement import Finding
from uclab.plan.load.load_placement import as_judged, with_load
from uclab.plan.load.record import (
    CallerRecord,
    CampaignRecord,
    ClassUse,
    GeneratorRecord,
    LegRecord,
    QueueUse,
    RegistrationRecord,
    Usage,
)
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import Plan

pytestmark = pytest.mark.req("D11")

REGISTERED = tuple(RegistrationRecord(f"70000{n}", 100.0 + n, 200, 30.0 + n) for n in range(1, 5))
CALLER = LegRecord(
    "700001", "700002", "caller", "desk", 200, 110.0, 111.0, 115.0, 60.0, 1000.0, 30_000, 200, 200, 0, 0, True
)
CALLEE = LegRecord(
    "700002",
    "<sip:700001@x>",
    "callee",
    "desk",
    200,
    110.1,
    111.0,
    115.0,
    media_port=30_010,
    sent=200,
    received=200,
    heard=True,
)
GOOD = Load(
    users=4,
    calls_expected=True,
    generators=(GeneratorRecord("load1", 0), GeneratorRecord("load2", 0)),
    registrations=REGISTERED,
    legs=(Leg("load1-1", "load1", CALLER), Leg("load2-1", "load2", CALLEE)),
    usage=(Usage(111.0, "fra1-sbc kamailio", 3.0), Usage(112.0, "fra1-sbc kamailio", 5.0)),
    queues=(
        QueueUse(111.2, "edge:wan1", (ClassUse("voice", 1164.0, 90.0, 0, 0),)),
        QueueUse(112.2, "edge:wan1", (ClassUse("voice", 1164.0, 180.0, 7, 3),)),
    ),
)


@cache
def plan() -> Plan:
    return as_judged(with_load(shipped_plan("small-office"), 4, 2))


def evidence_of(load: Load, lost: int = 0, delay_ms: float = 20.0) -> RunEvidence:
    """A campaign's evidence: both generators send 1,000 packets in a call; `lost` of a hundred are lost."""
    network = PlannedNetwork(plan())
    index = {endpoint.name: number for number, endpoint in enumerate(network.endpoints)}
    windows = leg_windows(load.legs, index)
    streams = []
    for number, leg in enumerate(leg for leg in load.legs if leg.record.media_port is not None):
        sender, at = index[leg.generator], 111_200_000_000
        window = window_for(windows, sender, at, leg.record.media_port or 0)
        received = 1000 - 10 * lost
        stream = Stream(number, sender, 0, at, window, receiver=index["load1"], sent=1000, received=received)
        stream.delay_sum_ms = delay_ms * received
        for second in range(111, 131):
            stream.seconds[second] = Second(50, received // 20, delay_ms * received / 20)
        streams.append(stream)
    labels = [tap.label for tap in network.plan.taps]
    seen = Observations(
        FlowTable(),
        MediaFollower(labels, {}, windows, streams),
        MediaSecrecy(KeyRing(), frozenset()),
        ReadableSearch.for_accounts([]),
        SegmentBytes(()),
    )
    return RunEvidence(Run(network.plan, load=load), network, seen, Signalling((), ()))


def findings(load: Load, lost: int = 0, delay_ms: float = 20.0) -> dict[tuple[str, str], Finding]:
    return {(one.id, one.subject): one for one in check_load(evidence_of(load, lost, delay_ms))}


def failed(load: Load, lost: int = 0, delay_ms: float = 20.0) -> set[str]:
    return {id_ for (id_, _), one in findings(load, lost, delay_ms).items() if one.verdict != "pass"}


def test_a_good_campaign_holds_and_says_what_was_seen() -> None:
    held = findings(GOOD)
    assert failed(GOOD) == set()
    assert {id_ for id_, _ in held} == {
        *("load.generators", "load.registered", "load.established", "load.heard", "load.quality")
    }
    assert "RRD 32 ms median" in held["load.registered", "registrations"].observed
    assert "SER 100.0 %, SEER 100.0 %; SRD 60 ms median" in held["load.established", "desk"].observed
    assert "1 of 1 directions pass" in held["load.quality", "voice from load2"].observed


def test_a_generator_that_was_killed_fails_and_is_named() -> None:
    killed = replace(GOOD, generators=(GOOD.generators[0], GeneratorRecord("load2", -9, "out of memory")))
    finding = findings(killed)["load.generators", "load2"]
    assert (finding.verdict, finding.blame) == ("fail", "load2")
    assert "signal 9" in finding.observed
    hung = replace(GOOD, generators=(GOOD.generators[0], GeneratorRecord("load2", None)))
    assert "did not end by itself" in findings(hung)["load.generators", "load2"].observed


def test_a_generator_whose_records_are_not_whole_fails_and_is_named() -> None:
    lost = GeneratorRecord("load2", 0, trouble="was lost before it signed off")
    finding = findings(replace(GOOD, generators=(GOOD.generators[0], lost)))["load.generators", "load2"]
    assert (finding.verdict, finding.blame) == ("fail", "load2")
    assert finding.observed.startswith("was lost before it signed off; its users are missing")


def test_a_user_that_never_registered_and_one_that_was_refused_fail() -> None:
    missing = findings(replace(GOOD, registrations=REGISTERED[:3]))["load.registered", "registrations"]
    assert (missing.verdict, missing.observed[:17]) == ("fail", "3 of 4 registered")
    refused = (*REGISTERED, RegistrationRecord("700003", 120.0, 403, 20.0, "Forbidden"))
    finding = findings(replace(GOOD, registrations=refused))["load.registered", "registrations"]
    assert finding.verdict == "fail"
    assert "1 times `403 Forbidden` (700003)" in finding.observed
    assert (
        findings(replace(GOOD, registrations=()))["load.registered", "registrations"].verdict == "not-shown"
    )


@pytest.mark.parametrize(
    ("status", "verdict"), [(480, "pass"), (486, "pass"), (408, "fail"), (503, "fail"), (0, "fail")]
)
def test_only_who_was_not_reached_fails(status: int, verdict: str) -> None:
    # RFC 6076 section 4.7: a called side that is busy or not there was reached
    call = LegRecord("700003", "700004", "caller", "desk", status, 112.0, error="why")
    load = replace(GOOD, legs=(*GOOD.legs, Leg("load1-2", "load1", call)))
    finding = findings(load)["load.established", "desk"]
    assert finding.verdict == verdict
    assert "2 calls, SER 50.0 %" in finding.observed


def test_a_side_that_hears_nothing_or_forged_packets_fails() -> None:
    deaf = replace(GOOD, legs=(GOOD.legs[0], Leg("load2-1", "load2", replace(CALLEE, heard=False))))
    assert failed(deaf) == {"load.heard"}
    forged = replace(GOOD, legs=(GOOD.legs[0], Leg("load2-1", "load2", replace(CALLEE, unauthentic=3))))
    assert failed(forged) == {"load.heard"}


@pytest.mark.parametrize(("seconds", "verdict"), [(0.002, "not-shown"), (0.6, "fail")])
def test_who_hangs_up_at_once_need_not_have_heard(seconds: float, verdict: str) -> None:
    deaf = replace(CALLEE, heard=False, ended_at=111.0 + seconds)
    load = replace(GOOD, legs=(Leg("load2-1", "load2", deaf),))
    assert findings(load)["load.heard", "voice"].verdict == verdict


@pytest.mark.req("C8")
@pytest.mark.parametrize(("lost", "delay_ms"), [(4, 20.0), (0, 400.0), (100, 20.0)])
def test_voice_that_misses_the_policy_fails(lost: int, delay_ms: float) -> None:
    assert failed(GOOD, lost, delay_ms) == {"load.quality"}


def test_a_call_that_was_held_is_no_measure_of_the_network() -> None:
    held = tuple(replace(leg, record=replace(leg.record, offers=1)) for leg in GOOD.legs)
    assert (
        findings(replace(GOOD, legs=held), lost=4)["load.quality", "voice from load1"].verdict == "not-shown"
    )


def test_calls_that_were_expected_and_not_placed_are_not_shown() -> None:
    silent = replace(GOOD, legs=())
    assert failed(silent) == {"load.established", "load.heard", "load.quality"}
    # and nothing is claimed of calls where nobody was to call
    assert failed(replace(silent, calls_expected=False)) == set()


CALLER_OUTSIDE = replace(CALLER, user="+4930553801", peer="+4930552700001", kind="pstn", media_port=30_020)
CALLED_INSIDE = replace(CALLEE, peer="<sip:+4930553801@pstn.x>", kind="desk-outside", media_port=30_030)
CALLER_INSIDE = replace(CALLER, peer="+4930553801", kind="desk-outside", media_port=30_040)
CALLED_OUTSIDE = replace(
    CALLEE, user="+4930553801", peer="sip:+4930552700001@x", kind="pstn", media_port=30_050
)
ACROSS = replace(
    GOOD,
    users=5,
    callers=1,
    generators=(*GOOD.generators, GeneratorRecord("pstn", 0)),
    legs=(
        *GOOD.legs,
        Leg("pstn-1", "pstn", CALLER_OUTSIDE),
        Leg("load2-2", "load2", CALLED_INSIDE),
        Leg("load1-2", "load1", CALLER_INSIDE),
        Leg("pstn-2", "pstn", CALLED_OUTSIDE),
    ),
)


def with_leg(number: int, **change: Any) -> Load:
    """The campaign with calls over the trunk, one of whose sides went another way."""
    legs = list(ACROSS.legs)
    legs[number] = replace(legs[number], record=replace(legs[number].record, **change))
    return replace(ACROSS, legs=tuple(legs))


def broken(load: Load) -> set[tuple[str, str]]:
    return {(one.id, one.subject) for one in findings(load).values() if one.verdict != "pass"}


@pytest.mark.req("C3", "C4")
def test_calls_over_the_trunk_are_told_apart_from_those_within() -> None:
    held = findings(ACROSS)
    assert broken(ACROSS) == set()
    # given a user in the telephone network, then nobody waits for it to register
    assert "4 of 4 registered" in held["load.registered", "registrations"].observed
    assert {subject for id_, subject in held if id_ == "load.established"} == {"desk", "desk-outside", "pstn"}
    assert "4 of 4 sides heard" in held["load.heard", "voice over the trunk"].observed
    assert "2 of 2 sides heard" in held["load.heard", "voice"].observed
    assert "2 of 2 directions pass" in held["load.quality", "voice from pstn"].observed


@pytest.mark.req("C3", "C4")
@pytest.mark.parametrize(
    ("number", "change", "finding"),
    [
        (2, {"status": 403, "answered_at": None, "media_port": None}, ("load.established", "pstn")),
        (4, {"status": 478, "answered_at": None, "media_port": None}, ("load.established", "desk-outside")),
        (2, {"heard": False}, ("load.heard", "voice over the trunk")),
        (3, {"heard": False}, ("load.heard", "voice over the trunk")),
        (5, {"unauthentic": 2}, ("load.heard", "voice over the trunk")),
        (1, {"heard": False}, ("load.heard", "voice")),
    ],
)
def test_each_way_over_the_trunk_can_fail_alone(
    number: int, change: dict[str, Any], finding: tuple[str, str]
) -> None:
    assert broken(with_leg(number, **change)) == {finding}


@pytest.mark.req("C8")
def test_voice_from_outside_that_misses_the_policy_fails() -> None:
    lossy = {one.subject for one in findings(ACROSS, lost=10).values() if one.verdict == "fail"}
    assert "voice from pstn" in lossy


def test_a_caller_outside_that_never_began_is_missed() -> None:
    # given five users of whom one should be outside, and nobody began there
    finding = findings(replace(ACROSS, callers=0))["load.registered", "registrations"]
    assert (finding.verdict, finding.observed[:17]) == ("fail", "4 of 5 registered")


def test_where_all_calls_went_over_the_trunk_nothing_is_said_of_others() -> None:
    only = replace(ACROSS, legs=ACROSS.legs[2:])
    assert ("load.heard", "voice") not in findings(only)
    assert ("load.heard", "voice over the trunk") in findings(only)


def test_records_are_read_back_and_a_cut_off_last_line_is_no_evidence(tmp_path: Path) -> None:
    record = CampaignRecord("busy-hour", 4, True, GOOD.generators)
    folder = tmp_path / "campaign"
    folder.mkdir()
    (folder / "campaign.json").write_text(json.dumps(to_data(record)))
    (folder / "load1.legs.jsonl").write_text(json.dumps(to_data(CALLER)) + "\n" + '{"user": "70')
    (folder / "load2.legs.jsonl").write_text(json.dumps(to_data(CALLEE)) + "\n")
    lines = [json.dumps(to_data(one)) + "\n" for one in REGISTERED]
    (folder / "load1.accounts.jsonl").write_text("".join(lines))
    (folder / "usage.jsonl").write_text("".join(json.dumps(to_data(one)) + "\n" for one in GOOD.usage))
    uses = "".join(json.dumps(to_data(one)) + "\n" for one in GOOD.queues)
    (folder / "queues.jsonl").write_text(uses)
    assert load_load(RunFiles(tmp_path)) == GOOD
    callers = [CallerRecord("+4930553801", 100.0, 1), CallerRecord("+4930553802", 100.5, 2)]
    (folder / "load2.callers.jsonl").write_text("".join(json.dumps(to_data(one)) + "\n" for one in callers))
    assert load_load(RunFiles(tmp_path)) == replace(GOOD, callers=2)
    assert load_load(RunFiles(folder)) == Load()
    (folder / "load1.legs.jsonl").write_text('{"nobody": 1}\n')
    with pytest.raises(ValueError, match=r"load1\.legs\.jsonl, line 1"):
        load_load(RunFiles(tmp_path))


def test_a_campaign_is_drawn_on_one_time_line() -> None:
    series = {(one.kind, one.subject): one for one in load_series(evidence_of(GOOD, lost=10))}
    assert series["calls", "in progress"].values == (1.0, 1.0, 1.0, 1.0)
    assert series["registrations", "granted"].values == (1.0, 1.0, 1.0, 1.0)
    assert series["setup_ms", "SRD"].values == (60.0,)
    assert series["media_loss_pct", "all directions"].values == (10.0,) * 20
    assert series["cpu_pct", "fra1-sbc kamailio"].values == (3.0, 5.0)
    queues = {one.kind: one for one in load_series(evidence_of(GOOD)) if one.subject == "edge:wan1"}
    assert {one.label for one in queues.values()} == {"voice"}
    assert queues["queue_kbps"].values == (90.0, 180.0)
    assert queues["queue_guaranteed_kbps"].values == (1164.0, 1164.0)
    assert queues["queue_dropped"].values == (0.0, 7.0)
    assert list(load_series(evidence_of(Load()))) == []
