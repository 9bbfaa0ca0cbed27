"""What a lab does to its lines on request and by schedule, with recorders in the place of the network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration import emulation_plans as plans
from uclab.emulation.build.line_control import LineState, NotPossible
from uclab.emulation.link.impairment import ImpairmentError
from uclab.lab.errors import Refused
from uclab.lab.events import EventLog
from uclab.lab.failures import Failures
from uclab.lab.line_changes import drive
from uclab.plan.schema.plan import Impairment, LineSchedule, LineStep, NodeKind

LINK = "left-right"


class Recorder:
    """Stands in for network and line control: remembers what was asked of it."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._trouble = trouble

    def _ask(self, *what: Any) -> None:
        self.asked.append(what)
        if self._trouble is not None:
            raise self._trouble

    def fail_link(self, link: str) -> None:
        self._ask("cut", link)

    def heal_link(self, link: str) -> None:
        self._ask("plug in", link)

    def brown_out(self, link: str, change: Any, leaving: str | None) -> list[LineState]:
        self._ask("brown-out", link, change.delay_ms.value, leaving)
        return [LineState(link, "left", "right", Impairment("eth0", 60.0), 1000)]

    def clear_up(self, link: str) -> list[LineState]:
        self._ask("clear up", link)
        return [LineState(link, "left", "right", Impairment("eth0", 40.0), 1000)]

    def drop_all(self, link: str, leaving: str | None = None, *, on: bool = True) -> None:
        self._ask("swallow" if on else "let through", link, leaving)

    async def kill(self, router: str) -> tuple[str, ...]:
        self._ask("kill", router)
        return (f"{router}-bgpd", f"{router}-line-watch")

    async def start(self, router: str) -> None:
        self._ask("start", router)

    def __getitem__(self, name: str) -> Recorder:
        return self

    def live_namespace(self) -> str:
        return "its namespace"

    def step(self, node: str, interface: str, step: LineStep) -> LineState | None:
        self._ask(node, interface, step)
        return LineState(LINK, node, "right", Impairment(interface, 40 + step.more_delay_ms), None)


def events_of(folder: Path) -> list[tuple[str, str, str]]:
    """(source, kind, detail) of what was told."""
    told = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [(event["source"], event["kind"], event["detail"]) for event in told]


class Broken:
    """Failures of the small plan, with its recorder."""

    def __init__(self, folder: Path, trouble: Exception | None = None) -> None:
        self.recorder: Any = Recorder(trouble)
        self.log = EventLog(folder / "events.jsonl")
        self.failures = Failures(plans.line(40), self.log)

    async def fail(self, name: str, how: str, **figures: object) -> str:
        return await self.failures.fail(self.recorder, self.recorder, self.recorder, name, how, figures)

    async def heal(self, name: str) -> str:
        return await self.failures.heal(self.recorder, self.recorder, self.recorder, name)


@pytest.mark.req("V2", "W6")
async def test_healing_undoes_all_ways_in_which_a_link_was_broken(tmp_path: Path) -> None:
    # given a link that is cut, a black hole and in a brown-out, all at once
    broken = Broken(tmp_path)
    await broken.fail("left", "cut")
    await broken.fail(LINK, "black-hole", leaving="left")
    said = await broken.fail(LINK, "brown-out", delay="+20")
    assert said == "left-right: 1 link in a brown-out (left-right)"
    assert broken.failures.names == {"left", LINK}
    # when it is healed, then each is undone, once
    await broken.heal(LINK)
    assert broken.recorder.asked == [
        ("cut", LINK), ("swallow", LINK, "left"), ("brown-out", LINK, 20.0, None),
        ("clear up", LINK), ("let through", LINK, None), ("plug in", LINK),
    ]  # fmt: skip
    assert broken.failures.names == set()
    assert await broken.heal(LINK) == "left-right: nothing was broken (left-right)"
    # and each is an event, the changes of the line with their figures
    told = events_of(tmp_path)
    assert [kind for _, kind, _ in told] == [
        "failed-on-purpose", "failed-on-purpose",
        "line-changed", "failed-on-purpose",
        "line-changed", "healed",
    ]  # fmt: skip
    assert told[1][2] == "black-hole leaving=left: left-right"
    changed = json.loads(told[2][2])
    assert (changed["why"], changed["sender"], changed["delay_ms"]) == ("brown-out", "left", 60.0)


@pytest.mark.req("V2")
async def test_a_dead_router_closes_no_session_and_restarts_in_the_dark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a router that is killed: first it is dark, then its programs are ended
    broken = Broken(tmp_path)
    left, right = plans.line(40).nodes
    router = replace(plans.line(40), nodes=(replace(left, kind=NodeKind.ROUTER), right))
    broken.failures = Failures(router, broken.log)
    for name in ("forget_connections", "forget_learned"):
        monkeypatch.setattr(f"uclab.lab.failures.{name}", lambda where, name=name: broken.recorder._ask(name))
    said = await broken.fail("left", "kill")
    assert broken.recorder.asked == [("swallow", LINK, None), ("kill", "left")]
    assert said == "left: killed (2 programs ended; 1 link up, not forwarding)"
    assert events_of(tmp_path)[-1] == (
        "left", "failed-on-purpose", "killed: left-bgpd, left-line-watch; dark: left-right",
    )  # fmt: skip
    broken.recorder.asked.clear()
    # when it is restored, then it remembers nothing, its programs start, and only then something passes
    await broken.heal("left")
    assert broken.recorder.asked == [
        ("forget_connections",), ("forget_learned",), ("start", "left"), ("let through", LINK, None),
    ]  # fmt: skip
    assert broken.failures.names == set()


@pytest.mark.parametrize(
    ("name", "how", "figures", "words"),
    [
        (LINK, "melt", {}, "a link fails by `cut`, `black-hole`, `brown-out`, `kill`, not by `melt`"),
        (LINK, "kill", {}, "`left-right` cannot be killed"),
        (LINK, "cut", {"loss": 8}, "figures (loss) belong to a brown-out, not to `cut`"),
        (LINK, "cut", {"leaving": "left"}, "a cut cable carries nothing in either direction"),
        (LINK, "brown-out", {}, "a brown-out needs figures"),
        ("middle", "black-hole", {}, "no link or node `middle`; there are: left-right, left, right"),
    ],
)
async def test_what_cannot_be_broken_so_is_refused_in_words(
    tmp_path: Path, name: str, how: str, figures: dict[str, object], words: str
) -> None:
    broken = Broken(tmp_path)
    with pytest.raises(Refused) as refused:
        await broken.fail(name, how, **figures)
    assert words in str(refused.value)
    # and nothing was done, nor told
    assert (broken.recorder.asked, broken.failures.names, events_of(tmp_path)) == ([], set(), [])


async def test_what_the_network_cannot_do_is_a_refusal(tmp_path: Path) -> None:
    broken = Broken(tmp_path, NotPossible("left-right: its rate cannot change"))
    with pytest.raises(Refused, match="its rate cannot change"):
        await broken.fail(LINK, "black-hole")


@pytest.mark.req("W4.1", "W8")
async def test_schedules_of_all_lines_are_carried_out_in_order_of_time(tmp_path: Path) -> None:
    # given two lines, one of which has two schedules
    schedules = (
        LineSchedule("left", "eth0", (LineStep(0.0), LineStep(0.05, None, 10.0))),
        LineSchedule("right", "eth0", (LineStep(0.0), LineStep(0.1, None, 20.0))),
        LineSchedule("left", "eth0", (LineStep(0.0), LineStep(0.15, None, 5.0))),
    )
    recorder: Any = Recorder()
    # when they are driven to their end
    await drive(schedules, recorder, EventLog(tmp_path / "events.jsonl"))
    # then each line is told what its schedules do together, when they do it
    steps = [(node, step.at_s, step.more_delay_ms) for node, _, step in recorder.asked]
    assert steps == [
        ("left", 0, 0), ("right", 0, 0), ("left", 0.05, 10), ("right", 0.1, 20), ("left", 0.15, 15),
    ]  # fmt: skip
    told = events_of(tmp_path)
    assert told[0] == ("lab", "timetable-started", "left:eth0, right:eth0")
    assert [json.loads(detail)["delay_ms"] for _, _, detail in told[1:]] == [40, 40, 50, 60, 55]


async def test_a_line_that_cannot_be_changed_is_an_event_and_does_not_stop_the_others(tmp_path: Path) -> None:
    # given a line whose process has died
    recorder: Any = Recorder(ImpairmentError("left: the delay line has ended"))
    schedule = LineSchedule("left", "eth0", (LineStep(0.0), LineStep(0.02, None, 10.0)))
    # when its schedule is driven, then each change that failed is told
    await drive((schedule,), recorder, EventLog(tmp_path / "events.jsonl"))
    assert [kind for _, kind, _ in events_of(tmp_path)] == [
        "timetable-started", "line-not-changed", "line-not-changed",
    ]  # fmt: skip


async def test_a_lab_without_schedules_has_no_timetable(tmp_path: Path) -> None:
    recorder: Any = Recorder()
    await drive((), recorder, EventLog(tmp_path / "events.jsonl"))
    assert events_of(tmp_path) == []
