"""Texts of files, packets and programs can neither command a terminal nor turn a line around, wherever they
are shown."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uclab.api import plan_of
from uclab.cli.console import Console, plain, say
from uclab.judge.result.judgement import Evidence, Finding, Judgement
from uclab.lab.events import EventLog
from uclab.model.load import check
from uclab.model.visible import HARMFUL, as_markup, harmful_in, visible
from uclab.report.html import html
from uclab.report.junit import junit

EVIL = "\x1b]0;owned\x07\x1b[2J\u202edrawkcab\u2069\x00\x9b31m\r\u2028"


@given(st.text())
def test_visible_text_has_nothing_harmful_and_stays_so(text: str) -> None:
    shown = visible(text)
    assert HARMFUL.search(shown) is None
    assert visible(shown) == shown


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
    assert harmful_in(text) is None


def test_layout_stays() -> None:
    assert visible("a\tb\nc") == "a\tb\nc"


def test_a_harmful_character_is_named() -> None:
    assert harmful_in("a\x1b[0m") == "a control character, U+001B (ESC)"
    assert harmful_in("a\u202eb") == "a mark of direction, U+202E"


def test_a_key_with_control_characters_is_an_error_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text('topology: a\n"\\u2066key\\e": 1\n')
    words = "\n".join(str(mistake) for mistake in check(tmp_path / "t.yaml"))
    assert ":2: a mark of direction, U+2066" in words
    assert HARMFUL.search(words) is None


def test_terminals_are_shown_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    # when such a text is printed in each way that verbs print
    seen = io.StringIO()
    console = Console(file=seen, width=200)
    console.print(EVIL, markup=False)
    console.print(f"[bold]{plain(EVIL + '[/] [link=http://x]')}[/]")
    say(EVIL)
    # then nothing harmful is left
    printed = seen.getvalue() + capsys.readouterr().out
    assert HARMFUL.search(printed) is None
    assert printed.count("\\x1b]0;owned") == 3
    assert "[link=http://x]" in printed


def test_consoles_own_colours_stay() -> None:
    seen = io.StringIO()
    Console(file=seen, force_terminal=True, color_system="standard").print("[red]failed[/]")
    assert "\x1b[31mfailed" in seen.getvalue()


def test_pictures_are_shown_escapes() -> None:
    assert as_markup(f"<{EVIL}>").startswith("&lt;\\x1b]0;owned")
    assert HARMFUL.search(as_markup(EVIL)) is None


@pytest.mark.parametrize("report", ["html", "junit"])
def test_reports_are_shown_escapes(report: str) -> None:
    # given a finding whose words come from a hostile packet
    words = Finding("a.b", ("C9",), EVIL, EVIL, EVIL, "fail", Evidence(text=EVIL), blame=EVIL)
    judgement = Judgement((words,), (), ())
    plan = plan_of("small-office")
    text = junit(plan, judgement, {}) if report == "junit" else html(plan, judgement, {}, {})
    # then its report reads in plain characters
    assert HARMFUL.search(text) is None
    assert "\\x1b]0;owned" in text
    if report == "junit":
        ElementTree.fromstring(text)


async def test_events_are_kept_in_plain_characters(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.add("desk1\x1b[0m", "call-closed", f"User-Agent: {EVIL}")
    log.close()
    kept = json.loads((tmp_path / "events.jsonl").read_text())
    assert all(HARMFUL.search(str(value)) is None for value in kept.values())
    assert "\\x1b]0;owned" in kept["detail"]
