"""Real Open vSwitch bridges for the controller's tests: one private engine, raw sockets at every port."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from uclab.plan.lan.spanning_trees import PortRef, trunks_between
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import SiteFabric, SwitchPort
from uclab.records.run import Event

CLONE_NEWNET = 0x40000000
PACKET_AUXDATA, TP_STATUS_VLAN_VALID, PACKET_OUTGOING = 8, 0x10, 4
DEADLINE_S = 10.0
LIBC = ctypes.CDLL(None, use_errno=True)


def wait_for(what: str, check: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Poll until the check holds; the error says what was waited for."""
    end = time.monotonic() + deadline_s
    while not check():
        assert time.monotonic() < end, f"not after {deadline_s} s: {what}"
        time.sleep(0.01)


@dataclass(frozen=True)
class Seen:
    """A frame as it was on the wire."""

    vlan: int | None
    pcp: int | None
    payload: bytes
    """From the destination address on, without the tag."""

    @property
    def dscp(self) -> int:
        """Of its IPv4 header."""
        return self.payload[15] >> 2


class Wire:
    """A raw socket on an interface: sends frames as they are, receives those that come in there."""

    def __init__(self, interface: str) -> None:
        everything = socket.htons(3)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, everything)
        self._socket.setsockopt(263, PACKET_AUXDATA, 1)
        self._socket.bind((interface, 3))

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire."""
        self._socket.send(frame)

    def receive(self, marker: bytes, timeout_s: float = 2.0) -> list[Seen]:
        """The first frame that contains the marker and those of the next 50 ms; empty after the timeout."""
        found: list[Seen] = []
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data, ancillary, _, address = self._socket.recvmsg(2048, 256)
            except TimeoutError:
                break
            if address[2] != PACKET_OUTGOING and marker in data:
                if not found:
                    end = time.monotonic() + 0.05
                found.append(self._seen(data, ancillary))
        return found

    @staticmethod
    def _seen(data: bytes, ancillary: Sequence[tuple[int, int, bytes]]) -> Seen:
        for _, kind, value in ancillary:
            if kind == PACKET_AUXDATA:
                status, _, _, _, _, tag, _ = struct.unpack("=IIIHHHH", value[:20])
                if status & TP_STATUS_VLAN_VALID:
                    return Seen(tag & 0xFFF, tag >> 13, data)
        return Seen(None, None, data)


class Controller:
    """The os-ken application as a process, and what it reports."""

    def __init__(self, fabric: SiteFabric, folder: Path) -> None:
        self.target = f"unix:{folder}/controller.sock"
        self._events_file = folder / "events.jsonl"
        self._fabric_file = folder / "fabric.json"
        self._fabric_file.write_text(json.dumps(to_data(fabric)))
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens."""
        before = len(self.events("controller-listening"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "controllers.voice_fabric", "--fabric", str(self._fabric_file),
             "--listen", self.target, "--events", str(self._events_file)],
        )  # fmt: skip
        wait_for("controller listening", lambda: len(self.events("controller-listening")) > before)

    def events(self, kind: str) -> list[Event]:
        """All events of a kind, from all its lives."""
        if not self._events_file.exists():
            return []
        lines = self._events_file.read_text().splitlines()
        return [event for event in (Event(**json.loads(line)) for line in lines) if event.kind == kind]

    def more_than(self, count: int, kind: str) -> Callable[[], bool]:
        """A check for further events of a kind."""
        return lambda: len(self.events(kind)) > count

    def kill(self) -> None:
        """As when it crashes."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As on request; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


class SwitchLab:
    """One userspace Open vSwitch with all switches of a fabric, in a namespace of its own.

    Edge ports' far ends are `h-<interface>` in the same namespace, unless `host` gives them their own.
    """

    def __init__(self, fabric: SiteFabric, folder: Path) -> None:
        self.fabric, self._folder = fabric, folder
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sh", "-c", "mount -t tmpfs tmpfs /run/netns && echo up && exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"up\n"
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self._pid = int(children.split()[0])
        self._start_switches()

    def close(self) -> None:
        """End everything: the kernel takes the processes and the interfaces."""
        self._holder.kill()
        self._holder.wait()

    def run(self, *command: str, stdin: str | None = None) -> str:
        """A command inside; its output."""
        env = os.environ | {"OVS_RUNDIR": str(self._folder), "OVS_LOGDIR": str(self._folder)}
        inside = ["nsenter", "-t", str(self._pid), "-n", "-m", "-p", *command]
        done = subprocess.run(inside, input=stdin, text=True, capture_output=True, env=env, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def vsctl(self, *command: str) -> None:
        """Change the switches' configuration."""
        self.run("ovs-vsctl", f"--db=unix:{self._folder}/db.sock", *command)

    def connect(self, target: str) -> None:
        """Give all switches their controller."""
        command: list[str] = []
        for switch in self.fabric.switches:
            command += ["--", "set-controller", switch.name, target]
            command += ["--", "set", "controller", switch.name, "max_backoff=1000"]
        self.vsctl(*command)

    def set_link(self, interface: str, state: str) -> None:
        """Take a cable out (`down`) or plug it in (`up`)."""
        self.run("ip", "link", "set", interface, state)

    def host(self, port: PortRef, address: str) -> str:
        """Give what hangs at an edge port a namespace and an address; the namespace's name."""
        switch = next(s for s in self.fabric.switches if s.name == port.switch)
        plug = next(p for p in switch.ports if p.number == port.port)
        name, interface = f"n-{plug.interface}", f"h-{plug.interface}"
        mac = next(mac for vlan, mac in plug.allowed if vlan == plug.vlan)
        self.run("ip", "netns", "add", name)
        self.run("ip", "link", "set", interface, "netns", name)
        inside = ("ip", "netns", "exec", name)
        self.run(*inside, "ip", "link", "set", interface, "address", mac, "up")
        self.run(*inside, "ip", "addr", "add", address, "dev", interface)
        self.run(*inside, "ethtool", "-K", interface, "tx", "off")
        return name

    @contextlib.contextmanager
    def inside(self, namespace: str | None = None) -> Iterator[None]:
        """Sockets made meanwhile belong to that namespace."""
        path = (
            f"/proc/{self._pid}/ns/net"
            if namespace is None
            else f"/proc/{self._pid}/root/run/netns/{namespace}"
        )
        with open("/proc/thread-self/ns/net") as home, open(path) as there:
            assert LIBC.setns(there.fileno(), CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert LIBC.setns(home.fileno(), CLONE_NEWNET) == 0

    def wire(self, interface: str) -> Wire:
        """A raw socket on an interface."""
        with self.inside():
            return Wire(interface)

    def _start_switches(self) -> None:
        database = self._folder / "conf.db"
        self.run("ovsdb-tool", "create", str(database), "/usr/share/openvswitch/vswitch.ovsschema")
        common = ["--no-chdir", "--detach", "-vconsole:off", "-vsyslog:off"]
        remote = f"--remote=punix:{self._folder}/db.sock"
        self.run("ovsdb-server", str(database), remote, "--pidfile", *common)
        self.run("ovs-vsctl", "--no-wait", f"--db=unix:{self._folder}/db.sock", "init")
        self.run("ovs-vswitchd", f"unix:{self._folder}/db.sock", "--pidfile", *common)
        far_end = {t.a: t.b for t in trunks_between(self.fabric.switches)}
        names = {PortRef(s.name, p.number): p.interface for s in self.fabric.switches for p in s.ports}
        pairs = [(names[a], names[b]) for a, b in far_end.items()]
        trunk_ends = {*far_end, *far_end.values()}
        pairs += [(name, f"h-{name}") for port, name in names.items() if port not in trunk_ends]
        links = [
            f"link add {a} type veth peer name {b}\nlink set {a} up\nlink set {b} up\n" for a, b in pairs
        ]
        self.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        self.run("ip", "-batch", "-", stdin="".join(links))
        self.vsctl(*self._bridges())

    def _bridges(self) -> Iterator[str]:
        for switch in self.fabric.switches:
            yield from (
                "--",
                "add-br",
                switch.name,
                "--",
                "set",
                "bridge",
                switch.name,
                "datapath_type=netdev",
            )
            yield from (
                "fail_mode=secure",
                "protocols=OpenFlow13",
                f"other-config:datapath-id={switch.dpid:016x}",
            )
            for port in switch.ports:
                yield from self._port(switch.name, port)

    @staticmethod
    def _port(switch: str, port: SwitchPort) -> Iterator[str]:
        yield from ("--", "add-port", switch, port.interface)
        yield from ("--", "set", "interface", port.interface, f"ofport_request={port.number}")
