"""Reports say what the judgement says, in every form."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.report_judgements import BROKEN, REPORT_PLAN, report_judgement
from uclab.judge.result.judgement import Judgement, MeasuredWay
from uclab.judge.result.media import Series, SeriesKind
from uclab.plan.schema.plan import Plan
from uclab.report.grouping import ELSE, common_text, grouped
from uclab.report.junit import junit
from uclab.report.ladder import draw, lane_order
from uclab.report.links import link_loads
from uclab.report.plots import plots
from uclab.report.write import write_reports


@pytest.fixture(scope="module")
def plan() -> Plan:
    return REPORT_PLAN


@pytest.fixture
def judgement() -> Judgement:
    return report_judgement()


def test_results_have_the_documented_shape(plan: Plan, judgement: Judgement, tmp_path: Path) -> None:
    # given a run directory with its host record, when reports are written
    (tmp_path / "host.json").write_text('{"kernel": "6.1", "variants": {"datapath": "userspace"}}')
    write_reports(tmp_path, plan, judgement, {"up": 9.5})
    # then results.json is as the design says
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["topology"] == "small-office"
    assert results["verdict"] == "fail"
    assert results["timings"] == {"up": 9.5}
    assert results["host"]["variants"]["datapath"] == "userspace"
    assert results["calls"][0]["mos"] == {"caller_to_callee": 4.38, "callee_to_caller": None}
    assert results["findings"][1]["evidence"]["packets"] == [17, 18]
    assert results["walks"][0]["hops"][1]["pcp"] == 5


def test_page_is_self_contained_and_shows_what_broke(
    plan: Plan, judgement: Judgement, tmp_path: Path
) -> None:
    write_reports(tmp_path, plan, judgement, {})
    page = (tmp_path / "report.html").read_text()
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert '<span class="badge fail">Failed</span>' in page
    assert "cause: edge" in page
    assert "EF &lt;everywhere&gt;" in page
    assert page.count("<svg") >= 4


def test_junit_counts_failures_and_what_was_not_shown(plan: Plan, judgement: Judgement) -> None:
    suite = ElementTree.fromstring(junit(plan, judgement, {"up": 2.0}))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "blame: edge" in (failure.text or "")


def test_junit_survives_control_characters(plan: Plan) -> None:
    odd = replace(BROKEN, observed="\x00\x1bINVITE")
    assert ElementTree.fromstring(junit(plan, Judgement((odd,), (), ()), {})).get("failures") == "1"


def test_a_lab_that_was_changed_says_so_before_anything_else(
    plan: Plan, judgement: Judgement, tmp_path: Path
) -> None:
    write_reports(tmp_path, plan, judgement, {})
    head = (tmp_path / "report.html").read_text().partition("<nav>")[0]
    assert "fault dscp-cleared" in head
    assert "command in fw: nft flush ruleset" in head
    told = json.loads((tmp_path / "results.json").read_text())["interferences"]
    assert [one["kind"] for one in told] == ["fault", "command"]


def test_a_group_says_only_what_is_expected_of_all_its_members(judgement: Judgement) -> None:
    groups = {group.id: group for group in grouped(judgement.findings)}
    assert groups["audio.heard"].expected == "… calls … both are heard"
    assert groups["audio.heard"].differ
    assert groups["media.srtp"].expected == "SRTP"
    assert (groups["qos.trust"].held, groups["qos.trust"].asked) == (0, 0)


def test_a_group_of_few_expectations_with_little_in_common_gives_them_all() -> None:
    # given findings of one id about paths, routes and calls
    texts = ("loss < 1 %", "delay < 150 ms, MOS >= 4", "no limit exceeded")
    members = tuple(replace(BROKEN, expected=text) for text in (*texts, texts[0]))
    # when they are grouped
    (group,) = grouped(members)
    # then each expectation is there once, and nothing is left out
    assert group.expected == "; ".join(texts)
    assert group.differ


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=4))
def test_common_text_holds_no_word_that_a_member_lacks(texts: list[list[str]]) -> None:
    common = common_text(" ".join(words) for words in texts).split()
    for words in texts:
        left = iter(words)
        assert all(word in left for word in common if word != ELSE)


def test_ladder_puts_the_session_controller_in_the_middle(judgement: Judgement) -> None:
    assert lane_order(judgement.ladders[0].messages) == ["desk1", "fra1-sbc", "desk2"]
    assert draw(judgement.ladders[0]).count("marker-end") == 3


def test_empty_judgement_is_still_a_report(plan: Plan, tmp_path: Path) -> None:
    write_reports(tmp_path, plan, Judgement((), (), ()), {})
    assert json.loads((tmp_path / "results.json").read_text())["verdict"] == "not-shown"


@pytest.mark.req("C8", "D11")
def test_queues_of_a_line_are_drawn_below_its_load(plan: Plan) -> None:
    def of(kind: SeriesKind, name: str, *values: float) -> Series:
        return Series(kind, "edge:wan1", name, 1.0, 1.0, values)

    def queue(name: str, sent: float, dropped: float) -> tuple[Series, ...]:
        return (
            of("queue_kbps", name, sent, sent),
            of("queue_guaranteed_kbps", name, 1164.0, 1164.0),
            of("queue_dropped", name, 0.0, dropped),
        )

    load = Series("kbps", "edge:wan1", "EF", 1.0, 1.0, (80.0, 91.0), "out")
    series = (load, *queue("voice", 90.0, 7.0), *queue("video", 0.0, 0.0))
    drawn = plots(plan, Judgement((), (), (), series))
    # then the queue follows the load, with what was guaranteed, and without the class that had nothing to do
    assert "load at edge:wan1" in drawn[0]
    assert "queue of edge:wan1" in drawn[1]
    assert "voice, 1164 kbit/s" in drawn[1]
    assert "video" not in drawn[1]
    assert "packets dropped" in drawn[1]
    # and where nothing was dropped, it says so
    calm = plots(plan, Judgement((), (), (), queue("voice", 90.0, 0.0)))
    assert "nothing dropped" in calm[0]


@pytest.mark.req("Q2")
def test_calls_that_a_line_carries_stand_beside_those_computed(plan: Plan, tmp_path: Path) -> None:
    one = MeasuredWay(
        *("office/wan1", "up", "G711", 20, 18, 19, 14, "at most", 3.25, 14.0, 39.0, 100, 0),
        *({"voice": 100, "default": 9}, "voice", "signalling"),
    )
    write_reports(tmp_path, plan, Judgement((), (), (), measured=(one,)), {})
    page = (tmp_path / "report.html").read_text()
    assert "<b>14 / 18-19</b> calls up, measured and computed" in page
    assert '<td class="n">at most 14</td>' in page
    assert '<td class="n">18-19</td>' in page
    assert 'id="calls"' not in page
    (told,) = json.loads((tmp_path / "results.json").read_text())["measured"]
    assert (told["measured"], told["dropped"]["voice"]) == (14, 100)


def test_a_link_shows_the_load_of_each_direction(plan: Plan, judgement: Judgement) -> None:
    # given a line of 10 Mbit/s that is full both ways in the same second, in two classes that began apart
    def load(tap: str, name: str, start: float, direction: Literal["out", "in"], *kbps: float) -> Series:
        return Series("kbps", tap, name, start, 1.0, kbps, direction)

    series = (
        load("edge:wan1", "0", 1.0, "out", 9800.0, 9700.0),
        load("edge:wan1", "EF", 2.0, "out", 200.0),
        load("edge:wan1", "0", 1.0, "in", 9900.0),
        load("isp1:edge", "0", 1.0, "out", 9950.0),
    )
    # when the links of the drawing are labelled
    loads = link_loads(plan, replace(judgement, series=series))
    # then neither direction is more than the line carries
    line = next(link for link in plan.links if link.kind == "wan")
    assert (line.a.device, line.b.device) == ("edge", "isp1")
    assert (loads[line.name].a_to_b_kbps, loads[line.name].b_to_a_kbps) == (9900.0, 9950.0)
