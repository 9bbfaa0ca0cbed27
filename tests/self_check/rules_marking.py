"""Rules about priorities and VLANs that a device on the way changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from tests.self_check.blocks import Captured
from tests.self_check.evidence import CleanRun, Copy, Hop, Way, of_stream
from tests.self_check.frames import TCP, parts, with_dscp, with_tag
from tests.self_check.rule import Change, rule
from uclab.judge.evidence.network import LEGS, Leg

Taps = frozenset[tuple[str, Leg]]


@rule("DSCP of a call's media rewritten", "fault")
def media_dscp(clean: CleanRun) -> Iterator[Change]:
    """Behind one device all packets of one direction have DSCP 0, until the relay or the receiver."""
    for way in clean.ways:
        for first in way.inside:
            if not _corrects(clean, way.hops[first:]):
                yield _rewritten("DSCP of a call's media rewritten", way, first, of_stream(way.ssrc))


@rule("DSCP of a call's RTCP rewritten", "fault")
def rtcp_dscp(clean: CleanRun) -> Iterator[Change]:
    """The same of the reports that an endpoint sends, where there were any."""
    for way in clean.ways:
        chosen = _reports(way)
        if any(chosen(packet) for packet in clean.packets_at(way.hops[0].tap)):
            for first in way.inside:
                if way.hops[first].leg == "up" and not _corrects(clean, way.hops[first:]):
                    yield _rewritten("DSCP of a call's RTCP rewritten", way, first, chosen)


def _corrects(clean: CleanRun, hops: Sequence[Hop]) -> bool:
    """Whether a switch among these classifies what comes in, and would put right what changed before it."""
    ports = (clean.network.ports.get(hop.tap) for hop in hops if hop.leg == "up")
    return any(port is not None and port[0].controlled and not port[1].trust_dscp for port in ports)


def _reports(way: Way) -> Callable[[Captured], bool]:
    def chosen(packet: Captured) -> bool:
        found = parts(packet.frame)
        return found is not None and found.rtcp_ssrc(packet.frame) == way.ssrc

    return chosen


def _rewritten(name: str, way: Way, first: int, chosen: Callable[[Captured], bool]) -> Change:
    hop = way.hops[first]

    def apply(copy: Copy) -> None:
        where = way.behind(first, same_leg=True)
        copy.edit_at(where, chosen, lambda p: (p.with_frame(with_dscp(p.frame, 0)),))

    place = f"{way.call} {way.direction}, from {hop.tap} {hop.leg} on"
    return Change(name, "fault", place, apply, frozenset({"qos.dscp"}), frozenset({hop.device}))


@rule("DSCP of signalling rewritten", "fault")
def signalling_dscp(clean: CleanRun) -> Iterator[Change]:
    """Behind one device an endpoint's signalling has CS5, which lands in the queue of voice."""
    for endpoint in clean.network.site_endpoints:
        for leg in LEGS[:2]:
            hops = clean.way_of(endpoint.name, leg)
            ports = _client_ports(clean, endpoint.name)
            for first, (before, at) in enumerate(pairwise(hops), start=1):
                if before.device != at.device or not ports or _corrects(clean, hops[first:]):
                    continue

                where = frozenset((hop.tap, hop.leg) for hop in hops[first:])

                def apply(copy: Copy, where: Taps = where, ports: frozenset[int] = ports) -> None:
                    copy.edit_at(where, _tcp_of(ports), lambda p: (p.with_frame(with_dscp(p.frame, 40)),))

                yield Change(
                    "DSCP of signalling rewritten",
                    "fault",
                    f"{endpoint.name}, from {at.tap} {leg} on",
                    apply,
                    frozenset({"qos.dscp"}),
                    frozenset({at.device}),
                )


def _client_ports(clean: CleanRun, endpoint: str) -> frozenset[int]:
    """Initial sequence numbers tell connections behind address translation; the lab's translator keeps ports
    where it can, so ports do here."""
    found = set()
    for packet in clean.packets_at(clean.network.first_tap.get(endpoint, "")):
        its = parts(packet.frame)
        if its is not None and its.proto == TCP and its.dport in clean.run.plan.policy.sips_ports:
            found.add(its.sport)
    return frozenset(found)


def _tcp_of(ports: frozenset[int]) -> Callable[[Captured], bool]:
    def chosen(packet: Captured) -> bool:
        its = parts(packet.frame)
        return its is not None and its.proto == TCP and bool({its.sport, its.dport} & ports)

    return chosen


@rule("802.1p of a call's media rewritten", "fault")
def media_pcp(clean: CleanRun) -> Iterator[Change]:
    """Behind one switch the tags of one direction's packets have priority 0; on the air of an access point
    this is the user priority."""
    for way in clean.ways:
        for first in way.inside:
            hop = way.hops[first]
            tagged = _tagged(clean, way, first)
            if tagged:

                def apply(copy: Copy, way: Way = way, first: int = first) -> None:
                    where = way.behind(first, same_leg=True)
                    copy.edit_at(
                        where, _with_tag(way.ssrc), lambda p: (p.with_frame(with_tag(p.frame, pcp=0)),)
                    )

                yield Change(
                    "802.1p of a call's media rewritten",
                    "fault",
                    f"{way.call} {way.direction}, from {hop.tap} {hop.leg} on",
                    apply,
                    frozenset({"qos.pcp", "qos.wmm"}),
                    frozenset({hop.device}),
                )


def _with_tag(ssrc: int) -> Callable[[Captured], bool]:
    media = of_stream(ssrc)

    def chosen(packet: Captured) -> bool:
        found = parts(packet.frame)
        return media(packet) and found is not None and found.tag is not None

    return chosen


def _tagged(clean: CleanRun, way: Way, first: int) -> bool:
    """Whether the packets have a tag with priority at that hop; on a phone's own port 0 is right."""
    chosen, hop = _with_tag(way.ssrc), way.hops[first]
    for packet in clean.packets_at(hop.tap):
        if clean.leg_of(packet.frame) == hop.leg and chosen(packet):
            found = parts(packet.frame)
            assert found is not None
            assert found.tag is not None
            own = hop.device in (way.sender, way.receiver)
            return not own and packet.frame[found.tag] >> 5 != 0
    return False


@rule("media in another VLAN", "fault")
def media_vlan(clean: CleanRun) -> Iterator[Change]:
    """Behind one switch packets of one direction are in another VLAN than before: an endpoint's in the data
    VLAN, and who is in that already in the voice VLAN; at a carrier's switch as well."""
    known = [vlan.id for vlan in clean.run.plan.vlans if vlan.role in ("data", "voice")]
    for way in clean.ways:
        other = next((vlan for vlan in reversed(known) if vlan != _vlan_of(clean, way.sender)), None)
        for first in way.inside:
            hop = way.hops[first]
            if other is None or hop.leg != "up" or not _tagged(clean, way, first):
                continue

            def apply(copy: Copy, way: Way = way, first: int = first, other: int = other) -> None:
                where = way.behind(first, same_leg=True)
                copy.edit_at(
                    where, _with_tag(way.ssrc), lambda p: (p.with_frame(with_tag(p.frame, vlan=other)),)
                )

            place = f"{way.call} {way.direction}, from {hop.tap} on"
            yield Change(
                "media in another VLAN",
                "fault",
                place,
                apply,
                frozenset({"vlan.voice", "vlan.way"}),
                frozenset({hop.device}),
            )


def _vlan_of(clean: CleanRun, endpoint: str) -> int | None:
    node = next(e.node for e in clean.network.endpoints if e.name == endpoint)
    vlan = clean.network.vlan_of_node(node)
    return vlan.id if vlan is not None else None
