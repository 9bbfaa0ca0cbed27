"""Private circuits on real switches: three Open vSwitch bridges, the HTTP API, frames on the wire (W5)."""

from __future__ import annotations

import signal
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from testbed.exchange import CIRCUIT, FABRIC, ExchangeProcess
from testbed.switches import DEADLINE_S, Seen, SwitchLab, wait_for

pytestmark = [pytest.mark.root, pytest.mark.req("W5")]

SITE, PRIVATE_CLOUD = "ix1-p1", "ix3-p1"


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ExchangeProcess, SwitchLab]]:
    folder = tmp_path_factory.mktemp("exchange")
    controller = ExchangeProcess(folder)
    switches = SwitchLab(FABRIC, folder)
    try:
        switches.connect(controller.target)
        wait_for("exchange-ready", lambda: "exchange-ready" in controller.kinds())
        yield controller, switches
        controller.process.send_signal(signal.SIGTERM)
        assert controller.process.wait(DEADLINE_S) == 0
    finally:
        controller.process.kill()
        switches.close()


def udp(marker: bytes, source: str = "10.10.1.1", dscp: int = 46, vlan: int = 10) -> bytes:
    ip = struct.pack("!BBHHHBBH", 0x45, dscp << 2, 28 + len(marker), 0, 0, 64, 17, 0)
    addresses = socket.inet_aton(source) + socket.inet_aton("198.18.10.5")
    header = bytes.fromhex("020000000002020000000001") + struct.pack("!HHH", 0x8100, vlan, 0x0800)
    return header + ip + addresses + struct.pack("!HHHH", 4000, 4000, 8 + len(marker), 0) + marker


def arrives(switches: SwitchLab, frame: bytes, marker: bytes, timeout_s: float = 2.0) -> list[Seen]:
    """What comes out at the cloud of a frame that the site sends."""
    near, far = switches.wire(f"h-{SITE}"), switches.wire(f"h-{PRIVATE_CLOUD}")
    near.send(frame)
    return far.receive(marker, timeout_s)


def test_a_circuit_is_created_changed_and_removed_while_frames_flow(
    exchange: tuple[ExchangeProcess, SwitchLab],
) -> None:
    controller, switches = exchange
    stop, near = threading.Event(), switches.wire(f"h-{SITE}")

    def flow() -> None:
        while not stop.wait(0.01):
            near.send(udp(b"flowing"))

    flowing = threading.Thread(target=flow)
    flowing.start()
    try:
        far = switches.wire(f"h-{PRIVATE_CLOUD}")
        # given nothing, nothing arrives
        assert far.receive(b"flowing", 0.3) == []
        # when the circuit is created, frames arrive in its VLAN with its priority
        assert controller.api.put("/circuits/c", json=CIRCUIT).status_code == 201
        seen = far.receive(b"flowing")[0]
        assert (seen.vlan, seen.pcp, seen.dscp) == (20, 5, 46)
        # when its QoS level is changed, they are marked again
        assert controller.api.put("/circuits/c", json={**CIRCUIT, "dscp": 34, "pcp": 4}).status_code == 200
        fresh = switches.wire(f"h-{PRIVATE_CLOUD}")
        seen = fresh.receive(b"flowing")[-1]
        assert (seen.vlan, seen.pcp, seen.dscp) == (20, 4, 34)
        # when its policy no longer has this site's prefix, nothing arrives
        narrow = {**CIRCUIT, "a": {**CIRCUIT["a"], "prefixes": ["10.10.99.0/24"]}}
        assert controller.api.put("/circuits/c", json=narrow).status_code == 200
        wait_for("no frames", lambda: switches.wire(f"h-{PRIVATE_CLOUD}").receive(b"flowing", 0.3) == [])
        # when it is as before, they arrive, and when it is removed, they do not
        assert controller.api.put("/circuits/c", json=CIRCUIT).status_code == 200
        assert switches.wire(f"h-{PRIVATE_CLOUD}").receive(b"flowing")
        assert controller.api.delete("/circuits/c").status_code == 204
        wait_for("no frames", lambda: switches.wire(f"h-{PRIVATE_CLOUD}").receive(b"flowing", 0.3) == [])
    finally:
        stop.set()
        flowing.join()
    assert controller.api.get("/circuits").json() == {}


FORBIDDEN = {
    "source": udp(b"forbidden", source="10.11.1.1"),
    "DSCP": udp(b"forbidden", dscp=0),
    "VLAN": udp(b"forbidden", vlan=11),
}


def test_what_the_policy_forbids_is_dropped_and_seen_where_the_policy_is_gone(
    exchange: tuple[ExchangeProcess, SwitchLab],
) -> None:
    controller, switches = exchange
    assert controller.api.put("/circuits/c", json=CIRCUIT).status_code == 201
    # given a circuit that carries what it should
    assert arrives(switches, udp(b"allowed"), b"allowed")
    # then it carries nothing else
    for what, frame in FORBIDDEN.items():
        assert arrives(switches, frame, b"forbidden", 0.5) == [], what
    # when somebody lets everything into the circuit at the switch, behind the controller's back
    everything = "table=0,priority=60,in_port=1,dl_vlan=10,actions=mod_vlan_vid:2,output:3"
    switches.run("ovs-ofctl", "-O", "OpenFlow13", "add-flow", "ix1", everything)
    # then this test sees it
    assert arrives(switches, FORBIDDEN["source"], b"forbidden")
    assert arrives(switches, FORBIDDEN["DSCP"], b"forbidden")
    switches.run(
        "ovs-ofctl", "-O", "OpenFlow13", "--strict", "del-flows", "ix1", everything.split(",actions")[0]
    )
    assert controller.api.delete("/circuits/c").status_code == 204


def test_a_circuit_lets_its_rate_pass_and_no_more(exchange: tuple[ExchangeProcess, SwitchLab]) -> None:
    controller, switches = exchange
    count, marker = 80, b"rate" + bytes(996)
    passed = {}
    for rate_kbps in (100_000, 400):
        body = {**CIRCUIT, "rate_kbps": rate_kbps}
        assert controller.api.put("/circuits/c", json=body).status_code in (200, 201)
        near, far = switches.wire(f"h-{SITE}"), switches.wire(f"h-{PRIVATE_CLOUD}")
        for _ in range(count):
            near.send(udp(marker))
        passed[rate_kbps] = 0
        while more := far.receive(b"rate", 0.5):
            passed[rate_kbps] += len(more)
    # 80 frames are 650 kbit, as much as a socket holds; 100 ms at 400 kbit/s are 5 frames
    assert 0 < passed[400] < count / 2 < passed[100_000]
    assert controller.api.delete("/circuits/c").status_code == 204


def test_the_api_describes_itself_and_says_what_is_wrong(exchange: tuple[ExchangeProcess, SwitchLab]) -> None:
    api = exchange[0].api
    assert set(api.get("/openapi.json").json()["paths"]["/circuits/{name}"]) >= {"get", "put", "delete"}
    assert "rate_kbps" in api.put("/circuits/c", json={**CIRCUIT, "rate_kbps": 0}).json()["error"]
    trunk = {**CIRCUIT, "a": {**CIRCUIT["a"], "port": 3}}
    refused = api.put("/circuits/c", json=trunk)
    assert (refused.status_code, "no customer port" in refused.json()["error"]) == (409, True)
    assert api.delete("/circuits/none").status_code == 404
    assert api.get("/circuits").json() == {}
