"""One call as a test sees it while its lab still runs: what its parties heard, and what the packets say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from testbed.made_up_network import reference_plan
from testbed.world import World
from uclab.judge.single_call import judge_call
from uclab.records.run import HeardAudio
from uclab.testing import TestedCall

pytestmark = pytest.mark.req("D10")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two calls of two phones, of which somebody asks after the second."""
    folder = tmp_path_factory.mktemp("single") / "run"
    world = World(folder, replace(reference_plan("desk1", "desk2"), bulk=()))
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    for _ in range(2):
        world.call("desk1", "desk2", seconds=1.5)
    world.write()
    return world


def test_the_call_that_was_asked_for_is_judged_alone(world: World) -> None:
    judged = judge_call(world.folder, world.calls[1])
    assert judged.id == world.calls[1].id
    assert judged.caller_to_callee is not None
    assert judged.callee_to_caller is not None


def test_figures_of_a_call_are_those_of_its_worse_direction(world: World) -> None:
    record = world.calls[0]
    judged = judge_call(world.folder, record)
    assert judged.caller_to_callee is not None
    worse = replace(judged.caller_to_callee, mos=2.5, loss_pct=7.0, jitter_ms=9.0, delay_ms=200.0)
    call = TestedCall(record, replace(judged, caller_to_callee=worse))
    assert (call.mos, call.loss_pct, call.jitter_ms, call.delay_ms) == (2.5, 7.0, 9.0, 200.0)
    assert call.established


def test_what_was_not_seen_is_the_worst_there_is(world: World) -> None:
    record = world.calls[0]
    unseen = replace(judge_call(world.folder, record), caller_to_callee=None, callee_to_caller=None)
    call = TestedCall(record, unseen)
    assert (call.mos, call.loss_pct, call.jitter_ms, call.delay_ms) == (1.0, 100.0, None, None)


@pytest.mark.parametrize("heard", [True, False])
def test_a_call_is_heard_where_both_sides_heard_the_other(world: World, heard: bool) -> None:
    judged = judge_call(world.folder, world.calls[0])
    good = HeardAudio(440, heard=True, level_db=-12.0, share=0.98)
    record = replace(world.calls[0], caller_to_callee=good, callee_to_caller=replace(good, heard=heard))
    assert TestedCall(record, judged).heard is heard
    assert not TestedCall(replace(record, callee_to_caller=None), judged).heard


def test_a_run_without_that_calls_packets_shows_nothing(world: World, tmp_path: Path) -> None:
    later = replace(world.calls[0], id="c9", started_at=world.now / 1e9 + 60, answered_at=None, ended_at=None)
    judged = judge_call(world.folder, later)
    assert (judged.caller_to_callee, judged.callee_to_caller) == (None, None)
