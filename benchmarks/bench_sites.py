"""Whether bring-up grows linearly: a company of 20 sites and 1,000 devices against one of 2 sites and 100.

    sudo .venv/bin/python -m benchmarks.bench_sites [--small] [--json FILE]

Every site has 30 softclients, 9 desk phones with PCs behind them, three switches, firewall and router with
its line (50 devices). The network is planned and brought up (namespaces, cables, addresses, routes, packet
filters, queues, lines, switches) in namespaces of its own, without the programs in its devices, and taken
down again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from benchmarks.bench_emulation import UNSHARE
from uclab.emulation.build import apply
from uclab.emulation.ovs.backends import detect
from uclab.model.load import load_topology
from uclab.plan.planner import make_plan

DESKS, SOFTCLIENTS = 9, 30
SITES = (2, 20)


@dataclass(frozen=True)
class Timing:
    """Seconds of one company's network."""

    sites: int
    nodes: int
    switches: int
    links: int
    plan_s: float
    up_s: float
    down_s: float

    @property
    def nodes_per_second(self) -> float:
        """Of bringing up."""
        return self.nodes / self.up_s


def topology(sites: int) -> str:
    """The YAML file of a company of that many sites."""
    return yaml.safe_dump(
        {
            "topology": "many-sites",
            "title": "A company of many sites",
            "policy": "ucaas",
            "cloud": {
                "domain": "ucaas.test",
                "regions": [{"name": "eu", "datacentres": [{"name": "fra1", "prefix": "198.18.10.0/24"}]}],
                "pstn": {"numbers": ["+493055501001"]},
            },
            "internet": {"providers": [{"name": "isp1", "prefix": "203.0.113.0/24"}]},
            "sites": [_site(number) for number in range(1, sites + 1)],
        }
    )


def _site(number: int) -> dict[str, object]:
    stem = f"s{number}"
    desks = [
        {"name": f"{stem}d{n}", "kind": "desk-phone", "port": f"{stem}a1/{n}", "number": 1000 * number + n,
         "pc": f"{stem}w{n}"}
        for n in range(1, DESKS + 1)
    ]  # fmt: skip
    clients = [
        {
            "name": f"{stem}c{n}",
            "kind": "softclient",
            "port": f"{stem}a2/{n}",
            "number": 1000 * number + 100 + n,
        }
        for n in range(1, SOFTCLIENTS + 1)
    ]
    return {
        "name": f"site{number}",
        "prefix": f"10.{number}.0.0/16",
        "vlans": [
            {"name": "voice", "id": 110, "role": "voice", "subnet": f"10.{number}.110.0/24"},
            {"name": "data", "id": 120, "role": "data", "subnet": f"10.{number}.120.0/24"},
        ],
        "switches": [
            {"name": f"{stem}core", "role": "core"},
            {"name": f"{stem}a1", "role": "access", "uplinks": [f"{stem}core"], "poe_watts": 370},
            {"name": f"{stem}a2", "role": "access", "uplinks": [f"{stem}core"], "ports": 48},
        ],
        "firewall": {"name": f"{stem}fw", "uplinks": [f"{stem}core"]},
        "router": {"name": f"{stem}edge"},
        "connections": [{"name": "wan1", "to": "isp1", "profile": "business-internet-10"}],
        "endpoints": [*desks, *clients],
    }


def inside(sites: int, result: Path) -> None:
    """One company's network, in namespaces made for it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "many-sites.yaml").write_text(topology(sites))
        began = time.monotonic()
        plan = make_plan(load_topology(folder / "many-sites.yaml"))
        planned = time.monotonic()
        variants = detect()
        building = time.monotonic()
        net = asyncio.run(apply.build(plan, folder, variants))
        up = time.monotonic()
        net.stop()
        down = time.monotonic()
    timing = Timing(
        sites, len(plan.nodes), len(plan.switches), len(plan.links), planned - began, up - building, down - up
    )
    result.write_text(json.dumps(asdict(timing)))
    os._exit(0)


def measure(sites: int) -> Timing:
    """Run one company in its namespaces."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = Path(folder) / "result.json"
        arguments = ["--inside", str(sites), "--result", str(result)]
        subprocess.run([*UNSHARE, sys.executable, "-m", "benchmarks.bench_sites", *arguments], check=True)
        return Timing(**json.loads(result.read_text()))


def main(argv: Sequence[str] | None = None) -> None:
    """Both companies, and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="one and two sites: does the benchmark work?")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.inside:
        inside(options.inside, options.result)
    timings = []
    for sites in (1, 2) if options.small else SITES:
        timings.append(measure(sites))
        one = timings[-1]
        print(
            f"{one.sites:3d} sites {one.nodes:5d} nodes {one.switches:4d} switches {one.links:5d} links: "
            f"planned in {one.plan_s:.2f} s, up in {one.up_s:.2f} s ({one.nodes_per_second:.0f} nodes/s), "
            f"down in {one.down_s:.2f} s",
            flush=True,
        )
    few, many = timings
    print(f"nodes per second: {many.nodes_per_second / few.nodes_per_second:.2f} of the small company's")
    if options.json:
        options.json.write_text(json.dumps([asdict(timing) for timing in timings], indent=1) + "\n")


if __name__ == "__main__":
    main()
