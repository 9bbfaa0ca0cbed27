"""What a run on an emulated processor is judged by."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ci.emulated_verdict import MUST_HOLD, judge, main

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.req("D9")
HANGS_ON_TIME = {"audio.heard", "capture.complete", "qos.dissector", "quality.overload", "quality.voice"}


def finding(name: str, verdict: str = "pass", subject: str = "call-1") -> dict[str, str]:
    return {"id": name, "subject": subject, "verdict": verdict, "observed": "seen"}


ALL_HOLD = [finding(name) for name in MUST_HOLD]


def test_voice_that_came_late_is_told_and_not_judged() -> None:
    verdict = judge([*ALL_HOLD, finding("quality.voice", "fail")])
    assert verdict.holds
    assert verdict.excused == ("quality.voice (call-1): fail: seen",)


@pytest.mark.parametrize("name", MUST_HOLD)
@pytest.mark.parametrize("outcome", ["fail", "not-shown"])
def test_what_does_not_hang_on_time_must_hold_wherever_it_is(name: str, outcome: str) -> None:
    verdict = judge([*ALL_HOLD, finding(name, outcome, "call-2")])
    assert verdict.broken == (f"{name} (call-2): {outcome}: seen",)


@pytest.mark.parametrize("name", MUST_HOLD)
def test_a_finding_that_is_not_there_does_not_hold(name: str) -> None:
    verdict = judge([one for one in ALL_HOLD if one["id"] != name])
    assert verdict.broken == (f"{name}: not among the findings",)


def test_every_listed_finding_is_one_of_the_judges() -> None:
    source = "\n".join(file.read_text() for file in (PROJECT / "uclab" / "judge").rglob("*.py"))
    of_the_judge = set(re.findall(r'"([a-z]+\.[a-z-]+)"', source))
    assert set(MUST_HOLD) | HANGS_ON_TIME <= of_the_judge


def test_the_exit_status_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.json"
    results.write_text(json.dumps({"findings": [*ALL_HOLD, finding("quality.voice", "fail")]}))
    assert main(results) == 0
    assert "not judged on an emulated processor: quality.voice" in capsys.readouterr().out
    results.write_text(json.dumps({"findings": ALL_HOLD[1:]}))
    assert main(results) == 1
    assert f"BROKEN: {MUST_HOLD[0]}" in capsys.readouterr().out
