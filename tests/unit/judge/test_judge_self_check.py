"""The judge's trial of itself (`tests/self_check`) on a run that never was: one change each of the rules that
rewrite few packets and dissect nothing again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed import made_up_network
from testbed.made_up_network import for_short_calls
from testbed.plans import shipped_plan
from testbed.world import World
from tests.self_check.trial import SEED, Trial, changes_of, sample
from uclab.capture.tags import Tags
from uclab.judge.checks import tshark_crosscheck
from uclab.judge.measure.flows import Flow

RULES = (
    "a capture missing",
    "one direction missing at a tap",
    "a capture begins late, ends early, or has a hole",
    "two taps of one file swapped",
    "two captures swapped",
    "a capture's clock wrong by 300 ms",
    "a capture's clock wrong by 5 ms",
    "a capture never closed",
    "media lost, 3 % or more",
    "a device slower by 200 ms",
    "packets twice from a device on",
    "packets twice at one tap",
    "packets out of order",
    "earlier packets replayed",
    "frames of every network",
    "interfaces in another order",
    "comments and options added",
    "times in microseconds",
    "results of an earlier judging",
    "DSCP of a call's media rewritten",
    "802.1p of a call's media rewritten",
    "media in another VLAN",
    "a call's record missing",
    "an unknown caller",
    "the scenario's end or plan missing",
    "events cut",
    "a byte of SRTP changed",
)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """A clean run of two phones, which call each other for a second and a half."""
    folder = tmp_path_factory.mktemp("self-check")
    with pytest.MonkeyPatch.context() as patched:
        # no cable of a lab is longer: both its ends see a frame within the same microsecond, or the next
        patched.setattr(made_up_network, "TAP_NS", 400)
        yield from _trial_in(folder)


def _trial_in(folder: Path) -> Iterator[Trial]:
    plan = shipped_plan("small-office")
    phones = tuple(e for e in plan.endpoints if e.name in ("desk1", "desk2"))
    world = World(folder / "run", for_short_calls(replace(plan, endpoints=phones, bulk=())))
    world.now += 300  # no clock's times are whole microseconds
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    world.call("desk1", "desk2", seconds=1.6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tshark_crosscheck, "_dissected", lambda flows: [as_read(flow) for flow in flows])
        yield Trial.of(world.write(), folder)


def as_read(flow: Flow) -> Tags:
    """What tshark would say of a flow's packet: it costs a process each time, and is tried elsewhere."""
    key = flow.key
    values = (key.dscp, key.pcp, key.vlan, key.service_pcp, key.service_vlan, key.label, key.tc)
    return Tags(*(value if value >= 0 else None for value in values))


@pytest.mark.req("D5")
def test_an_unchanged_run_is_clean(trial: Trial) -> None:
    assert trial.before.verdict == "pass"


@pytest.mark.req("D5")
@pytest.mark.parametrize("name", RULES)
def test_the_judge_is_right_about_a_change(trial: Trial, name: str) -> None:
    # given a clean run, and one change of it by lot
    (change,) = sample(changes_of(trial.clean, [name]), 1, SEED)

    # when the changed run is judged
    result = trial.of_change(change)

    # then it comes out as the rule says
    assert (result.outcome, result.place) == ("found", change.place), result.words


@pytest.mark.req("D5")
def test_any_capture_may_have_a_coarser_clock_than_the_others(trial: Trial) -> None:
    # given captures of which one tells microseconds: what arrived may seem to have come before it was sent
    name = "times in microseconds"
    results = [trial.of_change(change) for change in changes_of(trial.clean, [name])[name]]
    # then nothing is missed for that
    assert [(one.place, one.words) for one in results if one.outcome != "found"] == []
