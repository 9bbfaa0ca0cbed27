"""Failover in reports: numbers as a distribution, every call a pair of bars with its silences."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from testbed.plans import shipped_plan
from uclab.api import RunResult
from uclab.cli.summary import incident_table, print_summary
from uclab.judge.failover.findings import check_failover
from uclab.judge.result.incidents import (
    CallOutcome,
    JudgedIncident,
    LinesUsed,
    Registration,
    Silence,
    Stretch,
    Way,
)
from uclab.judge.result.judgement import Judgement
from uclab.plan.schema.plan import Plan
from uclab.records.run import Incident
from uclab.report.failover_timeline import (
    BOLD,
    FATE_WORDS,
    LINE_COLOURS,
    RIGHT,
    SILENCE,
    draw_timeline,
)
from uclab.report.incidents import Spread, incident_rows, incidents_data
from uclab.report.write import write_reports

pytestmark = pytest.mark.req("V2")

FAILED, HEALED, ENDED = 1000.0, 1012.0, 1020.0


@pytest.fixture(scope="module")
def plan() -> Plan:
    return shipped_plan("smb-dual-wan")


def judged(turn: int, gap_s: float) -> JudgedIncident:
    """One round with one call, silent for so long."""
    incident = Incident(
        "circuit-down", "edge-isp1", ("edge-isp1",), "cut", True, turn, FAILED, HEALED, ENDED, ("c1",), 1, 10
    )
    there = (
        Stretch("wan1", 997.0, FAILED),
        Stretch("wan2", FAILED + gap_s, HEALED),
        Stretch("wan1", HEALED, ENDED),
    )
    silence = (Silence(FAILED, FAILED + gap_s),)
    mos = (None, 4.3, 4.3, 1.0, *(4.3,) * 19)
    ways = (
        Way("caller_to_callee", "out", silence, 1000 * gap_s, 0.0, True, True, there, 997.0, mos),
        Way("callee_to_caller", "in", silence, 1000 * gap_s, 0.0, True, True, there, 997.0, mos),
    )
    fate, why = ("kept", "") if gap_s < 5 else ("dropped", "the cloud <went on> sending")
    call = CallOutcome("c1", "desk1", "+4930", fate, why, None, ways)  # type: ignore[arg-type]
    used = LinesUsed("shop", *((("wan1", "wan2", "wan1"),) * 3), "edge")
    registered = (Registration("desk1", 2.0 * turn, None),)
    return JudgedIncident(
        incident, (call,), 250.0, "first packet at edge:wan2", True, True, registered, 900.0, (used,)
    )


@pytest.fixture
def judgement(plan: Plan) -> Judgement:
    incidents = (judged(1, 0.3), judged(2, 0.5), judged(3, 7.0))
    return Judgement(tuple(check_failover(plan.policy, incidents)), (), (), incidents=incidents)


def test_rounds_are_a_distribution(judgement: Judgement) -> None:
    (row,) = incident_rows(judgement)
    assert row.gaps["out"] == Spread(300.0, 500.0, 7000.0, 3)
    assert row.gaps["out"].words() == "300 / 500 / 7000"
    assert row.registration_s == Spread(2.0, 4.0, 6.0, 3)
    assert row.fates == {"kept": 2, "dropped": 1}
    assert row.verdict == "fail"
    assert row.worst.incident.round == 3
    assert row.reasons == {"the cloud <went on> sending": ["desk1 → +4930"]}


def test_nothing_measured_is_no_number() -> None:
    assert Spread.of([None, None]) is None
    assert Spread.of([3.0, None]) == Spread(3.0, 3.0, 3.0, 1)


def test_results_hold_every_round_with_every_call(plan: Plan, judgement: Judgement, tmp_path: Path) -> None:
    write_reports(tmp_path, plan, judgement, {})
    (incident,) = json.loads((tmp_path / "results.json").read_text())["incidents"]
    assert incident == json.loads(json.dumps(incidents_data(judgement)))[0]
    assert (incident["incident"], incident["subject"], incident["how"]) == (
        "circuit-down",
        "edge-isp1",
        "cut",
    )
    assert incident["gap_ms"]["in"] == {"low": 300.0, "median": 500.0, "high": 7000.0, "count": 3}
    first = incident["rounds"][0]
    assert first["calls_wanted"] == 10
    assert first["calls"][0]["caller_to_callee"]["silences"] == [[1000.0, 1000.3]]
    assert first["calls"][0]["caller_to_callee"]["lines"][1] == ["wan2", 1000.3, 1012.0]


def test_the_timeline_has_a_bar_a_direction_with_silences_and_lines_in_colour() -> None:
    drawing = ElementTree.fromstring(draw_timeline(judged(1, 3.0), ("wan1", "wan2"), 4.0))
    boxes = [box for box in drawing.iter() if box.tag.endswith("rect")]
    silences = [box for box in boxes if box.get("fill") == SILENCE and box.get("height") == "10" and len(box)]
    assert len(silences) == 2
    assert "3000 ms without media from the site" in (silences[0][0].text or "")
    for colour in LINE_COLOURS[:2]:
        assert sum(box.get("fill") == colour for box in boxes) >= 3
    words = {text.text for text in drawing.iter() if text.tag.endswith("text")}
    assert {"broken", "restored after 12.0 s", "detected 0.25 s", "kept", "MOS by second"} <= words


def test_silences_are_as_long_as_they_lasted() -> None:
    def width(gap_s: float) -> float:
        drawing = draw_timeline(judged(1, gap_s), ("wan1", "wan2"), 4.0)
        (found,) = set(re.findall(rf'width="([\d.]+)" height="10" rx="2" fill="{SILENCE}"><title>', drawing))
        return float(found)

    assert width(4.0) == pytest.approx(2 * width(2.0), rel=0.02)


def test_the_page_shows_failover_and_escapes_reasons(
    plan: Plan, judgement: Judgement, tmp_path: Path
) -> None:
    write_reports(tmp_path, plan, judgement, {})
    page = (tmp_path / "report.html").read_text()
    assert 'href="#failover"' in page
    assert "worst of 3 rounds: round 3" in page
    assert "the cloud &lt;went on&gt; sending" in page
    assert "the cloud <went on>" not in page


def test_a_run_without_incidents_has_no_failover_section(plan: Plan, tmp_path: Path) -> None:
    write_reports(tmp_path, plan, Judgement((), (), ()), {})
    assert 'id="failover"' not in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "results.json").read_text())["incidents"] == []


def test_an_incident_without_live_calls_can_be_drawn() -> None:
    empty = replace(judged(1, 0.3), calls=(), registrations=(), detection_ms=None, in_dialog_ms=None)
    assert "broken" in draw_timeline(empty, (), 4.0)


def test_the_terminal_has_a_row_an_incident(
    judgement: Judgement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(width=160, record=True)
    console.print(incident_table(judgement))
    assert "500 (7000)" in console.export_text()
    print_summary(RunResult(judgement, tmp_path, {}))
    printed = capsys.readouterr().out
    assert "circuit-down edge-isp1" in printed
    assert "hop by hop" not in printed


def test_what_became_of_a_call_has_room_beside_its_bars() -> None:
    longest = max(len(words) for words, _ in FATE_WORDS.values())
    assert longest * BOLD < RIGHT - 12
