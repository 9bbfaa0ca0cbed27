"""How lines change with time: timetables and recordings, resolved for each direction of each line (W4, W8).

`line_steps` says what comes when: a pure function, the same for both variants of the line.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from uclab.model.profile import Direction
from uclab.model.timetable import Period, Timetable
from uclab.model.trace import Trace
from uclab.plan.lan.sites import Context
from uclab.plan.resolve.circuits import line_interfaces
from uclab.plan.resolve.lines import far_ends
from uclab.plan.resolve.queues import SITE_SHARE_PCT
from uclab.plan.schema.plan import Impairment, LineSchedule, LineStep, Link, LinkEnd, Node
from uclab.plan.wan.brown_out import roomy

RateOf = Callable[[int], int]
"""From the line's rate to that of the queue that shapes for it."""


def build_schedules(
    context: Context, traces: Mapping[str, Trace], nodes: Sequence[Node], links: Sequence[Link]
) -> tuple[LineSchedule, ...]:
    """The schedules of all lines, both directions each, the way up first."""
    ends = far_ends(nodes, links)
    found: list[LineSchedule] = []
    for site in context.topology.sites:
        for connection in site.connections:
            profile = context.line(connection)
            near = LinkEnd(site.router.name, line_interfaces(site)[connection.name])
            far = ends[near]
            ways = (("up", near, profile.up, site_rate), ("down", far, profile.down, int))
            for way, end, direction, rate_of in ways:
                if profile.timetable is not None:
                    compress = connection.compress or profile.timetable.compress
                    found += of_timetable(end, profile.timetable, compress, way, direction, rate_of)
                elif connection.profile in traces:
                    found += of_trace(end, traces[connection.profile], way, direction, rate_of)
    return tuple(found)


def site_rate(line_kbps: int) -> int:
    """The site shapes a little below the line."""
    return line_kbps * SITE_SHARE_PCT // 100


def of_timetable(
    end: LinkEnd, table: Timetable, compress: float, way: str, direction: Direction, rate_of: RateOf
) -> list[LineSchedule]:
    """A schedule for all periods that come once in a timetable, one for each that comes every so often."""
    mine = [period for period in table.periods if period.way in (way, "both")]
    once = [period for period in mine if period.every_s is None]
    found = []
    if once:
        repeat_s = table.repeat_s / compress if table.repeat_s else None
        spans = [span for period in once for span in _spans(period, period.at_s / compress, repeat_s)]
        found.append(_schedule(end, spans, repeat_s, direction, rate_of))
    for period in mine:
        if period.every_s is not None:
            spans = _spans(period, (period.at_s / compress) % period.every_s, period.every_s)
            found.append(_schedule(end, spans, period.every_s, direction, rate_of))
    return found


@dataclass(frozen=True)
class _Span:
    """A period from one time to another."""

    begin_s: float
    end_s: float
    period: Period


def _spans(period: Period, begin_s: float, repeat_s: float | None) -> list[_Span]:
    """One span, or two where the period reaches beyond the end of what repeats."""
    end_s = begin_s + period.seconds
    if repeat_s is None or end_s <= repeat_s:
        return [_Span(begin_s, end_s, period)]
    return [_Span(begin_s, repeat_s, period), _Span(0.0, min(begin_s, end_s - repeat_s), period)]


def _schedule(
    end: LinkEnd, spans: Sequence[_Span], repeat_s: float | None, direction: Direction, rate_of: RateOf
) -> LineSchedule:
    times = sorted({0.0, *(t for span in spans for t in (span.begin_s, span.end_s))})
    steps: list[LineStep] = []
    for at_s in (at_s for at_s in times if repeat_s is None or at_s < repeat_s):
        now = [span.period for span in spans if span.begin_s <= at_s < span.end_s]
        step = LineStep(
            round(at_s, 3),
            min((rate_of(_rate(direction, p.rate_pct)) for p in now if p.rate_pct is not None), default=None),
            sum((p.more_delay_ms for p in now), 0.0),
            sum((p.more_jitter_ms for p in now), 0.0),
            min(100.0, sum((100.0 if p.outage else p.more_loss_pct for p in now), 0.0)),
        )
        if not steps or replace(step, at_s=0.0) != replace(steps[-1], at_s=0.0):
            steps.append(step)
    return LineSchedule(end.device, end.interface, tuple(steps), repeat_s)


def _rate(direction: Direction, pct: float) -> int:
    return max(1, int(direction.rate_kbps * pct / 100))


def of_trace(
    end: LinkEnd, trace: Trace, way: str, direction: Direction, rate_of: RateOf
) -> list[LineSchedule]:
    """The schedule that plays a recording; none where it says nothing of this direction."""
    rows = [row for row in trace.rows if row.direction in (way, "both")]
    if not rows:
        return []
    steps = [] if rows[0].time_s == 0 else [LineStep(0.0)]
    step = LineStep(0.0)
    for row in rows:
        step = replace(step, at_s=row.time_s)
        if row.rate_kbps is not None:
            step = replace(step, rate_kbps=rate_of(row.rate_kbps))
        if row.delay_ms is not None:
            step = replace(step, more_delay_ms=round(row.delay_ms - direction.delay_ms, 3))
        if row.jitter_ms is not None:
            step = replace(step, more_jitter_ms=round(row.jitter_ms - direction.jitter_ms, 3))
        if row.loss_pct is not None:
            step = replace(step, more_loss_pct=round(row.loss_pct - direction.loss_pct, 4))
        steps.append(step)
    if not trace.loop:
        steps.append(LineStep(trace.length_s))
    return [LineSchedule(end.device, end.interface, tuple(steps), trace.length_s if trace.loop else None)]


def combined(steps: Sequence[LineStep]) -> LineStep:
    """What several schedules do to a line together."""
    return LineStep(
        max((step.at_s for step in steps), default=0.0),
        min((step.rate_kbps for step in steps if step.rate_kbps is not None), default=None),
        sum((step.more_delay_ms for step in steps), 0.0),
        sum((step.more_jitter_ms for step in steps), 0.0),
        sum((step.more_loss_pct for step in steps), 0.0),
    )


def line_steps(schedules: Sequence[LineSchedule]) -> Iterator[LineStep]:
    """What the schedules of one line do together at each of their steps, from 0 on, in order of time, for as
    long as they run."""
    comings = heapq.merge(
        *(_comings(number, line_schedule) for number, line_schedule in enumerate(schedules))
    )
    present = [LineStep(0.0) for _ in schedules]
    for at_s, at_once in itertools.groupby(comings, key=lambda coming: coming[0]):
        for _, number, index in at_once:
            present[number] = schedules[number].steps[index]
        yield replace(combined(present), at_s=at_s)


def _comings(number: int, schedule: LineSchedule) -> Iterator[tuple[float, int, int]]:
    """(time, schedule, step) of every step, again and again where it repeats and there is more than one."""
    turn = 0
    while True:
        for index, step in enumerate(schedule.steps):
            yield round(turn * (schedule.repeat_s or 0.0) + step.at_s, 3), number, index
        if schedule.repeat_s is None or len(schedule.steps) == 1:
            return
        turn += 1


def stepped(line: Impairment, step: LineStep) -> Impairment:
    """The line in that step, with room for what is on its way."""
    delay_ms = max(0.0, line.delay_ms + step.more_delay_ms)
    return replace(
        line,
        delay_ms=round(delay_ms, 3),
        jitter_ms=round(max(0.0, line.jitter_ms + step.more_jitter_ms), 3),
        loss_pct=round(min(100.0, max(0.0, line.loss_pct + step.more_loss_pct)), 4),
        limit_packets=roomy(line, delay_ms),
    )
