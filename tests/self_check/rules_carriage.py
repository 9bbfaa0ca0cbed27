"""Rules about what a device on the way loses, holds back, repeats or mixes up."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from tests.self_check.blocks import Captured
from tests.self_check.evidence import CleanRun, Copy, Way, of_stream, sequence
from tests.self_check.frames import parts
from tests.self_check.rule import Change, rule
from uclab.judge.evidence.network import Leg
from uclab.plan.paths.loss_interval import loss_interval

QUALITY = frozenset({"quality.voice", "quality.overload"})
MS = 1_000_000
LOST = 0.03
CLEARLY = 1.5
"""So many times the limit: not as many packets count as are sent, nor do all calls last as long."""
SLOWER_MS, JITTER_MS = 200, 120


def _devices(clean: CleanRun) -> dict[tuple[str, Leg], list[tuple[Way, int]]]:
    """Device and leg -> the ways that pass it, each with the first hop behind it."""
    found: dict[tuple[str, Leg], list[tuple[Way, int]]] = {}
    for way in clean.ways:
        for first in way.inside:
            found.setdefault((way.hops[first].device, way.hops[first].leg), []).append((way, first))
    return found


def _from_hops(
    name: str, clean: CleanRun, edit: Callable[[Way, Captured], Iterable[Captured]], in_order: bool = True
) -> Iterator[Change]:
    """The same for each direction of a call and each device on its way: a fault of that device."""
    for way in clean.ways:
        for first in way.inside:
            hop = way.hops[first]

            def apply(copy: Copy, way: Way = way, first: int = first) -> None:
                copy.edit_at(way.behind(first), of_stream(way.ssrc), lambda p: edit(way, p), in_order)

            place = f"{way.call} {way.direction}, from {hop.tap} {hop.leg} on"
            yield Change(name, "fault", place, apply, QUALITY, frozenset({hop.device}))


@rule("media lost, 3 % or more", "fault")
def lost(clean: CleanRun) -> Iterator[Change]:
    """One device loses 3 % of the media that passes it one way, or more where so few packets cannot show
    3 %: the policy's limit holds for the line, with the policy's confidence, and beside a device that some
    of a line's calls pass, the others lose nothing."""
    for (device, leg), passing in _devices(clean).items():
        ways = dict(reversed(passing))
        share = _that_shows(clean, leg, list(ways))
        if share is None:
            continue

        def apply(copy: Copy, ways: dict[Way, int] = ways, share: float = share) -> None:
            for way, first in ways.items():
                chance = random.Random(way.ssrc)
                gone = {
                    begin + number
                    for begin in range(0, 1 << 16, 100)
                    for number in chance.sample(range(100), round(100 * share))
                }
                copy.edit_at(
                    way.behind(first),
                    of_stream(way.ssrc),
                    lambda p, gone=gone: () if sequence(p) in gone else (p,),  # type: ignore[misc]
                )

        place = f"{device} {leg}: {share:.0%} of {len(ways)} directions"
        yield Change("media lost, 3 % or more", "fault", place, apply, QUALITY, frozenset({device}))


def _that_shows(clean: CleanRun, leg: Leg, ways: list[Way]) -> float | None:
    """The least share, beginning with `LOST`, whose loss on these ways alone is well beyond the limit on all
    ways of their sites; None where even half is not."""
    policy = clean.run.plan.policy
    sure = policy.confidence
    site_of = clean.network.ways.site_of
    ends = {way: way.sender if leg == "up" else way.receiver for way in clean.ways}
    sites = {site_of.get(ends[way]) for way in ways}
    all_sent = sum(_sent(clean, way) for way, end in ends.items() if site_of.get(end) in sites)
    sent = sum(_sent(clean, way) for way in ways)
    for percent in range(round(100 * LOST), 51):
        lost = percent / 100 * sent
        interval = loss_interval(lost, all_sent, sure.level, sure.assumed_design_effect)
        if interval.low > CLEARLY * policy.max_loss_pct / 100:
            return percent / 100
    return None


def _sent(clean: CleanRun, way: Way) -> int:
    chosen = of_stream(way.ssrc)
    return sum(1 for packet in clean.packets_at(way.hops[0].tap) if chosen(packet))


@rule("a call's media black-holed", "fault")
def black_holed(clean: CleanRun) -> Iterator[Change]:
    """One device passes nothing of one direction of a call, and nobody hears it."""
    for way in clean.ways:
        for first in way.inside:
            hop = way.hops[first]

            def apply(copy: Copy, way: Way = way, first: int = first) -> None:
                copy.edit_at(way.behind(first), of_stream(way.ssrc), lambda p: ())
                copy.silenced(way)

            place = f"{way.call} {way.direction}, from {hop.tap} {hop.leg} on"
            yield Change(
                "a call's media black-holed",
                "fault",
                place,
                apply,
                frozenset({"audio.heard", "quality.voice"}),
                frozenset({hop.device}),
            )


@rule("a device slower by 200 ms", "fault")
def slower(clean: CleanRun) -> Iterator[Change]:
    """One device holds each packet of one direction of a call for 200 ms."""
    yield from _from_hops("a device slower by 200 ms", clean, lambda way, p: (p.moved(SLOWER_MS * MS),))


@rule("jitter added", "fault")
def jitter(clean: CleanRun) -> Iterator[Change]:
    """One device holds each packet of one direction for anything up to 120 ms."""

    def edit(way: Way, packet: Captured) -> Iterable[Captured]:
        held = random.Random(way.ssrc << 16 | sequence(packet)).random() * JITTER_MS
        return (packet.moved(int(held * MS)),)

    yield from _from_hops("jitter added", clean, edit)


def _harmless(name: str, changes: Iterable[Change]) -> Iterator[Change]:
    for change in changes:
        yield Change(name, "harmless", change.place, change.apply)


@rule("packets twice from a device on", "harmless")
def twice(clean: CleanRun) -> Iterator[Change]:
    """One device sends each fiftieth packet of a call twice, 50 us apart: SRTP's replay protection drops the
    second (RFC 3711 section 3.3.2)."""

    def edit(way: Way, packet: Captured) -> Iterable[Captured]:
        return (packet, packet.moved(50_000)) if sequence(packet) % 50 == 0 else (packet,)

    yield from _harmless("packets twice from a device on", _from_hops("", clean, edit))


@rule("packets twice at one tap", "harmless")
def twice_at_a_tap(clean: CleanRun) -> Iterator[Change]:
    """A capture holds each fiftieth packet of a call twice, as an engine may show it."""
    for way in clean.ways:
        for hop in way.hops:

            def apply(copy: Copy, way: Way = way, hop=hop) -> None:  # type: ignore[no-untyped-def]
                copy.edit_at(
                    {(hop.tap, hop.leg)},
                    of_stream(way.ssrc),
                    lambda p: (p, p.moved(1000)) if sequence(p) % 50 == 0 else (p,),
                    in_order=True,
                )

            yield Change(
                "packets twice at one tap", "harmless", f"{way.call} {way.direction}, {hop.tap}", apply
            )


@rule("packets out of order", "harmless")
def out_of_order(clean: CleanRun) -> Iterator[Change]:
    """From one device on each fiftieth packet of a call comes behind the next two: any receive buffer
    corrects it."""

    def edit(way: Way, packet: Captured) -> Iterable[Captured]:
        return (packet.moved(41 * MS) if sequence(packet) % 50 == 0 else packet,)

    yield from _harmless("packets out of order", _from_hops("", clean, edit))


@rule("earlier packets replayed", "fault")
def replayed(clean: CleanRun) -> Iterator[Change]:
    """One device sends a hundred packets of a call a second time, a second later."""
    for way in clean.ways:
        for first in way.inside:
            hop = way.hops[first]

            def apply(copy: Copy, way: Way = way, first: int = first) -> None:
                chosen = of_stream(way.ssrc)
                begin = next(sequence(p) for p in copy.clean.packets_at(way.hops[0].tap) if chosen(p))

                def edit(packet: Captured) -> Iterable[Captured]:
                    early = (sequence(packet) - begin) & 0xFFFF < 100
                    return (packet, packet.moved(1000 * MS)) if early else (packet,)

                copy.edit_at(way.behind(first, same_leg=True), chosen, edit, in_order=True)

            yield Change(
                "earlier packets replayed",
                "fault",
                f"{way.call} {way.direction}, from {hop.tap} {hop.leg} on",
                apply,
                frozenset({"media.injected", "media.srtp", "hub.media"}),
                frozenset({hop.device}),
            )


__all__ = ["pairwise", "parts"]
