"""Lines that change while the lab runs: said in events, and driven by the plan's schedules (W4, W8)."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Sequence

from uclab.emulation.build.line_control import LineControl, LineState
from uclab.emulation.link.impairment import ImpairmentError
from uclab.emulation.linux.queues import QueueError
from uclab.lab.events import EventLog
from uclab.plan.schema.plan import LineSchedule, LineStep
from uclab.plan.wan.schedules import line_steps
from uclab.records.run import BY_TIMETABLE, LINE_CHANGED

Line = tuple[str, str]
"""The device that sends, and its interface."""


def tell(events: EventLog, why: str, states: Iterable[LineState]) -> None:
    """An event for each direction that does something else from now on."""
    for state in states:
        events.add(state.link, LINE_CHANGED, json.dumps({"why": why, **state.as_record()}), about=why)


async def drive(schedules: Sequence[LineSchedule], control: LineControl, events: EventLog) -> None:
    """Carry out all schedules from now on, by the monotonic clock, until they end or this is cancelled.

    Where the machine is late, what has been overtaken by a line's next step is left out.
    """
    if not schedules:
        return
    lines = itertools.groupby(sorted(schedules, key=_line), key=_line)
    changes = {line: line_steps(list(line_schedules)) for line, line_schedules in lines}
    comings = heapq.merge(
        *(_named(line, steps) for line, steps in changes.items()), key=lambda change: change[:2]
    )
    began = time.monotonic()
    events.add("lab", "timetable-started", ", ".join(f"{node}:{interface}" for node, interface in changes))
    waiting = next(comings, None)
    while waiting is not None:
        await asyncio.sleep(max(0.0, began + waiting[0] - time.monotonic()))
        due: dict[Line, LineStep] = {}
        while waiting is not None and began + waiting[0] <= time.monotonic():
            due[waiting[1]] = waiting[2]
            waiting = next(comings, None)
        for (node, interface), step in due.items():
            try:
                state = await asyncio.to_thread(control.step, node, interface, step)
            except (ImpairmentError, QueueError) as error:
                events.add(node, "line-not-changed", str(error))
                continue
            tell(events, BY_TIMETABLE, [state] if state is not None else [])


def _named(line: Line, steps: Iterator[LineStep]) -> Iterator[tuple[float, Line, LineStep]]:
    return ((step.at_s, line, step) for step in steps)


def _line(schedule: LineSchedule) -> Line:
    return schedule.node, schedule.interface
