"""All phones re-register after a WAN failover: how long until all are back, how fast the cloud takes them.

    sudo .venv/bin/python -m benchmarks.bench_storm [--users N] [--duration S] [--small] [--json FILE]

A site with two lines and a voice VLAN large enough. The campaign `wan-failover` registers all phones, cuts
the first line for the middle third of the time, and restores it. Phones notice a lost connection as the
policy says (`registration`), and come back from another address. No phone is told when.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from uclab.campaign.running import order_of, run_campaign
from uclab.judge.evidence.load_files import load_load
from uclab.judge.evidence.run_files import RunFiles
from uclab.plan.load.record import RegistrationRecord

USERS, DURATION_S, WORKERS = 2000, 180, 2
SPAWN_RATE = 100.0


@dataclass(frozen=True)
class Storm:
    """What one cut or restoration brought about; seconds from it."""

    what: str
    came_back: int
    first_s: float
    half_s: float
    last_s: float
    peak_per_s: int
    """Registrations granted in the busiest second."""
    refused: int
    unanswered: int


def topology() -> str:
    """The YAML file of a shop with two lines and room for 4,000 phones."""
    return yaml.safe_dump(
        {
            "topology": "storm",
            "title": "Two lines and many phones",
            "policy": "ucaas",
            "cloud": {
                "domain": "ucaas.test",
                "regions": [{"name": "eu", "datacentres": [{"name": "fra1", "prefix": "198.18.10.0/24"}]}],
                "pstn": {"numbers": ["+493055501001"]},
            },
            "internet": {
                "providers": [
                    {"name": "isp1", "prefix": "203.0.113.0/26"},
                    {"name": "isp2", "prefix": "203.0.113.64/26"},
                ]
            },
            "sites": [
                {
                    "name": "shop",
                    "prefix": "10.10.0.0/16",
                    "vlans": [
                        {"name": "voice", "id": 10, "role": "voice", "subnet": "10.10.16.0/20"},
                        {"name": "data", "id": 20, "role": "data", "subnet": "10.10.1.0/24"},
                    ],
                    "switches": [{"name": "sw1", "role": "access", "ports": 8, "poe_watts": 65}],
                    "firewall": {"name": "fw", "uplinks": ["sw1"]},
                    "router": {"name": "edge"},
                    "connections": [
                        {"name": "wan1", "to": "isp1", "profile": "business-internet-10"},
                        {"name": "wan2", "to": "isp2", "profile": "business-internet-10"},
                    ],
                    "endpoints": [{"name": "desk1", "kind": "desk-phone", "port": "sw1/1", "number": 801}],
                }
            ],
        }
    )


def storm(what: str, at: float, until: float, attempts: Sequence[RegistrationRecord]) -> Storm:
    """The registrations between two times (pure)."""
    within = sorted((one for one in attempts if at <= one.at < until), key=lambda one: one.at)
    granted: dict[str, float] = {}
    for one in within:
        if 200 <= one.status < 300:
            granted.setdefault(one.user, one.at - at)
    back = sorted(granted.values())
    seconds = Counter(int(after) for after in back)
    return Storm(
        what,
        len(back),
        round(back[0], 2) if back else 0.0,
        round(back[len(back) // 2], 2) if back else 0.0,
        round(back[-1], 2) if back else 0.0,
        max(seconds.values(), default=0),
        sum(one.status >= 300 for one in within),
        sum(one.status == 0 for one in within),
    )


def measure(users: int, duration_s: int) -> tuple[Storm, Storm, Storm]:
    """The first registrations, and both storms."""
    with tempfile.TemporaryDirectory(prefix="storm-") as name:
        folder = Path(name)
        (folder / "storm.yaml").write_text(topology())
        order = order_of(
            "wan-failover",
            users=users,
            spawn_rate=SPAWN_RATE,
            duration_s=duration_s,
            workers=WORKERS,
            web=False,
        )
        run_campaign(str(folder / "storm.yaml"), order, out=folder / "out")
        attempts = load_load(RunFiles(folder / "out")).registrations
        events = [json.loads(line) for line in (folder / "out" / "events.jsonl").read_text().splitlines()]
    cut = next(event["time"] for event in events if event["kind"] == "failed-on-purpose")
    restored = next(event["time"] for event in events if event["kind"] == "healed")
    began = min(one.at for one in attempts)
    return (
        storm("first", began, cut, attempts),
        storm("cut", cut, restored, attempts),
        storm("restored", restored, float("inf"), attempts),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument(
        "--duration", type=int, default=DURATION_S, help="seconds; the outage is a third of it"
    )
    parser.add_argument("--small", action="store_true", help="20 users: does the benchmark work?")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args(argv)
    users, duration_s = (20, 60) if options.small else (options.users, options.duration)
    found = measure(users, duration_s)
    for one in found:
        print(
            f"{one.what:7s} {one.came_back:5d} of {users} registered: first after {one.first_s:.2f} s, half"
            f" {one.half_s:.2f} s, last {one.last_s:.2f} s; at most {one.peak_per_s} a second;"
            f" {one.refused} refused, {one.unanswered} unanswered"
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
