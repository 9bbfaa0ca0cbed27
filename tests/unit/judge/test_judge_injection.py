"""Packets of somebody which is in no call: named, and blamed for what they do to calls, for nothing else."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.frames import Packet, rtp
from testbed.made_up_network import NAT, TAP_NS, Leg, reference_plan
from testbed.world import World
from tests.unit.judge.test_judge_drills import failed, run
from uclab.judge.judging import judge_run
from uclab.judge.result.judgement import Finding

INTO_THE_CLOUD = (
    *("web:eth0", "inet:web", "inet:fra1-br", "fra1-br:inet", "fra1-br:lan"),
    *("fra1-sw:1", "fra1-sw:2", "fra1-sbc:eth0"),
)
TO_THE_SITE = ("web:eth0", "inet:web", "inet:isp1", "isp1:inet", "isp1:edge", "edge:wan1")
NOISE = bytes(range(0x80, 0xA8)) * 4


class Intruder:
    """A server of the internet that sends to a relay's ports, and gets what the relay sends it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.node = world.plan.node("web")
        self.mac = self.node.interfaces[0].mac
        self.router_mac = world.plan.node("fra1-br").interfaces[0].mac
        self.address = self.node.interfaces[0].addresses[0].split("/")[0]
        self.relay = world.controller.media_address

    def send(
        self,
        payload: bytes,
        port: int,
        at_ns: int,
        *,
        src: str | None = None,
        sport: int = 5555,
        taps: tuple[str, ...] = INTO_THE_CLOUD,
        dst: str | None = None,
    ) -> None:
        """One packet, past the taps on its way."""
        for number, tap in enumerate(taps):
            mac = self.mac if tap in ("web:eth0", "inet:web") else self.router_mac
            packet = Packet(
                mac, self.router_mac, src or self.address, dst or self.relay, sport, port, payload
            )
            self.world.put(tap, at_ns + number * TAP_NS, bytes(packet))

    def forge(self, *ports: int, packets: int = 30) -> None:
        """RTP of its own to each port, spread over the call that comes next."""
        for index in range(packets):
            for port in ports:
                at_ns = self.world.now + 400_000_000 + index * 20_000_000
                self.send(rtp(0x6666, index, index * 160, NOISE), port, at_ns)

    def gets(self, packet: Packet, at_ns: int) -> None:
        """What the relay sends it instead of the phone."""
        for number, tap in enumerate(reversed(INTO_THE_CLOUD)):
            diverted = replace(packet, dst=self.address, dport=5555, vlan=None)
            self.world.put(tap, at_ns + number * TAP_NS, bytes(diverted))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, replace(reference_plan("desk1", "desk2"), bulk=()))


@pytest.fixture
def intruder(world: World) -> Intruder:
    return Intruder(world)


PORTS = (20100, 20102)
"""The relay's ports of the world's first call."""


def all_of(findings: tuple[Finding, ...], name: str) -> list[Finding]:
    return [finding for finding in findings if finding.id == name]


@pytest.mark.req("C7", "C9.4")
def test_an_intruder_whom_the_relay_takes_for_the_phone_is_blamed_for_the_loss(
    world: World, intruder: Intruder
) -> None:
    # given forged RTP to the ports of a call, and a relay that sends every third packet to its sender
    count = 0

    def misled(packet: Packet, tap: str, leg: Leg) -> Packet | None:
        nonlocal count
        if tap != "fra1-sbc:eth0" or leg != "down" or packet.proto != 17:
            return packet
        count += 1
        if count % 3:
            return packet
        intruder.gets(packet, world.now + 5_000_000 + count * 10_000_000)
        return None

    world.alter = misled
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    intruder.forge(*PORTS)
    world.call("desk1", "desk2", seconds=0.8)
    # when it is judged
    judgement = judge_run(world.write())
    # then the intruder is named, with its way in and the calls that it hurt, and no device of the network is
    broken = failed(judgement)
    assert set(broken) == {"media.injected", "hub.media", "quality.voice"}
    assert {finding.blame for finding in judgement.findings if finding.verdict == "fail"} == {"web"}
    injected = broken["media.injected"]
    assert injected.subject == f"web ({intruder.address})"
    assert "60 packets to 2 media ports of 198.18.10.12" in injected.observed
    assert "came by web:eth0, inet:web, inet:fra1-br" in injected.observed
    assert "hurt c1:caller_to_callee (" in injected.observed
    assert "c1:callee_to_caller (" in injected.observed
    assert "30 forged packets" in broken["hub.media"].observed or "60 forged" in broken["hub.media"].observed


@pytest.mark.req("C7")
def test_an_intruder_without_effect_is_named_and_blamed_for_nothing_else(
    world: World, intruder: Intruder
) -> None:
    # given forged RTP that a relay with `strict-source` drops, and a router that loses packets
    def lossy(packet: Packet, tap: str, leg: Leg) -> Packet | None:
        lost = tap == "fra1-br:lan" and packet.proto == 17 and packet.payload[3] % 5 == 0
        return None if lost else packet

    intruder.forge(*PORTS)
    world.alter = lossy
    # when it is judged
    broken = failed(run(world))
    # then the intruder is named, and the router is blamed for the loss
    assert "hurt no call" in broken["media.injected"].observed
    assert broken["media.injected"].blame == "web"
    assert broken["quality.voice"].blame == "fra1-br"
    assert "hub.media" not in broken


@pytest.mark.req("C7", "C9.4")
def test_replayed_media_is_the_intruders_and_no_devices_wrong_marking(
    world: World, intruder: Intruder
) -> None:
    # given a server that sends every packet of a phone once more, unmarked
    def copied(packet: Packet, tap: str, leg: Leg) -> Packet:
        if tap == "fra1-br:inet" and leg == "up" and packet.proto == 17:
            intruder.send(packet.payload, packet.dport, world.now + 700_000_000)
        return packet

    world.alter = copied
    # when it is judged, then that and nothing else is wrong
    broken = failed(run(world))
    assert set(broken) == {"media.injected"}
    assert broken["media.injected"].blame == "web"


@pytest.mark.req("C7", "C9.4")
@pytest.mark.parametrize("tapped", [True, False])
def test_an_intruder_with_a_sites_address_is_found(tmp_path: Path, tapped: bool) -> None:
    # given packets with the site's address that never came over the site's line
    plan = replace(reference_plan("desk1", "desk2"), bulk=())
    taps = INTO_THE_CLOUD if tapped else INTO_THE_CLOUD[2:]
    world = World(tmp_path, replace(plan, taps=tuple(t for t in plan.taps if tapped or t.device != "web")))
    intruder = Intruder(world)
    for index in range(20):
        payload = rtp(0x6666, index, index * 160, NOISE)
        at_ns = world.now + 500_000_000 + index * 1_000_000
        intruder.send(payload, PORTS[0], at_ns, src=NAT, sport=6000, taps=taps)
    # when it is judged, then its host is named, or at least that this address did not send them
    broken = failed(run(world))
    assert set(broken) == {"media.injected"}
    assert broken["media.injected"].blame == ("web" if tapped else NAT)


@pytest.mark.req("C7")
def test_packets_to_a_phone_in_the_relays_name_are_found(world: World, intruder: Intruder) -> None:
    # given packets to the site that claim to come from the relay
    for index in range(20):
        at_ns = world.now + 500_000_000 + index * 1_000_000
        payload = rtp(0x6666, index, index * 160, NOISE)
        intruder.send(payload, 16384, at_ns, src=intruder.relay, sport=20100, taps=TO_THE_SITE, dst=NAT)
    # when it is judged, then their sender is named
    broken = failed(run(world))
    assert set(broken) == {"media.injected"}
    assert broken["media.injected"].blame == "web"
    assert "spoofing the relay" in broken["media.injected"].observed


@pytest.mark.req("C7")
def test_a_forged_rtcp_bye_is_found(world: World, intruder: Intruder) -> None:
    # given an RTCP BYE (RFC 3550 section 6.6) to the port beside that of a call's media
    intruder.send(struct.pack(">BBHI", 0x81, 203, 1, 0x6666), PORTS[0] + 1, world.now + 500_000_000)
    # when it is judged, then it is named
    broken = failed(run(world))
    assert set(broken) == {"media.injected"}
    assert "1 packets to 1 media ports" in broken["media.injected"].observed


@pytest.mark.req("C7")
def test_nobody_is_named_where_only_parties_of_calls_send(world: World) -> None:
    [injected] = all_of(run(world).findings, "media.injected")
    assert injected.verdict == "pass"
    assert "82 packets to media ports, all from parties of calls" in injected.observed
