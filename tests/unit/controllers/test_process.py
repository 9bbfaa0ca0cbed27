"""The controller as a process, talked to by a switch made of a socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from os_ken.ofproto import ofproto_v1_3 as ofp

from testbed.fabrics import meshed
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import SiteFabric

FABRIC = meshed([], 1)
DEADLINE_S = 20.0


def wait_for(what: str, check: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not check():
        assert time.monotonic() < end, f"not after {DEADLINE_S} s: {what}"
        time.sleep(0.01)


class Process:
    """The running program."""

    def __init__(self, fabric: SiteFabric, folder: Path, listen: str) -> None:
        self._events = folder / "events.jsonl"
        self._events.touch()
        (folder / "fabric.json").write_text(json.dumps(to_data(fabric)))
        files = ["--fabric", str(folder / "fabric.json"), "--events", str(self._events)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controllers.voice_fabric", *files, "--listen", listen]
        )
        wait_for("controller listening", lambda: "controller-listening" in self.kinds())

    def kinds(self) -> list[str]:
        """What has happened so far."""
        return [json.loads(line)["kind"] for line in self._events.read_text().splitlines()]


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Process]:
    process = Process(FABRIC, tmp_path, f"unix:{tmp_path}/c.sock")
    yield process
    process.process.kill()
    process.process.wait()


class FakeSwitch:
    """Says what a switch says in the handshake, and answers barriers."""

    def __init__(self, path: Path, dpid: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(DEADLINE_S)
        self._socket.connect(str(path))
        self._dpid = dpid
        self.flows = 0

    def close(self) -> None:
        """The cable to the controller is cut."""
        self._socket.close()

    def serve_until(self, kind: int) -> None:
        """Answer until a message of that kind has been answered."""
        while self._serve() != kind:
            pass

    def _serve(self) -> int:
        _, kind, length, xid = struct.unpack("!BBHI", self._read(8))
        self._read(length - 8)
        self.flows += kind == ofp.OFPT_FLOW_MOD
        match kind:
            case ofp.OFPT_HELLO:
                self._send(ofp.OFPT_HELLO, xid)
            case ofp.OFPT_FEATURES_REQUEST:
                features = struct.pack("!QIBB2xII", self._dpid, 0, 254, 0, 0x4F, 0)
                self._send(ofp.OFPT_FEATURES_REPLY, xid, features)
            case ofp.OFPT_MULTIPART_REQUEST:
                self._send(ofp.OFPT_MULTIPART_REPLY, xid, struct.pack("!HH4x", ofp.OFPMP_PORT_DESC, 0))
            case ofp.OFPT_BARRIER_REQUEST:
                self._send(ofp.OFPT_BARRIER_REPLY, xid)
        return int(kind)

    def _send(self, kind: int, xid: int, body: bytes = b"") -> None:
        self._socket.sendall(struct.pack("!BBHI", ofp.OFP_VERSION, kind, 8 + len(body), xid) + body)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            received = self._socket.recv(count - len(data))
            assert received, "the controller hung up"
            data += received
        return data


@pytest.mark.req("D2")
def test_a_switch_is_programmed_and_its_end_is_detected(controller: Process, tmp_path: Path) -> None:
    # given a switch of the site
    switch = FakeSwitch(tmp_path / "c.sock", FABRIC.switches[0].dpid)
    # when it has acknowledged its table, the fabric is ready
    switch.serve_until(ofp.OFPT_BARRIER_REQUEST)
    wait_for("fabric-ready", lambda: "fabric-ready" in controller.kinds())
    assert switch.flows > 100
    # then its loss is told, and a second connection is served like the first
    switch.close()
    wait_for("disconnected", lambda: "switch-disconnected" in controller.kinds())
    FakeSwitch(tmp_path / "c.sock", FABRIC.switches[0].dpid).serve_until(ofp.OFPT_BARRIER_REQUEST)
    assert controller.kinds().count("switch-connected") == 2


def test_a_switch_of_another_site_is_turned_away(controller: Process, tmp_path: Path) -> None:
    stranger = FakeSwitch(tmp_path / "c.sock", 0xBAD)
    with pytest.raises(AssertionError, match="hung up"):
        stranger.serve_until(ofp.OFPT_BARRIER_REQUEST)
    assert "unknown-switch" in controller.kinds()


def test_sigterm_ends_it_with_status_0_also_with_switches_connected(
    controller: Process, tmp_path: Path
) -> None:
    FakeSwitch(tmp_path / "c.sock", FABRIC.switches[0].dpid).serve_until(ofp.OFPT_BARRIER_REQUEST)
    os.kill(controller.process.pid, signal.SIGTERM)
    assert controller.process.wait(DEADLINE_S) == 0
    assert not (tmp_path / "c.sock").exists()
