"""Steering of an overlay's traffic: limits, hysteresis, order of preference."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers import steering
from controllers.path_metrics import Figures
from controllers.steering import Move, SteeringState
from uclab.plan.schema.overlay import PathClass, SteeringRules

pytestmark = pytest.mark.req("W6")

VOICE = PathClass("voice", (46,), 100, 25, 5)
RULES = SteeringRules((VOICE,), 50, 2, leave_after_s=1, return_after_s=10, probe_dscp=46)
GOOD, LOSSY, SLOW, DEAD = Figures(20, 2, 0), Figures(20, 2, 12), Figures(180, 2, 0), Figures(2000, 0, 100)
TICK_S = 0.1
FIGURES = st.builds(Figures, st.floats(0, 400), st.floats(0, 60), st.floats(0, 100))
PATHS = ("wan1", "wan2", "wan3")


def run(
    figures: Callable[[float], Mapping[str, Figures | None]],
    seconds: float,
    begin: SteeringState | None = None,
) -> tuple[SteeringState, list[tuple[float, Move]]]:
    """The course after a time, and the moves with their moments."""
    course = begin or steering.start(list(figures(0)))
    moves = []
    for tick in range(int(seconds / TICK_S) + 1):
        now = tick * TICK_S
        course, move = steering.step(course, VOICE, RULES, figures(now), now)
        if move is not None:
            moves.append((now, move))
    return course, moves


def test_the_preferred_path_is_taken_while_it_keeps_the_limits_even_if_another_is_better() -> None:
    course, moves = run(lambda _: {"wan1": Figures(90, 20, 4), "wan2": GOOD}, 60)
    assert (course.path, moves) == ("wan1", [])


@pytest.mark.parametrize(
    ("bad", "word"), [(LOSSY, "loss 12 %"), (SLOW, "delay 180 ms"), (DEAD, "loss 100 %")]
)
def test_a_brown_out_is_left_after_the_policys_time_and_the_reason_is_said(bad: Figures, word: str) -> None:
    # given a path that turns bad after 5 seconds, its link still up
    _, moves = run(lambda now: {"wan1": bad if now >= 5 else GOOD, "wan2": GOOD}, 20)
    # then it is left once, when it has been bad for as long as the policy says
    [(at, move)] = moves
    assert (move.source, move.target) == ("wan1", "wan2")
    assert at - 5 == pytest.approx(RULES.leave_after_s, abs=2 * TICK_S)
    assert word in move.why


def test_a_short_disturbance_moves_nothing() -> None:
    _, moves = run(lambda now: {"wan1": LOSSY if now % 3 < 0.8 else GOOD, "wan2": GOOD}, 60)
    assert not moves


def test_a_healed_path_is_returned_to_after_hysteresis_and_not_before() -> None:
    _, moves = run(lambda now: {"wan1": LOSSY if 5 <= now < 9 else GOOD, "wan2": GOOD}, 60)
    assert [move.target for _, move in moves] == ["wan2", "wan1"]
    assert moves[1][0] - 9 == pytest.approx(RULES.return_after_s, abs=2 * TICK_S)


def test_a_path_that_comes_and_goes_is_not_returned_to() -> None:
    """Failback that flaps is what hysteresis is against."""
    _, moves = run(lambda now: {"wan1": LOSSY if now % 8 < 4 else GOOD, "wan2": GOOD}, 120)
    assert [move.target for _, move in moves] == ["wan2"]


def test_where_no_path_keeps_the_limits_traffic_stays_unless_nothing_arrives_on_its_path() -> None:
    _, stays = run(lambda _: {"wan1": LOSSY, "wan2": SLOW}, 60)
    assert not stays
    course, moves = run(lambda _: {"wan1": DEAD, "wan2": SLOW}, 60)
    assert (course.path, len(moves)) == ("wan2", 1)


@given(st.tuples(*[FIGURES] * 3))
def test_constant_figures_never_flap(constant: tuple[Figures, ...]) -> None:
    """At most one move away from the preferred path, whatever the paths are like, and none later."""
    figures = dict(zip(PATHS, constant, strict=True))
    course, moves = run(lambda _: figures, 60)
    assert len(moves) <= 1
    _, more = run(lambda _: figures, 60, SteeringState(course.path, {}, {}))
    assert all(at <= RULES.return_after_s + TICK_S for at, _ in more)


@given(st.tuples(*[FIGURES] * 3))
def test_the_first_path_in_order_that_keeps_the_limits_is_the_one_taken(
    constant: tuple[Figures, ...],
) -> None:
    figures = dict(zip(PATHS, constant, strict=True))
    course, _ = run(lambda _: figures, 60)
    keeping = [path for path, its in figures.items() if steering.excess(VOICE, its) is None]
    if keeping:
        assert course.path == keeping[0]


@given(st.lists(st.tuples(FIGURES, FIGURES), min_size=2, max_size=200))
def test_no_bad_path_is_kept_longer_than_its_time_while_another_is_good(
    course_of_things: list[tuple[Figures, Figures]],
) -> None:
    course, bad_for = steering.start(PATHS[:2]), 0
    for tick, both in enumerate(course_of_things):
        figures = dict(zip(PATHS, both, strict=False))
        course, _ = steering.step(course, VOICE, RULES, figures, tick * TICK_S)
        other = PATHS[1 - PATHS.index(course.path)]
        bad = steering.excess(VOICE, figures[course.path]) is not None
        bad_for = bad_for + 1 if bad and steering.excess(VOICE, figures[other]) is None else 0
        assert (bad_for - 1) * TICK_S < RULES.leave_after_s + TICK_S
