"""The controller on real switches: five Open vSwitch bridges, redundant trunks, packets on the wire."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.fabrics import CLOUD, DATA, ROOMS, VOICE, FabricBuilder
from testbed.switches import Controller, SwitchLab, wait_for
from uclab.plan.lan.spanning_trees import PortRef
from uclab.plan.schema.plan import SiteFabric, SwitchRole

pytestmark = pytest.mark.root

PC1, ROOM, PHONE1 = PortRef("acc1", 2), PortRef("acc1", 3), PortRef("acc1", 1)
PC2 = PortRef("acc2", 2)
TRUNK_FAR_END = "core1-p2"
"""The other end of the tree link from acc1 to core1."""
UPLINK = "acc1-p4"
CLOUD_ADDRESS = CLOUD.replace(".0/24", ".5")


def square() -> SiteFabric:
    """Two cores, two access switches on both of them, and the firewall's port module."""
    build = FabricBuilder()
    for name in ("core1", "core2"):
        build.switch(name, SwitchRole.CORE)
    for name in ("acc1", "acc2"):
        build.switch(name, SwitchRole.ACCESS)
    build.switch("fw-sw", SwitchRole.EDGE)
    for name in ("acc1", "acc2"):
        build.phone(name)
        build.pc(name, DATA)
        build.pc(name, ROOMS)
    build.trunk("core2", "core1")
    for name, uplinks in {
        "acc1": ("core1", "core2"),
        "acc2": ("core2", "core1"),
        "fw-sw": ("core1", "core2"),
    }.items():
        for uplink in uplinks:
            build.trunk(name, uplink)
    for vlan in (VOICE, DATA, ROOMS):
        build.pc("fw-sw", vlan, trust_dscp=True)
    return build.fabric()


FABRIC = square()


def mac_at(port: PortRef, vlan: int) -> bytes:
    switch = next(s for s in FABRIC.switches if s.name == port.switch)
    allowed = switch.ports[port.port - 1].allowed
    return bytes.fromhex(next(mac for v, mac in allowed if v == vlan).replace(":", ""))


def udp(source: bytes, target: bytes, dscp: int, port: int, marker: bytes, tag: int | None = None) -> bytes:
    """An IPv4/UDP frame towards the cloud, by way of the host with that MAC address."""
    tag_bytes = b"" if tag is None else struct.pack("!HH", 0x8100, tag)
    addresses = socket.inet_aton("10.10.120.12") + socket.inet_aton(CLOUD_ADDRESS)
    length = 28 + len(marker)
    ip = struct.pack("!BBHHHBBH", 0x45, dscp << 2, length, 0, 0, 64, 17, 0) + addresses
    return (
        target
        + source
        + tag_bytes
        + b"\x08\x00"
        + ip
        + struct.pack("!HHHH", 4000, port, 8 + len(marker), 0)
        + marker
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of both: Open vSwitch connects only to UNIX sockets below its own run directory."""
    return tmp_path_factory.mktemp("fabric")


@pytest.fixture(scope="module")
def controller(folder: Path) -> Iterator[Controller]:
    controller = Controller(FABRIC, folder)
    yield controller
    controller.kill()


@pytest.fixture(scope="module")
def switches(controller: Controller, folder: Path) -> Iterator[SwitchLab]:
    """Switches that are ready."""
    switches = SwitchLab(FABRIC, folder)
    switches.connect(controller.target)
    wait_for("fabric-ready", lambda: controller.events("fabric-ready"))
    yield switches
    switches.close()


@pytest.fixture(scope="module")
def stream(switches: SwitchLab) -> Stream:
    return Stream(switches, switches.host(PC1, "10.10.120.51/24"), switches.host(PC2, "10.10.120.52/24"))


class Stream:
    """UDP between two PCs with real IP stacks (so real ARP), a numbered packet every 2 ms."""

    def __init__(self, switches: SwitchLab, source: str, target: str) -> None:
        with switches.inside(target):
            self._target = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._target.bind(("0.0.0.0", 5000))
        with switches.inside(source):
            self._source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._source.connect(("10.10.120.52", 5000))
        self._target.settimeout(0.3)

    @contextlib.contextmanager
    def running(self) -> Iterator[list[int]]:
        """Yields the numbers received, and appends, when the block is left, how many were sent."""
        received: list[int] = []
        stop = threading.Event()
        sent = 0

        def receive() -> None:
            with contextlib.suppress(TimeoutError):
                while True:
                    received.append(int.from_bytes(self._target.recv(64), "big"))

        def send() -> None:
            nonlocal sent
            while not stop.wait(0.002):
                self._source.send(sent.to_bytes(4, "big"))
                sent += 1

        threads = [threading.Thread(target=receive), threading.Thread(target=send)]
        for thread in threads:
            thread.start()
        try:
            wait_for("first packet through", lambda: received)
            yield received
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        received.append(sent)


def missing(received: list[int]) -> int:
    """Packets that never arrived; asserts that none came twice."""
    *numbers, sent = received
    assert len(numbers) == len(set(numbers)), "a packet arrived twice"
    return sent - len(numbers)


@pytest.mark.req("D2")
def test_the_fabric_is_ready_when_every_switch_has_acknowledged(
    controller: Controller, switches: SwitchLab
) -> None:
    assert len(controller.events("switch-connected")) == len(FABRIC.switches)
    assert not controller.events("flow-rejected")
    for switch in FABRIC.switches:
        assert "table=6" in switches.run("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", switch.name)


@pytest.mark.req("N3.1", "N3.2", "W10")
def test_hosts_of_a_vlan_talk_and_vlans_are_apart(switches: SwitchLab, stream: Stream) -> None:
    # given a PC of another VLAN listening
    room = switches.wire(f"h-{FABRIC.switches[2].ports[ROOM.port - 1].interface}")
    # when two PCs talk, beginning with an ARP broadcast
    with stream.running() as received:
        wait_for("a hundred packets", lambda: len(received) > 100)
    # then all arrive, and the other VLAN hears nothing
    assert missing(received) == 0
    assert room.receive(b"", 0.2) == []


@pytest.mark.req("C8", "Q1.2", "L1")
@pytest.mark.parametrize(
    ("dscp", "port", "voice", "vlan", "expected_dscp", "expected_pcp"),
    [
        (46, 30000, True, VOICE, 46, 5),
        (26, 5096, True, VOICE, 26, 3),
        (48, 7777, True, VOICE, 0, 0),
        (46, 7777, False, DATA, 0, 0),
        (0, 30000, False, DATA, 46, 5),
        (46, 5097, False, DATA, 26, 3),
    ],
    ids=[
        "phone media",
        "phone signalling",
        "phone beyond policy",
        "PC pretends",
        "PC media",
        "PC signalling",
    ],
)
def test_marking_at_the_trust_boundary_shows_on_the_trunk(
    switches: SwitchLab, dscp: int, port: int, voice: bool, vlan: int, expected_dscp: int, expected_pcp: int
) -> None:
    trunk, phone_port = switches.wire(TRUNK_FAR_END), switches.wire("h-acc1-p1")
    marker = f"marking {dscp} {port} {voice}".encode()
    tag = VOICE | 1 << 13 if voice else None
    gateway = PortRef("fw-sw", 3 if voice else 4)
    phone_port.send(udp(mac_at(PHONE1, vlan), mac_at(gateway, vlan), dscp, port, marker, tag))
    seen = trunk.receive(marker)
    assert [(frame.vlan, frame.pcp, frame.dscp) for frame in seen] == [(vlan, expected_pcp, expected_dscp)]


@pytest.mark.req("N3.3")
def test_a_foreign_mac_is_dropped_and_reported(controller: Controller, switches: SwitchLab) -> None:
    gateway = switches.wire("h-fw-sw-p4")
    phone_port = switches.wire("h-acc1-p1")
    foreign = bytes.fromhex("02deadbeef01")
    phone_port.send(udp(foreign, mac_at(PortRef("fw-sw", 4), DATA), 0, 80, b"stranger"))
    assert gateway.receive(b"stranger", 0.3) == []
    wait_for("report", lambda: controller.events("port-security-drop"))
    drop = controller.events("port-security-drop")[-1]
    assert (drop.source, drop.detail) == ("acc1:1", f"mac {foreign.hex(':')} vlan {DATA} (data)")


@pytest.mark.req("V4.3")
def test_a_lost_and_returned_trunk_interrupts_nothing(
    controller: Controller, switches: SwitchLab, stream: Stream
) -> None:
    with stream.running() as received:
        for state in ("down", "up"):
            turns = len(controller.events("fabric-converged"))
            switches.set_link(UPLINK, state)
            wait_for("new trees", controller.more_than(turns, "fabric-converged"))
        count = len(received)
        wait_for("stream goes on", lambda: len(received) > count + 50)
    assert missing(received) <= 25
    assert {e.source for e in controller.events("link-down")} >= {"acc1:4", "core1:2"}


@pytest.mark.req("V4.3")
def test_switches_fail_over_and_serve_on_while_the_controller_is_dead(
    controller: Controller, switches: SwitchLab, stream: Stream
) -> None:
    # given a dead controller
    controller.kill()
    with stream.running() as received:
        wait_for("stream without controller", lambda: len(received) > 50)
        # when a trunk of the tree is lost
        switches.set_link(UPLINK, "down")
        count = len(received)
        wait_for("stream on the bypass", lambda: len(received) > count + 100)
        # and broadcast, too
        gateway, trunk = switches.wire("h-fw-sw-p4"), switches.wire("core2-p2")
        switches.wire("h-acc1-p1").send(udp(mac_at(PHONE1, DATA), b"\xff" * 6, 0, 80, b"broadcast"))
        assert len(gateway.receive(b"broadcast")) == 1
        assert [frame.vlan for frame in trunk.receive(b"broadcast")] not in ([], [DATA])
        # then a new controller takes over and restores the trees
        before = len(controller.events("fabric-ready"))
        controller.start()
        wait_for("ready again", lambda: len(controller.events("fabric-ready")) > before)
        switches.set_link(UPLINK, "up")
        count = len(received)
        wait_for("stream on the way home", lambda: len(received) > count + 50)
    assert missing(received) <= 25


def test_garbage_on_the_socket_disturbs_nobody(
    controller: Controller, switches: SwitchLab, stream: Stream
) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(controller.target.removeprefix("unix:"))
        stranger.settimeout(5)
        with contextlib.suppress(ConnectionError):
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: controller\r\n\r\n" * 3000)
            while stranger.recv(4096):
                pass
    turns = len(controller.events("fabric-converged"))
    switches.set_link(UPLINK, "down")
    wait_for("controller still acts", lambda: len(controller.events("fabric-converged")) > turns)
    switches.set_link(UPLINK, "up")


def test_sigterm_ends_the_controller_cleanly_and_forwarding_goes_on(
    controller: Controller, switches: SwitchLab, stream: Stream
) -> None:
    started = time.monotonic()
    assert controller.stop() == 0
    assert time.monotonic() - started < 2
    with stream.running() as received:
        wait_for("a hundred packets", lambda: len(received) > 100)
    assert not Path(controller.target.removeprefix("unix:")).exists()
