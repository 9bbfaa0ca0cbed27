# ruff: noqa: ASYNC240 (a scene has its event loop to itself)
"""What the emulation's integration tests do inside their namespaces. Scenes measure, the tests judge."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import select
import signal
import socket
import statistics
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mininet.topo import SingleSwitchTopo

from tests.integration import emulation_plans as plans
from uclab.emulation.build.apply import BuildFailed, Progress, build, tear_down
from uclab.emulation.link.delay_line import Line, LineOrder
from uclab.emulation.link.impairment import arriving_lines, line_orders
from uclab.emulation.linux.netns import NETNS_DIR, Namespace
from uclab.emulation.linux.taps import start_taps
from uclab.emulation.mininet.hosts import LabHost
from uclab.emulation.mininet.network import LabNet
from uclab.emulation.ovs.backends import Variants, detect
from uclab.plan.schema.codec import from_data
from uclab.plan.schema.plan import Bursts, EgressQueue, JitterDistribution, Plan, PortMode, QueueClass, Tap
from uclab.runtime.readiness import wait_until

_ARRIVAL = struct.Struct("=Qd")
"""Number of a packet, delay in ms."""
Result = dict[str, Any]
SCENES: dict[str, Callable[..., Awaitable[Result]]] = {}


def scene(function: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Make a function known by its name."""
    SCENES[function.__name__] = function
    return function


class Stream:
    """UDP packets with a number and a time, sent at a steady pace from one namespace and received in
    another."""

    def __init__(
        self, source: Namespace, target: Namespace, address: str, port: int = 4000, tos: int = 0
    ) -> None:
        self._send = source.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._send.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        self._receive = target.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._receive.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._receive.bind(("0.0.0.0", port))
        self._receive.settimeout(1.0)
        self._to = (address, port)
        self.delays_ms: list[float] = []
        self.order: list[int] = []
        self.sent_at: list[float] = []

    def run(self, packets: int, every_s: float, size: int = 172) -> None:
        """Send all packets and wait until a second has passed without one arriving.

        The receiver is a process of its own: a sender in the same interpreter would make it wait, and what
        is measured is the line.
        """
        stop_reader, stop_writer = os.pipe()
        found_reader, found_writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(found_reader)
            self._listen(stop_reader, found_writer)
            os._exit(0)
        os.close(found_writer)
        began = time.monotonic()
        for number in range(packets):
            pause = began + number * every_s - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            now = time.monotonic()
            self._send.sendto(struct.pack("=Qd", number, now) + bytes(size - 16), self._to)
            self.sent_at.append(now)
        os.write(stop_writer, b"1")
        with os.fdopen(found_reader, "rb") as found:
            arrivals = list(_ARRIVAL.iter_unpack(found.read()))
        os.waitpid(child, 0)
        for descriptor in (stop_reader, stop_writer):
            os.close(descriptor)
        self._send.close()
        self._receive.close()  # the next stream takes the same port
        self.order = [number for number, _ in arrivals]
        self.delays_ms = [delay_ms for _, delay_ms in arrivals]

    def _listen(self, stop: int, found: int) -> None:
        # this process measures: it must not wait for a busy machine
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))
        arrivals = bytearray()
        while True:
            try:
                data = self._receive.recv(2048)
            except TimeoutError:
                if select.select([stop], [], [], 0)[0]:
                    break
                continue
            number, sent_at = struct.unpack_from("=Qd", data)
            arrivals += _ARRIVAL.pack(number, (time.monotonic() - sent_at) * 1000)
        with os.fdopen(found, "wb") as writer:
            writer.write(arrivals)

    def result(self) -> Result:
        """Figures of the stream."""
        return {
            "sent": len(self.sent_at),
            "received": len(self.delays_ms),
            "mean_ms": statistics.fmean(self.delays_ms) if self.delays_ms else None,
            **figures(self.delays_ms),
            "loss_runs": self.loss_runs(),
            "overtakings": sum(a > b for a, b in itertools.pairwise(self.order)),
        }

    def loss_runs(self) -> list[int]:
        """Lengths of all runs of packets that were lost one after the other."""
        arrived = sorted({-1, *self.order, len(self.sent_at)})
        return [b - a - 1 for a, b in itertools.pairwise(arrived) if b - a > 1]


def echo_once(host: LabHost, address: str) -> float | None:
    """Round trip of one ICMP echo in ms, or None."""
    with host.live_namespace().socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(1.0)
        began = time.monotonic()
        try:
            sock.sendto(struct.pack(">BBHHH", 8, 0, 0, 1, 1) + bytes(32), (address, 0))
            sock.recv(256)
        except OSError:
            return None
        return (time.monotonic() - began) * 1000


@scene
async def impaired_line(
    folder: Path,
    delay: str,
    jitter: str,
    loss: str,
    order: str,
    packets: str,
    every_ms: str,
    distribution: JitterDistribution = "normal",
    bursts: str = "",
) -> Result:
    """A stream over an impaired line, and one back over the unimpaired direction. `bursts` is per cent to
    enter, to leave, and lost: `1,20,100`.

    With the lab's own line, `decided` is what it decided for these packets (the same decisions from the same
    seed), and `late_ms` how much later than decided half of them came; with netem both are None.
    """
    planned = plans.line(
        float(delay),
        jitter_ms=float(jitter),
        loss_pct=float(loss),
        keep_order=order == "kept",
        jitter_distribution=distribution,
        bursts=Bursts(*map(float, bursts.split(","))) if bursts else None,
    )
    variants = detect()
    net = await build(planned, folder, variants)
    left, right = net.namespaces["left"], net.namespaces["right"]
    echo_once(net["left"], "10.0.0.2")
    there = Stream(left, right, "10.0.0.2")
    await asyncio.to_thread(there.run, int(packets), float(every_ms) / 1000)
    back = Stream(right, left, "10.0.0.1")
    await asyncio.to_thread(back.run, 100, 0.002)
    await tear_down(net)
    account = net.lines[0].account()
    userspace = variants.impairment == "userspace"
    return {
        "there": there.result(),
        "back": back.result(),
        "account": account,
        "variant": variants.impairment,
        **(compared(there, planned) if userspace else {"decided": None, "late_ms": None}),
    }


def compared(stream: Stream, planned: Plan) -> Result:
    """What the lab's own line decides for the packets of a stream, against what became of them."""
    (order,) = line_orders(arriving_lines(planned)["right"])
    line = Line(from_data(LineOrder, order))
    line.release_ns(0)  # the echo before the stream
    line.released(0)
    delays_ms: dict[int, float] = {}
    for number, sent_at in enumerate(stream.sent_at):
        release = line.release_ns(round(sent_at * 1e9))
        if release is not None:
            line.released(0)
            delays_ms[number] = release / 1e6 - sent_at * 1000
    seen = dict(zip(stream.order, stream.delays_ms, strict=True))
    late = [seen[number] - delays_ms[number] for number in seen.keys() & delays_ms.keys()]
    return {
        "decided": {"same_packets": seen.keys() == delays_ms.keys(), **figures(list(delays_ms.values()))},
        "late_ms": {"least": min(late), "median": statistics.median(late)},
    }


def figures(delays_ms: list[float]) -> Result:
    """Of delays. `spread_ms` is the standard deviation by the quartiles, which outliers do not move."""
    ordered = sorted(delays_ms)
    if not ordered:
        return {"median_ms": None, "spread_ms": None, "p99_ms": None}
    quartiles = ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4]
    return {
        "median_ms": statistics.median(ordered),
        "spread_ms": (quartiles[1] - quartiles[0]) / 1.349,
        "p99_ms": ordered[int(len(ordered) * 0.99)],
    }


@scene
async def overload(folder: Path, classes: str) -> Result:
    """Voice at 90 kbit/s beside 5 Mbit/s of bulk on a line of 2 Mbit/s and 20 ms, with and without a class
    for voice."""
    voice = QueueClass("voice", (46,), 600, 1800, 0, 40, arp=True)
    rest = QueueClass("rest", (), 1400, 1900, 3, 30)
    queue = EgressQueue("eth0", 2000, (voice, rest) if classes == "classes" else (replace(rest, arp=True),))
    planned = plans.line(20.0)
    left = replace(planned.nodes[0], queues=(queue,))
    planned = replace(planned, nodes=(left, planned.nodes[1]))
    net = await build(planned, folder, detect())
    source, target = net.namespaces["left"], net.namespaces["right"]
    echo_once(net["left"], "10.0.0.2")
    speech = Stream(source, target, "10.0.0.2", port=4000, tos=46 << 2)
    bulk = Stream(source, target, "10.0.0.2", port=4001)
    both = [
        asyncio.to_thread(speech.run, 200, 0.02),
        asyncio.to_thread(bulk.run, 2000, 0.002, 1200),
    ]
    await asyncio.gather(*both)
    await tear_down(net)
    return {"speech": speech.result(), "bulk": bulk.result()}


async def _reads(file: Path, wanted: str) -> str | None:
    text = file.read_text().strip()
    return text if text == wanted else None


@scene
async def programs(folder: Path) -> Result:
    """Programs in a device: what they see, what they may do, how they end."""
    net = await build(plans.pair(left={"nameservers": ("198.19.0.2",)}), folder, detect())
    left = net["left"]
    found: Result = {}
    log = folder / "look.log"
    shared = folder / "shared"
    shared.mkdir()
    look = "; ".join(
        (
            "id -u",
            "cat /etc/resolv.conf",
            "grep -E 'Cap(Eff|Prm)|NoNewPrivs' /proc/self/status",
            "echo kept > /lab/shared/word",
            "touch /usr/forbidden",
            "hostname -I",
        )
    )
    process = await left.spawn(["sh", "-c", look], name="look", log=log, writable={"/lab/shared": shared})
    found["look_status"] = await process.wait()
    found["look"] = log.read_text()
    found["word"] = (shared / "word").read_text()
    began = time.monotonic()
    sleeper = await left.spawn(["sleep", "60"], name="sleeper", log=folder / "sleep.log")
    found["spawn_ms"] = (time.monotonic() - began) * 1000
    comm = Path(f"/proc/{sleeper.pid}/comm")
    found["sleeper"] = await wait_until(lambda: _reads(comm, "sleep"), what="the program", deadline_s=5)
    sleeper.send_signal(signal.SIGTERM)
    found["sleeper_status"] = await asyncio.wait_for(sleeper.wait(), 5)
    list_folders = (
        "import os; print([f'/{top}/{n}' for top in ('run', 'tmp') for n in os.listdir('/' + top)])"
    )
    python = [sys.executable, "-c", list_folders]
    host = await left.spawn(python, name="python", log=folder / "python.log", root="host")
    found["host_status"] = await host.wait()
    found["host_log"] = (folder / "python.log").read_text()
    try:
        await left.spawn(["no-such-program"], name="none", log=folder / "none.log")
    except FileNotFoundError as error:
        found["missing"] = str(error)
    server = net.namespaces["right"].socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("0.0.0.0", 23))
    server.listen()
    reader, writer = await left.connect_tcp("10.0.0.2", 23)
    accepted, peer = server.accept()
    accepted.sendall(b"hello\n")
    found["heard"] = (await reader.readline()).decode()
    found["peer"] = peer[0]
    writer.close()
    await tear_down(net)
    return found


@scene
async def phone_switch(folder: Path) -> Result:
    """Frames of a phone and of the PC behind it, as they arrive at the wall."""
    net = await build(plans.desk(), folder, detect())
    frames: list[Result] = []
    wall = net.namespaces["wall"].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wall.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the tag that the kernel has taken off
    wall.settimeout(1.0)
    broadcast = {"phone": "10.0.110.255", "pc": "10.0.120.255"}
    for name, dscp in (("phone", 46), ("phone", 26), ("phone", 0), ("pc", 46)):
        with net.namespaces[name].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
            sock.sendto(b"?", (broadcast[name], 9))
        data, extra, _, _ = wall.recvmsg(2048, 256)
        status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", extra[0][2][:20])
        tagged = bool(status & 0x10)
        vlan, pcp = (tci & 0xFFF, tci >> 13) if tagged else (None, None)
        frames.append({"from": name, "dscp": dscp, "vlan": vlan, "pcp": pcp, "seen_dscp": data[15] >> 2})
    await tear_down(net)
    return {"frames": frames}


@scene
async def link_failure(folder: Path) -> Result:
    """Pull and plug cables: between a host and a router, and between a router and a host with a static route
    over it."""
    net = await build(plans.routed(), folder, detect())
    found: Result = {"before": echo_once(net["left"], "10.0.2.2")}
    for cable in ("left-router", "router-right"):
        net.fail_link(cable)
        found[f"{cable} failed"] = echo_once(net["left"], "10.0.2.2")
        net.heal_link(cable)
        found[f"{cable} healed"] = echo_once(net["left"], "10.0.2.2")
    found["routes"] = net["router"].cmd("ip route")
    try:
        net.fail_link("left-rooter")
    except KeyError as error:
        found["unknown"] = str(error)
    await tear_down(net)
    return found


@scene
async def captures(folder: Path) -> Result:
    """Taps on a phone's switch while the phone sends."""
    planned = plans.desk()
    taps = (
        Tap("phone:eth0", "phone", "eth0", "phone", False),
        Tap("phone-sw:1", "ovs-1", "phone-sw-p1", "phone-sw", True),
        Tap("phone-sw:2", "ovs-1", "phone-sw-p2", "phone-sw", False),
    )
    net = await build(planned, folder, detect())
    running = await start_taps(taps, net.namespaces, folder)
    with net.namespaces["phone"].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for _ in range(50):
            sock.sendto(b"?", ("10.0.110.255", 9))
    counts = await running.stop()
    await tear_down(net)
    return {"counts": {count.label: [count.captured, count.dropped] for count in counts}}


@scene
async def mininet_user(folder: Path) -> Result:
    """What a Mininet user does, on a LabNet."""
    net = LabNet(SingleSwitchTopo(3), run_dir=folder)
    net.start()
    h1, h3 = net["h1"], net.get("h3")
    found: Result = {
        "hosts": [host.name for host in net.hosts],
        "links": [str(link) for link in net.links],
        "address": h3.IP(),
        "echo_ms": echo_once(h1, h3.IP()),
        "cmd": h1.cmd("ip -o -4 address show dev h1-eth0 | wc -l").strip(),
        "popen": h1.popen(["cat", "/proc/net/dev"]).communicate()[0].decode(),
    }
    net.configLinkStatus("h1", "s1", "down")
    found["down_ms"] = echo_once(h1, h3.IP())
    net.configLinkStatus("h1", "s1", "up")
    found["up_ms"] = echo_once(h1, h3.IP())
    net.stop()
    found["left"] = sorted(path.name for path in NETNS_DIR.iterdir())
    return found


@scene
async def refused_ruleset(folder: Path) -> Result:
    """A plan that cannot be built."""
    planned = plans.pair(right={"nftables": "table ip broken { chain x { nonsense } }\n"})
    try:
        await build(planned, folder, detect())
    except BuildFailed as error:
        return {"error": str(error), "left": sorted(path.name for path in NETNS_DIR.iterdir())}
    return {"error": None}


@scene
async def controlled_switch(folder: Path) -> Result:
    """A controlled switch without its controller forwards nothing, and says where it looks for one."""
    planned = plans.desk()
    ports = tuple(
        replace(port, mode=PortMode.ACCESS, vlan=1, tagged=()) for port in planned.switches[0].ports
    )
    planned = replace(planned, switches=(replace(planned.switches[0], controlled=True, ports=ports),))
    events: list[Progress] = []
    net = await build(planned, folder, detect(), controllers={"test": "unix:/run/openvswitch/c.sock"},
                      on_progress=events.append)  # fmt: skip
    engine = net.engines["ovs-1"]
    found: Result = {
        "echo": echo_once(net["phone"], "10.0.110.9"),
        "connected": sorted(engine.connected_bridges()),
        "carrier": engine.link_states(),
        "steps": sorted({event.step for event in events}),
        "daemons": sorted(daemon.name for daemon in net.daemons()),
    }
    await tear_down(net)
    try:
        await build(
            planned,
            folder / "again",
            Variants("userspace", "userspace"),
            controllers={"test": "unix:/tmp/c.sock"},
        )
    except BuildFailed as error:
        found["error"] = str(error)
    return found


async def main() -> None:
    """`SCENE FOLDER RESULT [ARGUMENTS]`."""
    name, folder, result, *arguments = sys.argv[1:]
    sys.setswitchinterval(0.0005)
    measured = await SCENES[name](Path(folder), *arguments)
    Path(result).write_text(json.dumps(measured))


if __name__ == "__main__":
    asyncio.run(main())
