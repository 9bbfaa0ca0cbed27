"""What comes back when it has died, how often, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from testbed.plans import shipped_plan
from uclab.lab.events import EventLog
from uclab.lab.inspection import parts_of
from uclab.lab.restarts import NotAgain, Restarts
from uclab.plan.schema.switching import RestartPolicy
from uclab.runtime.node import NotReady

POLICY = RestartPolicy(("service", "router"), attempts=2, wait_s=0, wait_max_s=0)


class Stage:
    """A lab's log, watch and restarts, without a lab."""

    def __init__(self, folder: Path, policy: RestartPolicy = POLICY) -> None:
        self.log = EventLog(folder / "events.jsonl")
        self.restarts = Restarts(policy, self.log, (NotReady,))
        self.watch = self.restarts.watch
        self.started: list[str] = []

    async def again(self) -> None:
        self.started.append("once more")

    async def restarted(self, times: int) -> None:
        """Return when something has come back so often, and nothing is under way any more."""
        async with asyncio.timeout(5):
            async for event in self.log.read():
                times -= event.kind == "restarted"
                if not times:
                    break
        for _ in range(3):
            await asyncio.sleep(0)

    async def told(self, *kinds: str) -> Sequence[tuple[str, str, str]]:
        """All events up to the first of one of these kinds."""
        seen: list[tuple[str, str, str]] = []
        async with asyncio.timeout(5):
            async for event in self.log.read():
                seen.append((event.source, event.kind, event.detail))
                if event.kind in kinds:
                    break
        return seen


@pytest.mark.req("D3")
async def test_service_that_died_comes_back_and_is_told_with_its_seconds(tmp_path: Path) -> None:
    # given a service that the policy lets come back
    stage = Stage(tmp_path)
    stage.restarts.offer("service", "dns", stage.again)
    # when it dies
    stage.watch.died("dns", "dns ended unexpectedly (killed by signal 9)")
    assert stage.watch.dead == ["dns"]
    # then it is started again, nothing is dead any more, and both are told, the second with its seconds
    (_, died, _), (source, kind, detail) = await stage.told("restarted")
    assert (died, source, kind) == ("process-died", "dns", "restarted")
    assert detail.endswith(" s after its end, start 1 of 2")
    assert stage.started == ["once more"]
    assert stage.watch.dead == []


async def test_part_that_keeps_dying_is_given_up_after_as_many_starts_as_the_policy_says(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path)
    stage.restarts.offer("service", "dns", stage.again)
    for number in (1, 2):
        stage.watch.died("dns", "dns ended unexpectedly")
        await stage.restarted(number)
    stage.watch.died("dns", "dns ended unexpectedly")
    told = await stage.told("given-up")
    assert told[-1] == ("dns", "given-up", "ended again after 2 new starts")
    assert len(stage.started) == 2
    assert stage.watch.dead == ["dns"]


async def test_start_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    failures = [NotReady("dns: not ready")]

    async def again() -> None:
        if failures:
            raise failures.pop()

    stage.restarts.offer("service", "dns", again)
    stage.watch.died("dns", "dns ended unexpectedly")
    told = await stage.told("restarted")
    assert [kind for _, kind, _ in told] == ["process-died", "restart-failed", "restarted"]
    assert told[1][2] == "start 1 of 2: dns: not ready"
    assert told[2][2].endswith("start 2 of 2")


async def test_what_the_policy_does_not_name_stays_dead(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.restarts.offer("phone", "desk1", stage.again)
    stage.watch.died("desk1", "desk1 ended unexpectedly")
    await asyncio.sleep(0.05)
    assert stage.started == []
    assert stage.watch.dead == ["desk1"]


async def test_routers_programs_come_back_together_and_once(tmp_path: Path) -> None:
    # given a router with two programs that are started again as one
    stage = Stage(tmp_path)
    stage.restarts.offer("router", "edge", stage.again, ("edge-zebra", "edge-bgpd"))
    # when both die at once
    stage.watch.died("edge-zebra", "ended unexpectedly")
    stage.watch.died("edge-bgpd", "ended unexpectedly")
    await stage.told("restarted")
    # then there is one start, in the router's name
    assert stage.started == ["once more"]
    assert stage.watch.dead == []


async def test_router_that_was_killed_on_purpose_is_left_dead(tmp_path: Path) -> None:
    stage = Stage(tmp_path)

    async def again() -> None:
        raise NotAgain("edge")

    stage.restarts.offer("router", "edge", again, ("edge-bgpd",))
    stage.watch.died("edge-bgpd", "ended unexpectedly")
    await asyncio.sleep(0.05)
    assert [kind for _, kind, _ in await stage.told("process-died")] == ["process-died"]
    assert stage.watch.dead == ["edge-bgpd"]


async def test_nothing_comes_back_in_a_lab_that_goes_down(tmp_path: Path) -> None:
    stage = Stage(tmp_path, RestartPolicy(("service",), 2, 60, 60))
    stage.restarts.offer("service", "dns", stage.again)
    stage.watch.died("dns", "dns ended unexpectedly")
    await stage.restarts.close()
    stage.watch.died("dns", "dns ended unexpectedly")
    await asyncio.sleep(0.05)
    assert stage.started == []


def test_waits_double_up_to_the_longest() -> None:
    policy = RestartPolicy(("phone",), 9, wait_s=1, wait_max_s=5)
    assert [policy.wait_before(started) for started in range(4)] == [1, 2, 4, 5]


def test_dead_program_is_told_at_its_device() -> None:
    plan = shipped_plan("small-office")
    dead = ["edge-bgpd", "taps-edge", "desk1", "fra1-sbc-kamailio", "controller-office"]
    assert parts_of("edge", dead, plan) == ("edge-bgpd", "taps-edge")
    assert parts_of("desk1", dead, plan) == ("desk1",)
    assert parts_of("fra1-sbc", dead, plan) == ("fra1-sbc-kamailio",)
    assert parts_of("desk2", dead, plan) == ()
