"""A router's watch over its lines: when a line is lost, when it is good again, and which lines stand back."""

from __future__ import annotations

import pytest

from controllers.line_health import GRACE, LineHealth, stepped_back
from controllers.line_watch import changes, default_routes
from uclab.plan.schema.link_monitor import STEPPED_BACK, WatchedLine

pytestmark = pytest.mark.req("N5", "V2")

STEP_S = 0.2


def told(health: LineHealth, answers: str, start: float = 0.0) -> list[bool]:
    """Whether the line is good after each question; `+` answered, `.` not, `-` no carrier."""
    found = []
    for number, what in enumerate(answers):
        health.tell(start + STEP_S * number, up=what != "-", answered=what == "+")
        found.append(health.good)
    return found


def test_a_line_is_lost_after_questions_in_a_row_without_an_answer() -> None:
    health = LineHealth(4, 3.0)
    assert all(told(health, "+++...+...+"))
    assert told(health, "....") == [True, True, True, False]


def test_a_line_without_carrier_is_lost_at_once() -> None:
    assert told(LineHealth(4, 3.0), "+-") == [True, False]


def test_a_lost_line_must_answer_for_so_long_before_it_is_good() -> None:
    health = LineHealth(4, 1.0)
    told(health, "-")
    back = told(health, "+" * 7, start=10.0)
    assert back == [False] * 5 + [True] * 2


def test_a_line_that_comes_and_goes_is_not_good_again() -> None:
    health = LineHealth(4, 1.0)
    told(health, "-")
    assert not any(told(health, "++++..++++--++++..", start=10.0))
    # one lost question is no relapse
    assert told(health, "+.++++", start=20.0)[-1]


def test_without_hold_down_it_is_good_with_its_first_answer() -> None:
    health = LineHealth(4, 0.0)
    told(health, "-")
    assert told(health, ".+") == [False, True]


def test_lost_lines_stand_back_while_another_one_answers() -> None:
    lost, good = LineHealth(4, 3.0, good=False, missed=9), LineHealth(4, 3.0)
    assert stepped_back([lost, good], (False, False)) == (True, False)
    assert stepped_back([good, lost], (False, False)) == (False, True)


def test_where_no_line_answers_everything_stays_as_it_is() -> None:
    """The first crosses the limit a question before the second: that is no reason to move."""
    first, second = LineHealth(4, 3.0), LineHealth(4, 3.0)
    for _ in range(3):
        for line in (first, second):
            line.tell(0.0, up=True, answered=False)
    first.tell(0.6, up=True, answered=False)
    assert (first.good, second.good) == (False, True)
    assert stepped_back([first, second], (False, False)) == (False, False)
    assert stepped_back([first, first], (True, False)) == (True, False)


def test_a_long_line_is_not_lost_before_its_first_answers() -> None:
    health = LineHealth(4, 3.0, missed=-GRACE)
    assert all(told(health, "." * 12 + "+..."))
    assert not told(health, ".")[0]


LINES = (WatchedLine("wan1", "203.0.113.1", 0), WatchedLine("wan2", "203.0.113.65", 100))


def test_default_routes_are_read_from_the_kernels_table() -> None:
    table = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
wan1	00000000	017100CB	0003	0	0	0	00000000	0	0	0
wan2	00000000	417100CB	0003	0	0	10100	00000000	0	0	0
lan	0020A8C0	00000000	0001	0	0	0	00F0FFFF	0	0	0
"""
    assert default_routes(table) == {("203.0.113.1", 0), ("203.0.113.65", 10100)}


def test_a_line_stands_back_by_its_metric_and_keeps_a_route() -> None:
    first, second = LINES
    usual = {(first.via, 0), (second.via, 100)}
    assert changes(LINES, (False, False), usual) == ([], [])
    assert changes(LINES, (True, False), usual) == ([(first, STEPPED_BACK)], [(first, 0)])
    # a line that had lost carrier, and with it its route
    assert changes(LINES, (True, False), {(second.via, 100)}) == ([(first, STEPPED_BACK)], [])
    back = {(first.via, STEPPED_BACK), (second.via, 100)}
    assert changes(LINES, (False, False), back) == ([(first, 0)], [(first, STEPPED_BACK)])
