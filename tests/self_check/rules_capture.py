"""Rules about captures that are not whole, or not what they say: the network did nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from tests.self_check.blocks import IF_NAME, INTERFACE, Captured, option, options, whole_block
from tests.self_check.evidence import CleanRun, Copy
from tests.self_check.rule import Change, rule

S, MS = 1_000_000_000, 1_000_000
PRIVACY = frozenset({"privacy.readable"})
COMPLETE = frozenset({"capture.complete"})


def _cut(copy: Copy, names: list[str], size: int) -> None:
    for name in names:
        copy.edit(name, lambda p: (replace(p, frame=p.frame[:size]),))
        copy.files[name] = copy.file(name).with_blocks(
            lambda kind, block: (
                (block[:12] + struct.pack("<I", size) + block[16:],) if kind == INTERFACE else (block,)
            )
        )


def _busy(clean: CleanRun) -> list[str]:
    """Namespaces whose capture holds packets of calls' ways."""
    passed = {clean.namespace_of[hop.tap] for way in clean.ways for hop in way.hops}
    return sorted(passed & clean.files.keys())


@rule("packets cut, one capture", "lost")
def cut_one(clean: CleanRun) -> Iterator[Change]:
    """One capture keeps 60 or 96 bytes of each packet."""
    for name in _busy(clean):
        for size in (60, 96):

            def apply(copy: Copy, name: str = name, size: int = size) -> None:
                _cut(copy, [name], size)

            yield Change("packets cut, one capture", "lost", f"{name} to {size} bytes", apply, PRIVACY)


@rule("packets cut, all captures", "lost")
def cut_all(clean: CleanRun) -> Iterator[Change]:
    """All captures keep 60 or 96 bytes of each packet."""
    for size in (60, 96):

        def apply(copy: Copy, size: int = size) -> None:
            _cut(copy, list(copy.clean.files), size)

        yield Change(
            "packets cut, all captures", "lost", f"to {size} bytes", apply, PRIVACY | {"signalling.untouched"}
        )


@rule("a capture missing", "lost")
def missing(clean: CleanRun) -> Iterator[Change]:
    """One file is not there."""
    for name in clean.files:

        def apply(copy: Copy, name: str = name) -> None:
            copy.remove(f"captures/{name}.pcapng")

        yield Change("a capture missing", "lost", name, apply, COMPLETE)


@rule("one direction missing at a tap", "lost")
def one_way(clean: CleanRun) -> Iterator[Change]:
    """A tap shows only what goes to the cloud, or only what comes from there."""
    for tap in sorted({hop.tap for way in clean.ways for hop in way.hops}):
        for leg in ("up", "down"):

            def apply(copy: Copy, tap: str = tap, leg: str = leg) -> None:
                name = copy.clean.namespace_of[tap]
                index = copy.clean.labels[name].index(tap)
                copy.edit(
                    name, lambda p: () if p.interface == index and copy.clean.leg_of(p.frame) == leg else (p,)
                )

            either = COMPLETE | {"path.as-planned"}
            yield Change("one direction missing at a tap", "lost", f"{tap}, {leg}", apply, either)


def _times(clean: CleanRun) -> tuple[int, int]:
    """From the first call's beginning to the last one's end."""
    calls = clean.run.calls
    return int(min(c.started_at for c in calls) * S), int(max(c.ended_at or 0.0 for c in calls) * S)


FEW = 30
"""Frames of a device that is in no call: name look-ups, keep-alive."""


@rule("a capture begins late, ends early, or has a hole", "lost")
def in_part(clean: CleanRun) -> Iterator[Change]:
    """One capture has nothing of the first or last third of the calls' time, or of three seconds in the
    middle."""
    begin, end = _times(clean)
    third = (end - begin) // 3
    middle = (begin + end) // 2
    gaps = {
        "begins late": (0, begin + third),
        "ends early": (end - third, 1 << 62),
        "has a hole": (middle - 3 * S // 2, middle + 3 * S // 2),
    }
    for name in _busy(clean):
        for words, (since, until) in gaps.items():
            if sum(since <= packet.time_ns < until for packet in clean.files[name].packets) < FEW:
                continue  # a device that was idle then: nothing is missing that anybody could miss

            def apply(copy: Copy, name: str = name, since: int = since, until: int = until) -> None:
                copy.edit(name, lambda p: () if since <= p.time_ns < until else (p,))

            place = f"{name} {words}"
            yield Change("a capture begins late, ends early, or has a hole", "lost", place, apply, COMPLETE)


@rule("two taps of one file swapped", "lost")
def taps_swapped(clean: CleanRun) -> Iterator[Change]:
    """Two interfaces of a capture have each other's names."""
    for name in _busy(clean):
        names = clean.files[name].names
        passed = {hop.tap for way in clean.ways for hop in way.hops}
        own = [n for n, tap in zip(names, clean.labels[name], strict=True) if tap in passed]
        for one, other in pairwise(own):
            if _same_cable(clean, clean.run.label(name, one), clean.run.label(name, other)):
                continue

            def apply(copy: Copy, name: str = name, pair: tuple[str, str] = (one, other)) -> None:
                turned = dict(zip(pair, pair[::-1], strict=True))
                copy.files[name] = copy.file(name).with_blocks(
                    lambda kind, block: (_renamed(block, turned),) if kind == INTERFACE else (block,)
                )

            yield Change("two taps of one file swapped", "lost", f"{one} and {other}", apply, COMPLETE)


def _same_cable(clean: CleanRun, one: str, other: str) -> bool:
    """Two ends of one cable hold the same frames: who swaps them changes nothing but microseconds."""
    places = {(clean.network.taps[tap].device, clean.network.taps[tap].interface) for tap in (one, other)}
    links = ({(end.device, end.interface) for end in (link.a, link.b)} for link in clean.run.plan.links)
    return any(places == ends for ends in links)


def _renamed(block: bytes, names: dict[str, str]) -> bytes:
    body = block[8:16]
    for code, value in options(block[16:-4]):
        body += option(code, names.get(value.decode(), value.decode()).encode() if code == IF_NAME else value)
    return whole_block(INTERFACE, body + bytes(4))


@rule("two captures swapped", "lost")
def files_swapped(clean: CleanRun) -> Iterator[Change]:
    """Two files have each other's names."""
    names = _busy(clean)
    for one, other in pairwise(names):

        def apply(copy: Copy, one: str = one, other: str = other) -> None:
            paths = [f"captures/{name}.pcapng" for name in (one, other)]
            contents = [copy.read(path) for path in paths]
            for path, content in zip(paths, reversed(contents), strict=True):
                copy.write(path, content)

        yield Change("two captures swapped", "lost", f"{one} and {other}", apply, COMPLETE)


@rule("a capture's clock wrong by 300 ms", "lost")
def clock_wrong(clean: CleanRun) -> Iterator[Change]:
    """All times of one capture are 300 ms late."""
    for name in _busy(clean):

        def apply(copy: Copy, name: str = name) -> None:
            copy.edit(name, lambda p: (p.moved(300 * MS),))

        yield Change("a capture's clock wrong by 300 ms", "lost", name, apply, COMPLETE)


@rule("a capture's clock wrong by 5 ms", "lost")
def clock_a_little_wrong(clean: CleanRun) -> Iterator[Change]:
    """All times of one capture are 5 ms late: less than any limit, and at a line that takes longer nobody can
    tell."""
    for name in _busy(clean):

        def apply(copy: Copy, name: str = name) -> None:
            copy.edit(name, lambda p: (p.moved(5 * MS),))

        either = COMPLETE | {"path.as-planned", "hub.media"}
        yield Change("a capture's clock wrong by 5 ms", "lost", name, apply, either, or_not_shown=True)


@rule("a capture never closed", "lost")
def not_closed(clean: CleanRun) -> Iterator[Change]:
    """The last bytes of one capture are missing."""
    for name in _busy(clean):

        def apply(copy: Copy, name: str = name) -> None:
            path = f"captures/{name}.pcapng"
            content = copy.read(path)
            copy.write(path, content[: len(content) * 9 // 10 // 4 * 4 - 2])

        yield Change("a capture never closed", "lost", name, apply, COMPLETE)


__all__ = ["Captured"]
