"""Taps whose frames are not those of their cable: two interfaces of a capture have each other's names.

Both ends of a cable see the same frames. Where a tap's do not fit what the other end of its cable saw, but
those under another name of the same file do, and the other way about, the names are mixed up: what such taps
show is nobody's, and is set aside as if they had not been captured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import combinations
from operator import attrgetter

from uclab.judge.measure.flows import Flow, FlowKey
from uclab.judge.measure.observe import Observations
from uclab.plan.schema.plan import Plan

NO_FRAMES = ("tunnel",)
"""Kinds of link at whose two ends the same packets are in other frames."""
FITS = 0.8
"""Share of frames that the two ends of a cable have in common at least, of those of the end with more."""
BETTER = 0.1
"""Another tap must fit better by so much: in a capture that lacks some frames nothing is mixed up."""
STRANGE = 0.02
"""And of a tap with another's name so many frames at least were never at the other end of its cable."""
HEADERS = attrgetter(*(field.name for field in fields(FlowKey) if field.name != "tap"))
Frames = Counter[tuple[object, ...]]
"""Packets by all header fields of a flow."""


def misnamed_taps(plan: Plan, flows: Iterable[Flow]) -> dict[str, str]:
    """Tap -> why what is under its name is not its own, in words."""
    frames: dict[str, Frames] = {}
    for flow in flows:
        frames.setdefault(flow.key.tap, Counter())[HEADERS(flow.key)] += flow.packets
    far = dict(_far_ends(plan, frames))
    fit = {tap: _common(frames[tap], frames[other]) for tap, other in far.items()}
    found: dict[str, str] = {}
    by_file: dict[str, list[str]] = {}
    for tap in plan.taps:
        if tap.label in frames:
            by_file.setdefault(tap.namespace, []).append(tap.label)
    for labels in by_file.values():
        for one, other in combinations(labels, 2):
            if _crossed(frames, far, fit, one, other):
                found[one] = f"what its file has under this name passed {other}"
                found[other] = f"what its file has under this name passed {one}"
    return found


def _far_ends(plan: Plan, frames: Mapping[str, Frames]) -> Iterator[tuple[str, str]]:
    """Of each cable with taps at both ends: each tap with the other one."""
    taps = {(tap.device, tap.interface): tap.label for tap in plan.taps if tap.label in frames}
    for link in plan.links:
        ends = [taps.get((end.device, end.interface)) for end in (link.a, link.b)]
        if link.kind not in NO_FRAMES and ends[0] is not None and ends[1] is not None:
            yield ends[0], ends[1]
            yield ends[1], ends[0]


def _crossed(
    frames: Mapping[str, Frames],
    far: Mapping[str, str],
    fit: Mapping[str, float],
    first: str,
    other: str,
) -> bool:
    """Whether each of two taps fits the other's cable, and not its own."""
    strange = False
    for mine, theirs in ((first, other), (other, first)):
        if mine not in far:
            continue
        if fit[mine] + BETTER > 1 or far[mine] == theirs:
            return False
        crossed = _common(frames[theirs], frames[far[mine]])
        if crossed < FITS or crossed < fit[mine] + BETTER:
            return False
        own, end = frames[mine], frames[far[mine]]
        strange |= (own - end).total() > STRANGE * own.total()
        strange |= (frames[theirs] - frames[far.get(theirs, theirs)]).total() > STRANGE * own.total()
    return strange


def _common(one: Frames, other: Frames) -> float:
    """Share of the frames that both have, of those of who has more."""
    most = max(one.total(), other.total())
    return (one & other).total() / most if most else 1.0


def set_aside(seen: Observations, taps: Mapping[str, str]) -> None:
    """Takes what was seen under these names out of what was seen."""
    if not taps:
        return
    seen.misnamed.update(taps)
    for label in taps:
        seen.taps.pop(label, None)
        for by_tap in (seen.counts.frames, seen.counts.sent, seen.counts.got, seen.counts.latest_ns):
            by_tap.pop(label, None)
        for times in (seen.counts.first_ns, seen.counts.last_ns):
            times.pop(label, None)
    flows, media = seen.flows, seen.media
    flows.flows = {key: flow for key, flow in flows.flows.items() if flow.key.tap not in taps}
    flows.opened = [request for request in flows.opened if request[0] not in taps]
    gone = {index for index, label in enumerate(media.labels) if label in taps}
    media.hops = {key: hop for key, hop in media.hops.items() if key[1] not in gone}
    media.passed = {key: kept for key, kept in media.passed.items() if key[1] not in gone}
    media.anchored = {key: kept for key, kept in media.anchored.items() if key[1] not in gone}
