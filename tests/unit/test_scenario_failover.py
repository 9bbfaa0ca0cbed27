"""The failover scenario against a lab that only notes what it is asked."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from testbed.plans import shipped_plan
from uclab.lab.client import CallOrder, LabClient, LabGone, MessageOrder
from uclab.plan.schema.codec import from_data
from uclab.plan.schema.plan import Plan
from uclab.plan.traffic.incidents import HELD_CALL
from uclab.records.run import CallRecord, Event, Incident, MessageRecord
from uclab.scenarios.failover import Pace, asked_of_failover, failover
from uclab.scenarios.types import Options, ScenarioProgress

pytestmark = pytest.mark.req("V2")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return shipped_plan("smb-dual-wan")


FAST = Pace(
    quiet_s=0.05, failed_s=0.2, healed_s=0.1, hold_after_s=0.1, setup_s=0.3, spare_s=0.1, settle_s=0.1,
    registered_s=0.2, flap_up_s=0.1, flap_down_s=0.05, look_s=0.01,
)  # fmt: skip


@dataclass
class NotedLab:
    """Answers calls at once, but those of `deaf` phones never."""

    run_dir: Path
    deaf: tuple[str, ...] = ()
    ends_when_broken: bool = False
    doubts: list[str] = field(default_factory=list)
    """What `state` says of a phone, the last first, until nothing is left."""
    asked: list[Any] = field(default_factory=list)
    orders: list[CallOrder] = field(default_factory=list)
    written: list[MessageOrder] = field(default_factory=list)
    news: queue.Queue[Event | None] = field(default_factory=queue.Queue)
    lab: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(name="noted"))

    def state(self) -> dict[str, Any]:
        doubt = self.doubts.pop() if self.asked and self.doubts else None
        return {"run_dir": str(self.run_dir), "endpoints": [{"doubt": doubt}]}

    def events(self, start: int = 0) -> Iterator[Event]:
        while (event := self.news.get()) is not None:
            yield event

    def call(self, order: CallOrder) -> CallRecord:
        self.orders.append(order)
        began = time.time()
        phone = order.callee if order.caller == "pstn" else order.caller
        if phone in self.deaf:
            return CallRecord(
                order.id, order.caller, order.callee, order.kind, False, began, error="no answer"
            )
        self.news.put(Event(time.time(), phone, "call-established"))
        time.sleep(order.length_s)
        return CallRecord(order.id, order.caller, order.callee, order.kind, True, began, began, time.time())

    def messages(self, order: MessageOrder) -> list[MessageRecord]:
        self.written.append(order)
        return []

    def fail(self, name: str, how: str = "cut", **figures: float | str) -> str:
        self.asked.append(("fail", name, how, figures))
        if self.ends_when_broken:
            self.news.put(None)
        return ""

    def heal(self, name: str) -> str:
        self.asked.append(("heal", name))
        return ""


def play(
    lab: NotedLab, plan: Plan, *names: str, repeat: int = 1
) -> tuple[list[Incident], list[ScenarioProgress]]:
    """The records and the progress of these incidents."""
    steps: list[ScenarioProgress] = []
    failover(cast(LabClient, lab), plan, steps.append, Options(names, repeat), FAST)
    data = json.loads((lab.run_dir / "incidents.json").read_text())
    return [from_data(Incident, item) for item in data], steps


def test_calls_are_live_when_it_breaks_and_when_it_is_restored(plan: Plan, tmp_path: Path) -> None:
    lab = NotedLab(tmp_path)
    (incident,), steps = play(lab, plan, "circuit-down")
    assert lab.asked == [("fail", "edge-isp1", "cut", {}), ("heal", "edge-isp1")]
    assert set(incident.calls) == {order.id for order in lab.orders}
    assert (incident.asked, incident.wanted, incident.survivable) == (6, 10, True)
    assert incident.failed_at + 0.2 <= incident.healed_at < incident.ended_at
    assert [step.text.partition(": ")[2] for step in steps] == [
        "placing 6 calls", "6 calls live", "broken", "restored", "",
    ]  # fmt: skip
    assert (steps[-1].done, steps[-1].total, steps[-1].unit) == (1, 1, "incidents")


def test_one_call_of_a_sites_phone_is_held_while_it_is_broken(plan: Plan, tmp_path: Path) -> None:
    lab = NotedLab(tmp_path)
    play(lab, plan, "circuit-down")
    (probe,) = [order for order in lab.orders if order.hold]
    assert probe.kind == HELD_CALL
    assert probe.caller in {endpoint.name for endpoint in plan.endpoints}
    assert probe.hold_after is not None


def test_a_call_that_nobody_answers_is_not_live(plan: Plan, tmp_path: Path) -> None:
    (incident,), _ = play(NotedLab(tmp_path, deaf=("desk2", "soft1")), plan, "circuit-down")
    assert len(incident.calls) == 4
    assert incident.asked == 6


def test_a_brown_out_has_the_policys_figures(plan: Plan, tmp_path: Path) -> None:
    lab = NotedLab(tmp_path)
    play(lab, plan, "brown-out")
    assert lab.asked[0] == ("fail", "edge-isp1", "brown-out", {"loss": "+10", "delay": "+150"})


def test_the_next_calls_wait_until_it_is_certain_who_is_registered(plan: Plan, tmp_path: Path) -> None:
    # given a lab that is not certain of registrations for a while after restoration
    lab = NotedLab(tmp_path, doubts=["edge-isp1 is back"] * 3)
    # when two incidents are played
    play(lab, plan, "circuit-down", "dns-lost")
    # then the second one's calls were placed when nothing was in doubt
    assert lab.doubts == []
    assert [name for verb, name, *_ in lab.asked if verb == "fail"] == ["edge-isp1", "dns"]


def test_a_line_that_flaps_is_restored_several_times_and_watched_after_the_last(
    plan: Plan, tmp_path: Path
) -> None:
    lab = NotedLab(tmp_path)
    (incident,), steps = play(lab, plan, "circuit-flaps")
    assert [what[0] for what in lab.asked] == ["fail", "heal"] * 4
    assert incident.flaps == 3
    # it counts as restored when it is first back, and is watched from the last time on
    assert incident.ended_at - incident.healed_at >= 3 * 0.15 + FAST.healed_s
    assert [step.text.partition(": ")[2] for step in steps][2:6] == [
        "broken", "failed again (1 of 3)", "failed again (2 of 3)", "failed again (3 of 3)",
    ]  # fmt: skip


def test_incidents_are_repeated_in_rounds_with_calls_of_their_own(plan: Plan, tmp_path: Path) -> None:
    lab = NotedLab(tmp_path)
    incidents, _ = play(lab, plan, "circuit-down", "dns-lost", repeat=2)
    assert [(i.name, i.round) for i in incidents] == [
        ("circuit-down", 1), ("dns-lost", 1), ("circuit-down", 2), ("dns-lost", 2),
    ]  # fmt: skip
    ids = [order.id for order in lab.orders]
    assert len(set(ids)) == len(ids) == 24


def test_the_next_calls_wait_for_phones_that_lost_their_registration(plan: Plan, tmp_path: Path) -> None:
    # given a phone that lost its registration and does not get it back
    lab = NotedLab(tmp_path)
    lab.news.put(Event(time.time(), "desk1", "flow-failed"))
    # when one incident follows another
    first, second = play(lab, plan, "dns-lost", "circuit-down")[0]
    # then it is waited for, as long as it may take, and no longer
    pause = second.failed_at - first.ended_at - FAST.quiet_s
    assert FAST.registered_s <= pause < 5


def test_the_end_of_the_lab_ends_the_scenario(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(LabGone, match="noted"):
        play(NotedLab(tmp_path, ends_when_broken=True), plan, "circuit-down")


@pytest.mark.req("D3")
def test_what_is_written_down_before_is_just_what_is_ordered(plan: Plan, tmp_path: Path) -> None:
    lab, options = NotedLab(tmp_path), Options(("circuit-down",), repeat=2)
    asked = asked_of_failover(plan, options, FAST)
    failover(cast(LabClient, lab), plan, lambda step: None, options, FAST)
    lab.news.put(None)
    wanted = {(one.id, one.caller, one.callee, one.kind, one.seconds) for one in asked.calls}
    assert wanted == {(one.id, one.caller, one.callee, one.kind, one.seconds) for one in lab.orders}
    assert sorted(asked.messages, key=str) == sorted((one.asked for one in lab.written), key=str)
    assert {one.every_s for one in lab.written} == {FAST.message_s}
    played = [from_data(Incident, one) for one in json.loads((tmp_path / "incidents.json").read_text())]
    assert [(one.name, one.subject, one.round) for one in asked.incidents] == [
        (one.name, one.subject, one.round) for one in played
    ]
