"""How fast networks come up and go: stock Mininet against `LabNet`, the same topologies in one run.

    sudo .venv/bin/python -m benchmarks.bench_emulation [--small] [--json FILE]

Every network is made in namespaces of its own, one after the other, stock and ours in turn, so that both meet
the same machine. Stock Mininet runs its own OVSSwitch on a private Open vSwitch with the datapath that ours
uses; its raising of the whole machine's limits is skipped. "up" ends when the first and the last host have
exchanged an echo, "down" when `stop()` returns, "gone" when the last process and namespace are gone.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mininet.net import Mininet
from mininet.node import OVSSwitch
from mininet.topo import SingleSwitchTopo, Topo

from uclab.emulation.linux import netns
from uclab.emulation.mininet.network import LabNet
from uclab.emulation.ovs import vswitchd
from uclab.emulation.ovs.backends import has_kernel_datapath

UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
HOSTS_PER_LEAF = 25
ECHO_DEADLINE_S = 30.0
AIM_UP, AIM_DOWN = 8.0, 20.0


@dataclass(frozen=True)
class Timing:
    """Seconds of one network's life."""

    shape: str
    hosts: int
    kind: str
    up_s: float
    down_s: float
    gone_s: float


class LeafTopo(Topo):  # type: ignore[misc]
    """A tree: a root switch, leaf switches of 25 hosts."""

    def build(self, hosts: int) -> None:
        """Add everything."""
        root = self.addSwitch("s1")
        for first in range(0, hosts, HOSTS_PER_LEAF):
            leaf = self.addSwitch(f"s{first // HOSTS_PER_LEAF + 2}")
            self.addLink(root, leaf)
            for number in range(first, min(first + HOSTS_PER_LEAF, hosts)):
                self.addLink(self.addHost(f"h{number + 1}"), leaf)


class StockSwitch(OVSSwitch):  # type: ignore[misc]
    """Mininet's own, learning, on the datapath there is. A class, not `partial`: only then Mininet starts it
    in its batch."""

    def __init__(self, name: str, **params: Any) -> None:
        datapath = "kernel" if has_kernel_datapath() else "user"
        super().__init__(name, **{**params, "datapath": datapath, "failMode": "standalone"})


TOPOLOGIES = {"star": SingleSwitchTopo, "tree": LeafTopo}


def start_private_ovs(folder: Path) -> list[subprocess.Popen[bytes]]:
    """An Open vSwitch where stock Mininet's `ovs-vsctl` looks for one, in this mount namespace only."""
    netns.prepare_directory(vswitchd.RUN_DIR)
    database = vswitchd.create_template(folder / "conf.db")
    remote = vswitchd.RUN_DIR / "db.sock"
    common = ["-vconsole:off", "-vsyslog:off"]
    server = subprocess.Popen(["ovsdb-server", f"--remote=punix:{remote}", *common, str(database)])
    while not remote.exists():
        time.sleep(0.002)
    subprocess.run(["ovs-vsctl", "--no-wait", "init"], check=True)
    return [server, subprocess.Popen(["ovs-vswitchd", f"unix:{remote}", *common])]


def stock(shape: str, hosts: int, folder: Path) -> tuple[Any, float]:
    """Stock Mininet, started; the seconds do not count its Open vSwitch's own start, which is usually there
    already."""
    start_private_ovs(folder)
    Mininet.inited = True
    began = time.monotonic()
    net = Mininet(topo=TOPOLOGIES[shape](hosts), switch=StockSwitch, controller=None)
    net.start()
    return net, began


def ours(shape: str, hosts: int, folder: Path) -> tuple[Any, float]:
    """A `LabNet`, started, its Open vSwitch included."""
    datapath: vswitchd.Datapath = "kernel" if has_kernel_datapath() else "userspace"
    began = time.monotonic()
    net = LabNet(TOPOLOGIES[shape](hosts), run_dir=folder, datapath=datapath)
    net.start()
    return net, began


def wait_for_echo(net: Any) -> None:
    """Until the last host answers the first."""
    first, last = net.hosts[0], net.hosts[-1]
    path = f"/proc/{first.pid}/ns/net" if first.pid else str(first.namespace_path)
    descriptor = os.open(path, os.O_RDONLY)
    with netns.Namespace("first", Path(path), descriptor).socket(socket.AF_INET, socket.SOCK_RAW, 1) as sock:
        sock.settimeout(0.1)
        deadline = time.monotonic() + ECHO_DEADLINE_S
        while time.monotonic() < deadline:
            header = struct.pack(">BBHHH", 8, 0, 0xF7FD, 1, 1)
            sock.sendto(header, (last.IP(), 0))
            try:
                if sock.recv(256)[20] == 0:
                    break
            except OSError:
                continue
        else:
            raise SystemExit(f"no echo from {last.name} within {ECHO_DEADLINE_S:g} s")
    os.close(descriptor)


def inside(kind: str, shape: str, hosts: int, result: Path) -> None:
    """One network's life, in namespaces made for it; the time of going down is left for the parent to
    complete."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        net, began = {"stock": stock, "ours": ours}[kind](shape, hosts, Path(folder))
        wait_for_echo(net)
        up = time.monotonic() - began
        stopping = time.monotonic()
        net.stop()
        down = time.monotonic() - stopping
    result.write_text(json.dumps({"up": up, "down": down, "stopping": stopping}))
    os._exit(0)


def measure(kind: str, shape: str, hosts: int) -> Timing:
    """Run one network in its namespaces and wait until nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = Path(folder) / "result.json"
        arguments = ["--inside", kind, "--shape", shape, "--hosts", str(hosts), "--result", str(result)]
        subprocess.run([*UNSHARE, sys.executable, "-m", "benchmarks.bench_emulation", *arguments], check=True)
        gone = time.monotonic()
        seconds = json.loads(result.read_text())
    return Timing(shape, hosts, kind, seconds["up"], seconds["down"], gone - seconds["stopping"])


def compare(shape: str, hosts: int) -> list[Timing]:
    """Stock, then ours; prints the ratios."""
    pair = [measure(kind, shape, hosts) for kind in ("stock", "ours")]
    before, after = pair
    up, down, gone = before.up_s / after.up_s, before.down_s / after.down_s, before.gone_s / after.gone_s
    print(
        f"{shape} {hosts:4d}  up {before.up_s:7.2f} {after.up_s:6.2f} s = {up:5.1f}x   "
        f"down {before.down_s:7.2f} {after.down_s:6.2f} s = {down:6.1f}x   "
        f"gone {before.gone_s:7.2f} {after.gone_s:6.2f} s = {gone:6.1f}x",
        flush=True,
    )
    return pair


def main(argv: Sequence[str] | None = None) -> None:
    """The whole comparison, or one network of it (`--inside`, for the benchmark itself)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="one star of 20 hosts: does the benchmark work?")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--inside", choices=("stock", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--shape", choices=tuple(TOPOLOGIES), help=argparse.SUPPRESS)
    parser.add_argument("--hosts", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.inside:
        inside(options.inside, options.shape, options.hosts, options.result)
    cases = (
        [("star", 20)] if options.small else [(shape, n) for n in (200, 500) for shape in ("star", "tree")]
    )
    print(f"stock Mininet and LabNet (aim: up {AIM_UP:g} times faster, down {AIM_DOWN:g} times)")
    timings = [timing for shape, hosts in cases for timing in compare(shape, hosts)]
    if options.json:
        options.json.write_text(json.dumps([asdict(timing) for timing in timings], indent=1) + "\n")


if __name__ == "__main__":
    main()
