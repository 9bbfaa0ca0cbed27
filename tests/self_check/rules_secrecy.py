"""Rules about bytes that somebody on the way changes, and media in clear."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from tests.self_check.blocks import Captured
from tests.self_check.evidence import CleanRun, Copy, Way, of_stream, sequence
from tests.self_check.frames import TCP, parts, with_byte, with_payload
from tests.self_check.rule import Change, rule


def _byte_in(behind: int) -> Callable[[Captured], Iterable[Captured]]:
    """All bits of the byte so far behind the beginning of the payload changed."""

    def edit(packet: Captured) -> Iterable[Captured]:
        found = parts(packet.frame)
        assert found is not None
        return (packet.with_frame(with_byte(packet.frame, found.payload + behind)),)

    return edit


@rule("a byte of SRTP changed", "fault")
def srtp_byte(clean: CleanRun) -> Iterator[Change]:
    """Behind one device one byte of each hundredth packet of a call is another."""
    for way in clean.ways:
        media = of_stream(way.ssrc)
        for first in way.inside:
            hop = way.hops[first]

            def apply(copy: Copy, way: Way = way, first: int = first, media=media) -> None:  # type: ignore[no-untyped-def]
                copy.edit_at(
                    way.behind(first, same_leg=True),
                    lambda p: media(p) and sequence(p) % 100 == 0,
                    _byte_in(40),
                )

            place = f"{way.call} {way.direction}, from {hop.tap} {hop.leg} on"
            yield Change(
                "a byte of SRTP changed",
                "fault",
                place,
                apply,
                frozenset({"media.srtp"}),
                frozenset({hop.device}),
            )


@rule("a byte of SRTCP changed", "fault")
def srtcp_byte(clean: CleanRun) -> Iterator[Change]:
    """Behind one device one byte of each report of an endpoint is another."""
    for way in clean.ways:

        def chosen(packet: Captured, way: Way = way) -> bool:
            found = parts(packet.frame)
            return (
                found is not None
                and found.rtcp_ssrc(packet.frame) == way.ssrc
                and packet.frame[found.payload + 1] in (200, 201)
                and found.end - found.payload >= 40
            )

        if not any(chosen(packet) for packet in clean.packets_at(way.hops[0].tap)):
            continue
        for first in way.inside:
            hop = way.hops[first]

            def apply(copy: Copy, way: Way = way, first: int = first, chosen=chosen) -> None:  # type: ignore[no-untyped-def]
                copy.edit_at(way.behind(first, same_leg=True), chosen, _byte_in(12))

            place = f"{way.call} {way.direction}, from {hop.tap} {hop.leg} on"
            yield Change(
                "a byte of SRTCP changed",
                "fault",
                place,
                apply,
                frozenset({"media.srtp"}),
                frozenset({hop.device}),
            )


@rule("a byte of a TLS record changed", "fault")
def tls_byte(clean: CleanRun) -> Iterator[Change]:
    """Behind one device one byte of each long segment of an endpoint's signalling is another."""
    for endpoint in clean.network.site_endpoints:
        tap = clean.network.first_tap[endpoint.name]
        own = {
            its.sport
            for packet in clean.packets_at(tap)
            if (its := parts(packet.frame)) is not None
            and its.proto == TCP
            and its.dport in clean.run.plan.policy.sips_ports
        }

        def chosen(packet: Captured, own: set[int] = own) -> bool:
            its = parts(packet.frame)
            return (
                its is not None
                and its.proto == TCP
                and bool({its.sport, its.dport} & own)
                and its.end - its.payload > 300
            )

        hops = clean.way_of(endpoint.name, "up")
        for first in range(1, len(hops)):
            if own and hops[first - 1].device == hops[first].device:
                where = frozenset((hop.tap, hop.leg) for hop in hops[first:])

                def apply(copy: Copy, where=where, chosen=chosen) -> None:  # type: ignore[no-untyped-def]
                    copy.edit_at(where, chosen, _byte_in(100))

                yield Change(
                    "a byte of a TLS record changed",
                    "fault",
                    f"{endpoint.name}, from {hops[first].tap} on",
                    apply,
                    frozenset({"signalling.untouched"}),
                    frozenset({hops[first].device}),
                )


@rule("G.711 in clear one way", "fault")
def in_clear(clean: CleanRun) -> Iterator[Change]:
    """An endpoint sends its voice in clear to the relay."""
    tone = bytes(0x80 | int(63 + 60 * math.sin(index / 3)) & 0x7F for index in range(160))
    for way in clean.ways:

        def edit(packet: Captured) -> Iterable[Captured]:
            found = parts(packet.frame)
            assert found is not None
            header = packet.frame[found.payload : found.payload + 12]
            return (packet.with_frame(with_payload(packet.frame, header + tone)),)

        def apply(copy: Copy, way: Way = way, edit=edit) -> None:  # type: ignore[no-untyped-def]
            copy.edit_at(way.behind(0, same_leg=True), of_stream(way.ssrc), edit)

        yield Change(
            "G.711 in clear one way",
            "fault",
            f"{way.call} {way.direction}",
            apply,
            frozenset({"privacy.readable", "media.srtp"}),
            frozenset({way.sender}),
        )
