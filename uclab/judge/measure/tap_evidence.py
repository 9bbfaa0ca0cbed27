"""How it is known that a tap saw only part: by evidence that no network, only a capture, explains.

What a device sends has passed the tap at its own end of the cable when the tap at the other end sees it,
whatever is broken: queues, filters and losses sit before the one or behind the other. So frames *sent by* a
device that only the other end of its cable saw tell of its own tap's capture. A device that black-holes
everything is no such case, not even where it does so before its tap (a black hole of the lab's own, by XDP):
it sends nothing that its tap has not. Nor is an idle host. Between two switches nobody can tell from a frame
which one sent it; there all frames count, but none while the cable was broken on purpose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from uclab.judge.evidence.link_outages import link_outages
from uclab.judge.measure.cable_ends import Stretch, is_cut, missed, stretches
from uclab.judge.measure.observe import TapState
from uclab.judge.measure.swapped_taps import NO_FRAMES
from uclab.judge.measure.tap_clocks import Spans, clocks_apart
from uclab.judge.measure.tap_counts import SECOND_NS, UNKNOWN, TapCounts
from uclab.judge.measure.tap_windows import EVER_NS, Hole, TapWindows, time_of_day
from uclab.plan.schema.plan import Plan, Tap
from uclab.records.captures import CaptureTime
from uclab.records.run import CallRecord, Event

UNWRITTEN_NS = 300_000_000
"""What came so shortly before a capture was told to end may not be in its file: dumpcap gets the kernel's
buffers when they are full, or up to a quarter of a second late."""
COUNTERS_MANY, COUNTERS_SHARE = 50, 0.02
"""A file may hold so many packets fewer than its own counters name: those that came while it was closed."""
TURN_S = 2.5
"""About the cutting and the restoration of a cable one end may go on sending while the other is down."""
APART_S = 2
"""Calls and registrations by the lab's word, without a frame at any tap for so long: nothing was captured."""


@dataclass(frozen=True)
class Captured:
    """What is known of a run's captures."""

    plan: Plan
    counts: TapCounts
    states: Mapping[str, TapState]
    times: Sequence[CaptureTime] = ()
    events: Sequence[Event] = ()
    calls: Sequence[CallRecord] = ()
    alive: bool = False
    """The lab still runs: no file is closed yet."""
    media_spans: Spans = field(default_factory=dict)
    """When streams of media began and ended at each tap."""
    misnamed: Mapping[str, str] = field(default_factory=dict)
    """Taps whose frames were set aside, and why."""

    @property
    def namespaces(self) -> dict[str, list[str]]:
        """Namespace -> its taps."""
        found: dict[str, list[str]] = {}
        for tap in self.plan.taps:
            found.setdefault(tap.namespace, []).append(tap.label)
        return found


def tap_windows(run: Captured) -> TapWindows:
    """When each tap of the plan saw."""
    running = _running(run)
    holes: dict[str, list[Hole]] = {tap.label: [] for tap in run.plan.taps}
    for tap in run.plan.taps:
        if tap.label in run.misnamed:
            holes[tap.label].append(Hole(0, EVER_NS, run.misnamed[tap.label]))
        elif tap.label not in run.states:
            holes[tap.label].append(Hole(0, EVER_NS, "it was not captured", told=True))
    for name, labels in run.namespaces.items():
        end = _early_end(run, name, labels)
        if end is not None:
            for label in labels:
                holes[label].append(end)
    for hole in _all_silent(run):
        for label in holes:
            holes[label].append(hole)
    apart = list(_by_clocks(run))
    for label, hole in (*apart, *_by_cables(run, running, {label for label, _ in apart})):
        holes[label].append(hole)
    for label, state in run.states.items():
        if label in holes and not holes[label]:
            holes[label] += _by_counters(state)
    return TapWindows(
        {tap.label: tap for tap in run.plan.taps},
        {
            label: tuple(sorted(tap_holes, key=lambda h: h.begin_ns))
            for label, tap_holes in holes.items()
            if tap_holes
        },
        running,
    )


def _running(run: Captured) -> dict[str, tuple[int, int]]:
    """Namespace -> when its capture was ready, and when it was told to end."""
    ready: dict[str, int] = {}
    stopped: dict[str, int] = {}
    for event in run.events:
        if event.source == "lab" and event.kind in ("captures-running", "going-down"):
            known = ready if event.kind == "captures-running" else stopped
            known.update(dict.fromkeys(run.namespaces, int(event.time * 1e9)))
    for time in run.times:
        if time.what == "ready":
            ready[time.namespace] = int(time.time * 1e9)
        elif time.what == "stopping":
            stopped[time.namespace] = int(time.time * 1e9)
    return {name: (ready.get(name, 0), stopped.get(name, EVER_NS)) for name in run.namespaces}


def _early_end(run: Captured, name: str, labels: Sequence[str]) -> Hole | None:
    """A capture that ended before it was told to: it died, or nobody closed its file."""
    captured = [label for label in labels if label in run.states]
    last = max((run.counts.last_ns.get(label, 0) for label in captured), default=0)
    died = [int(t.time * 1e9) for t in run.times if t.namespace == name and t.what == "died"]
    died += [int(e.time * 1e9) for e in run.events if e.kind == "process-died" and e.source == f"taps-{name}"]
    if died:
        return Hole(min(min(died), last or min(died)), EVER_NS, "its capture died")
    if captured and not run.alive and all(run.states[label].dropped is None for label in captured):
        return Hole(last, EVER_NS, "its capture was not closed, and its file ends there", told=True)
    return None


def _all_silent(run: Captured) -> Iterator[Hole]:
    """Times in which no tap saw a frame while, by the lab's own word, there were calls and registrations."""
    seconds = sorted({second for frames in run.counts.frames.values() for second in frames})
    if not seconds:
        return
    first = min(run.counts.first_ns.values())
    last = max(run.counts.last_ns.values())
    phones = {endpoint.name for endpoint in run.plan.endpoints}
    active_at = [event.time for event in run.events if event.source in phones and event.kind == "registered"]
    active_at += [call.started_at for call in run.calls]
    early_ns = int(min(active_at, default=0.0) * 1e9)
    if active_at and early_ns < first - APART_S * SECOND_NS:
        began = time_of_day(early_ns)
        yield Hole(0, first, f"no tap saw a frame until then, though phones reported some at {began}")
    ends = [call.ended_at for call in run.calls if call.established and call.ended_at is not None]
    late_ns = int(max(ends, default=0.0) * 1e9)
    if late_ns > last + APART_S * SECOND_NS:
        why = f"no tap saw a frame from then on, though a call lasted until {time_of_day(late_ns)}"
        yield Hole(last, EVER_NS, why)
    talked = [(call.answered_at, call.ended_at) for call in run.calls if call.answered_at and call.ended_at]
    for before, after in pairwise(seconds):
        begin, end = (before + 1) * SECOND_NS, after * SECOND_NS
        if end - begin >= APART_S * SECOND_NS and any(b * 1e9 < end and begin < e * 1e9 for b, e in talked):
            yield Hole(begin, end, "no tap saw a frame, though a call was going on")


def _by_clocks(run: Captured) -> Iterator[tuple[str, Hole]]:
    """Captures that tell another time than the others: when anything passed there is not known."""
    cables = [(one, other) for one, other, _ in _cable_ends(run) if one.label < other.label]
    for apart in clocks_apart(cables, run.media_spans):
        for label in run.namespaces[apart.namespace]:
            yield label, Hole(0, EVER_NS, apart.words, part=True, clock=True)


def _by_counters(state: TapState) -> Iterator[Hole]:
    """A file that holds less than its own counters name, or whose capture dropped much; nobody knows when."""
    if state.received is None or state.dropped is None:
        return
    few = max(COUNTERS_MANY, COUNTERS_SHARE * state.received)
    counted = state.received - state.dropped
    if counted - state.packets > few:
        why = f"its file holds {state.packets} of the {counted} packets that it counts"
        yield Hole(0, EVER_NS, why, part=True)
    if state.dropped > few:
        why = f"its capture dropped {state.dropped} of {state.received} packets"
        yield Hole(0, EVER_NS, why, part=True, told=True)


def _by_cables(
    run: Captured, running: Mapping[str, tuple[int, int]], other_time: Collection[str]
) -> Iterator[tuple[str, Hole]]:
    """Tap and hole, as the taps at the other ends of cables show them; not by taps that tell another
    time."""
    missing = _missing(run, running, other_time)
    for labels in run.namespaces.values():
        captured = [label for label in labels if label in run.states]
        seen = {second for label in captured for second in run.counts.at(label)}
        own = {label: dict(missing[label]) for label in captured if label in missing}
        silent = {second for missed_frames in own.values() for second in missed_frames if second not in seen}
        # its taps begin and end to be silent within a second, in which some still saw something
        edges = {
            s
            for missed_frames in own.values()
            for s in missed_frames
            if s in seen and {s - 1, s + 1} & silent
        }
        whole = {s: sum(missed_frames.get(s, 0) for missed_frames in own.values()) for s in silent | edges}
        for stretch in stretches(whole, seen - edges):
            hole = _hole(stretch, "the other ends of its cables")
            yield from ((label, hole) for label in captured)
        for label, missed_frames in own.items():
            rest = {second: frames for second, frames in missed_frames.items() if second not in whole}
            for stretch in stretches(rest, run.counts.at(label).keys()):
                yield label, _hole(stretch, "the other end of its cable")


def _hole(stretch: Stretch, who: str) -> Hole:
    why = f"{who} saw {stretch.frames} frames that are not in its file"
    return Hole(stretch.begin * SECOND_NS, (stretch.end + 1) * SECOND_NS, why, stretch.part)


def _missing(
    run: Captured, running: Mapping[str, tuple[int, int]], other_time: Collection[str]
) -> dict[str, Counter[int]]:
    """Tap -> second -> frames that only the other end of its cable saw."""
    found: dict[str, Counter[int]] = {}
    cut: dict[str, dict[str, set[int]]] = {}
    """Namespace -> tap -> seconds that look as if its cable had lost its carrier."""
    for tap, other, broken in _cable_ends(run):
        if tap.label in other_time or other.label in other_time:
            continue
        spaces = [running[space] for space in (tap.namespace, other.namespace)]
        ran = max(ready for ready, _ in spaces), min(stopped for _, stopped in spaces)
        counts = run.counts
        between_switches = counts.ends.get(tap.label, UNKNOWN) == UNKNOWN
        if between_switches:
            here, far_counts = (_usable(counts.at(label), ran, broken) for label in (tap.label, other.label))
        else:
            here = _usable(counts.sent.get(tap.label, {}), ran)
            far_counts = _usable(counts.got.get(other.label, {}), ran)
        lacking = missed(far_counts, here)
        last = counts.latest_ns
        for stretch in list(stretches(lacking, here.keys())) if between_switches else ():
            if is_cut(stretch, last.get(other.label, {}), last.get(tap.label, {})):
                seconds = cut.setdefault(tap.namespace, {}).setdefault(tap.label, set())
                seconds |= set(range(stretch.begin, stretch.end + 1))
        if lacking:
            found[tap.label] = lacking
    for cut_taps in cut.values():
        for label, seconds in cut_taps.items():
            # several cables of a device at once: that is its capture
            together = set[int]().union(*(other for name, other in cut_taps.items() if name != label))
            if not seconds & together:
                found[label] = Counter({s: n for s, n in found[label].items() if s not in seconds})
    return {label: lacking for label, lacking in found.items() if lacking}


def _usable(
    by_second: Mapping[int, int], ran: tuple[int, int], broken: Sequence[tuple[float, float]] = ()
) -> dict[int, int]:
    """The seconds that lie wholly in the time for which two captures ran, and not in one of broken cables."""
    return {
        second: frames
        for second, frames in by_second.items()
        if ran[0] <= second * SECOND_NS <= ran[1] - SECOND_NS - UNWRITTEN_NS
        and not any(since - TURN_S < second + 0.5 < until + TURN_S for since, until in broken)
    }


def _cable_ends(run: Captured) -> Iterator[tuple[Tap, Tap, list[tuple[float, float]]]]:
    """Both ends of each cable that were captured, once in each order, with the times for which it was broken
    on purpose."""
    taps = {(tap.device, tap.interface): tap for tap in run.plan.taps if tap.label in run.states}
    broken: dict[str, list[tuple[float, float]]] = {}
    for outage in link_outages(run.events):
        broken.setdefault(outage.link, []).append((outage.since, outage.until))
    for link in run.plan.links:
        ends = [taps.get((end.device, end.interface)) for end in (link.a, link.b)]
        if link.kind not in NO_FRAMES and ends[0] is not None and ends[1] is not None:
            yield ends[0], ends[1], broken.get(link.name, [])
            yield ends[1], ends[0], broken.get(link.name, [])
