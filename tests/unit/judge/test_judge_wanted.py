"""A check of what nobody asked for is not applicable; a verdict says how near it was."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from testbed.made_up_network import reference_plan
from uclab.judge.checks.wanted import asked_for
from uclab.judge.evidence.run import Run
from uclab.judge.judging import judge
from uclab.judge.result.judgement import Finding, Judgement
from uclab.judge.result.margins import LOSS, MOS, highest, lowest, nearest, with_margins
from uclab.judge.result.media import JudgedCall, MediaQuality
from uclab.plan.paths.loss_interval import Interval
from uclab.plan.schema.plan import Plan
from uclab.records.run import Event
from uclab.records.scenario import BY_HAND, Asked, AskedCall, OrderRecord, ScenarioRecord

CALL = AskedCall("c1", "desk1", "desk2", "call", 5.0)
HAND = ScenarioRecord(BY_HAND, "reference", 1.0)


@cache
def plan() -> Plan:
    return reference_plan("desk1", "desk2")


def run(scenario: ScenarioRecord | None, *orders: OrderRecord, events: tuple[Event, ...] = ()) -> Run:
    return Run(plan(), Path(), scenario=scenario, orders=orders, events=events)


def order(what: str, subject: str, call: AskedCall | None = None, stage: str = "asked") -> OrderRecord:
    return OrderRecord(1, 2.0, stage, what, subject, call)  # type: ignore[arg-type]


@pytest.mark.req("D3")
def test_by_hand_just_what_was_ordered_was_asked_for() -> None:
    nothing = asked_for(run(HAND))
    assert (nothing.calls, nothing.bulk) == (False, False)
    one = asked_for(run(HAND, order("call", "c1", CALL)))
    assert (one.calls, one.bulk) == (True, False)
    bulk = asked_for(run(HAND, order("bulk", "start", stage="done")))
    assert (bulk.calls, bulk.bulk) == (False, True)


@pytest.mark.req("D3")
def test_a_refused_call_was_not_to_be() -> None:
    refused = order("call", "c1", stage="refused")
    assert not asked_for(run(HAND, order("call", "c1", CALL), refused)).calls


@pytest.mark.req("D3")
def test_overload_asks_for_traffic_of_pcs() -> None:
    overload = replace(CALL, kind="overload")
    assert asked_for(run(ScenarioRecord("reference", "reference", 1.0, Asked((overload,))))).bulk


@pytest.mark.req("D3")
def test_where_nothing_says_what_was_asked_all_was() -> None:
    everything = asked_for(run(None))
    assert (everything.calls, everything.bulk) == (True, True)


def verdicts(judgement: Judgement) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for finding in judgement.findings:
        found.setdefault(finding.id, set()).add(finding.verdict)
    return found


@pytest.mark.req("D3", "C8")
def test_an_idle_lab_by_hand_is_held_to_nothing_that_nobody_asked_for() -> None:
    found = verdicts(judge(run(HAND)))
    for name in ("call.established", "qos.trust", "qos.dissector"):
        assert found[name] == {"not-applicable"}, name
    asked = verdicts(
        judge(run(ScenarioRecord("reference", "reference", 1.0, Asked((replace(CALL, kind="overload"),)))))
    )
    for name in ("call.established", "qos.trust", "qos.dissector"):
        assert asked[name] == {"not-shown"}, name


GOOD = MediaQuality(250, 0, 0.0, 5.0, 32.0, 40.0, 93.0, 4.38, worst_jitter_ms=12.0)


def call(name: str, caller_to_callee: MediaQuality, kind: str = "call") -> JudgedCall:
    return JudgedCall(name, "desk1", "desk2", kind, True, 80.0, 5.0, caller_to_callee, GOOD)


def line(subject: str, share: Interval) -> Finding:
    """A line that lost a share of its packets, per cent."""
    held = Finding("quality.voice", ("C8",), subject, "", "", "pass")
    return with_margins(held, [highest(LOSS, share, 1.0, "%", 2)])


@pytest.mark.req("C8")
def test_the_worst_call_is_named_with_the_figure_that_was_judged() -> None:
    # given a call that held by a hair, and one that is not judged by its jitter
    near = replace(GOOD, jitter_ms=12.4, worst_jitter_ms=29.56)
    calls = [call("c1", GOOD), call("c2", near), call("c3", replace(GOOD, worst_jitter_ms=99.0), "held")]
    # then the figure that was judged is said, not the mean
    (found,) = nearest((), calls, plan().policy, ("held",))
    assert (found.words, found.subject) == (
        "worst 5 s jitter 29.56 of 30 ms (1.5 % margin)",
        "c2:caller_to_callee",
    )


@pytest.mark.req("C8")
def test_of_a_line_the_end_of_the_interval_counts() -> None:
    findings = [line("up", Interval(0.1, 0.0, 0.3)), line("down", Interval(0.2, 0.1, 0.6))]
    (found,) = nearest(findings, (), plan().policy, ())
    assert (found.words, found.subject) == ("loss, at most 0.60 of 1 % (40.0 % margin)", "down")


def test_a_broken_limit_has_a_negative_margin() -> None:
    (found,) = nearest([line("up", Interval(1.4, 1.2, 1.5))], (), plan().policy, ())
    assert found.margin_pct == -50.0


def test_a_figure_that_is_not_known_has_no_margin() -> None:
    assert line("up", Interval(0.5, 0.0, math.inf)).margins == ()


def test_mos_must_not_fall_below() -> None:
    margin = lowest(MOS, Interval(4.4, 4.2, 4.4), 4.0, 2)
    assert margin is not None
    assert margin.words == "MOS, at least 4.20 of 4 (5.0 % margin)"
