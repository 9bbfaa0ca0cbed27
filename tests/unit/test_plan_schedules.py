"""How timetables and recordings become schedules, and what comes when: pure."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.plans import shipped_plan
from uclab.model.load import load_topology
from uclab.model.profile import Direction
from uclab.model.timetable import Period, Timetable
from uclab.model.trace import Trace, TraceRow
from uclab.plan.planner import make_plan
from uclab.plan.schema.plan import Impairment, LineSchedule, LineStep, LinkEnd
from uclab.plan.wan.schedules import line_steps, of_timetable, of_trace, stepped

END = LinkEnd("edge", "wan1")
LINE = Direction(rate_kbps=10_000, delay_ms=20, jitter_ms=2, loss_pct=0.5)


def timetable(*periods: dict[str, Any], compress: float = 1, repeat_s: float | None = None) -> Any:
    """The schedules of a timetable for the way up."""
    table = Timetable(periods=tuple(Period(**period) for period in periods), repeat_s=repeat_s)
    return of_timetable(END, table, compress, "up", LINE, int)


def comings(schedules: list[LineSchedule], most: int) -> list[LineStep]:
    """The first steps."""
    return list(itertools.islice(line_steps(schedules), most))


@pytest.mark.req("W4.1", "W8")
def test_a_period_changes_the_line_and_ends() -> None:
    # given a shower from 10 s to 30 s with an outage from 20 s to 25 s
    [schedule] = timetable(
        {"at_s": 10, "seconds": 20, "rate_pct": 50, "more_delay_ms": 5},
        {"at_s": 20, "seconds": 5, "outage": True, "rate_pct": 80},
    )
    # then they add up, and the lowest rate counts
    assert schedule == LineSchedule(
        "edge",
        "wan1",
        (
            LineStep(0.0),
            LineStep(10.0, 5000, 5.0),
            LineStep(20.0, 5000, 5.0, 0.0, 100.0),
            LineStep(25.0, 5000, 5.0),
            LineStep(30.0),
        ),
    )
    # and it is played once
    assert len(comings([schedule], 100)) == 5


@pytest.mark.req("W8")
def test_compressing_shortens_the_time_between_gaps_and_not_the_gaps() -> None:
    # given a day with two gaps, 24 times faster
    periods = ({"at_s": 7200, "seconds": 30, "outage": True}, {"at_s": 43200, "seconds": 5, "outage": True})
    [schedule] = timetable(*periods, compress=24, repeat_s=86_400)
    # then it is an hour long, and the gaps are as long as before
    assert schedule.repeat_s == 3600
    assert [step.at_s for step in schedule.steps] == [0, 300, 330, 1800, 1805]
    # and the next day comes after an hour
    assert [step.at_s for step in comings([schedule], 7)][-2:] == [3600, 3900]


@pytest.mark.req("W4.1", "W8")
def test_what_comes_every_so_often_has_a_schedule_of_its_own() -> None:
    # given a handover every 15 s, the first at 12 s, and a gap once in 100 s
    schedules = timetable(
        {"at_s": 12, "every_s": 15, "seconds": 0.1, "more_delay_ms": 15},
        {"at_s": 26.9, "seconds": 1, "outage": True},
        repeat_s=100,
    )
    assert [schedule.repeat_s for schedule in schedules] == [100, 15]
    # then both are seen together where they meet
    seen = [(step.at_s, step.more_delay_ms, step.more_loss_pct) for step in comings(schedules, 9)]
    assert seen[:4] == [(0, 0, 0), (12, 15, 0), (12.1, 0, 0), (15, 0, 0)]
    assert seen[4:9] == [(26.9, 0, 100), (27, 15, 100), (27.1, 0, 100), (27.9, 0, 0), (30, 0, 0)]


def test_a_period_beyond_the_end_goes_on_at_the_beginning() -> None:
    [schedule] = timetable({"at_s": 8, "seconds": 5, "outage": True}, repeat_s=10)
    assert [(s.at_s, s.more_loss_pct) for s in schedule.steps] == [(0, 100), (3, 0), (8, 100)]


def test_the_other_direction_does_not_change() -> None:
    assert timetable({"at_s": 1, "seconds": 1, "outage": True, "way": "down"}) == []


@given(
    periods=st.lists(
        st.fixed_dictionaries(
            {
                "at_s": st.floats(0, 99),
                "seconds": st.floats(0.01, 20),
                "every_s": st.sampled_from([None, 25.0]),
                "more_delay_ms": st.floats(0, 50),
                "outage": st.booleans(),
            }
        ),
        min_size=1,
        max_size=6,
    ),
    compress=st.sampled_from([1, 2, 5]),
)
def test_time_goes_forward_and_nothing_is_lost_or_left_over(
    periods: list[dict[str, Any]], compress: float
) -> None:
    # given any timetable that repeats
    schedules = timetable(*periods, compress=compress, repeat_s=100)
    steps = comings(schedules, 200)
    # then steps come in order of time, from the beginning on
    times = [step.at_s for step in steps]
    assert times[0] == 0
    assert times == sorted(set(times))
    # and the line is never worse than all periods together, nor better than itself
    worst = sum(period["more_delay_ms"] for period in periods)
    assert all(-1e-9 <= step.more_delay_ms <= worst + 1e-6 for step in steps)


@pytest.mark.req("W4.1", "W8")
def test_a_recording_is_played_as_it_was_recorded() -> None:
    # given a recording that begins after a second and says little in each row
    rows = (
        TraceRow(1, "both", delay_ms=50, loss_pct=0.0),
        TraceRow(2, "up", rate_kbps=3000),
        TraceRow(4, "up", delay_ms=10),
        TraceRow(4, "down", jitter_ms=9),
    )
    [up] = of_trace(END, Trace(rows, loop=True), "up", LINE, int)
    # then the line has the recorded figures, each until it is recorded again
    line = Impairment("wan1", 20, 2, 0.5)
    played = [(s.at_s, stepped(line, s).delay_ms, stepped(line, s).loss_pct, s.rate_kbps) for s in up.steps]
    assert played == [(0, 20, 0.5, None), (1, 50, 0, None), (2, 50, 0, 3000), (4, 10, 0, 3000)]
    # and the last row lasts as long as the one before it
    assert up.repeat_s == 6
    # and a recording that does not loop leaves the line as its profile says
    [once] = of_trace(END, Trace(rows, loop=False), "up", LINE, int)
    assert (once.repeat_s, once.steps[-1]) == (None, LineStep(6.0))


def test_a_line_in_a_step_is_a_possible_line() -> None:
    line = Impairment("wan1", 20, 2, 0.5)
    assert stepped(line, LineStep(0, None, -50, -5, -3)) == replace(line, delay_ms=0, jitter_ms=0, loss_pct=0)
    # and it has room for what is on its way for longer
    assert stepped(line, LineStep(0, None, 180, 0, 120)).limit_packets == 10 * line.limit_packets
    assert stepped(line, LineStep(0, None, 0, 0, 120)).loss_pct == 100


@pytest.mark.req("W8")
def test_plan_of_a_low_orbit_site_has_handovers_and_a_day_of_gaps_in_both_directions() -> None:
    plan = shipped_plan("satellite-leo")
    assert [(s.node, s.repeat_s) for s in plan.schedules] == [
        ("edge", 86_400), ("edge", 15), ("leosat", 86_400), ("leosat", 15),
    ]  # fmt: skip
    gaps = [step for step in plan.schedules[0].steps if step.more_loss_pct == 100]
    assert len(gaps) == 12


@pytest.mark.req("W4.1", "W4.3", "W4.4", "W7.2", "W7.3", "W7.4", "W8")
def test_conditions_and_compression_of_a_connection_reach_the_plan(tmp_path: Any) -> None:
    # given the low-orbit site in a storm, a day in half an hour
    text = (load_topology("satellite-leo").source).read_text()
    where = "profile: satellite-leo}"
    assert where in text
    written = text.replace(where, "profile: satellite-leo, conditions: {weather: storm}, compress: 48}")
    (tmp_path / "stormy.yaml").write_text(written)
    calm, stormy = (make_plan(load_topology(t)) for t in ("satellite-leo", tmp_path / "stormy.yaml"))
    # then its line is slower and loses more, and its day is shorter
    for node in ("edge", "leosat"):
        assert stormy.node(node).queues[0].rate_kbps < calm.node(node).queues[0].rate_kbps
        assert stormy.node(node).impairments[0].loss_pct > calm.node(node).impairments[0].loss_pct
    assert {schedule.repeat_s for schedule in stormy.schedules} == {1800, 15}
