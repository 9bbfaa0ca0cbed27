"""How fast a whole lab comes up, until its last phone has registered, and goes, with its last process.

    sudo .venv/bin/python -m benchmarks.bench_lab [--small] [--repetitions 3] [--json FILE]

Each repetition is a lab of its own, started as `uclab up` starts it, captures at every tap. "up" runs from
the order to the lab's word that it is up; "down" from the order to the end of the last process of the lab's
PID namespace. A missed aim is printed, not an error: machines differ.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.process_tree import descendants
from uclab import api
from uclab.plan.schema.plan import Plan

AIM_UP_S, AIM_DOWN_S = 15.0, 1.0
"""For `enterprise-hq` on two cores with images built."""
STEPS = {
    "controllers": "controllers listen",
    "network": "nodes, links, switches, lines",
    "captures": "captures at every tap",
    "fabric": "trees computed, flows set (beside the cloud)",
    "cloud": "DNS, SBC, media relay, PSTN in containers",
    "phones": "phones started and registered",
}
"""The lab's own timings, in the order in which they begin."""


@dataclass(frozen=True)
class Life:
    """One lab's life, seconds."""

    up_s: float
    steps_s: dict[str, float]
    registered: int
    endpoints: int
    processes: int
    """How many ran while the lab was up."""
    flushed_s: float
    """Of "down": until calls had ended and the captures were complete."""
    down_s: float
    left: int
    """Processes still there after "down"; anything but 0 is a defect."""


def live(plan: Plan, name: str, run_dir: Path) -> Life:
    """Bring a lab up and take it down. Raises `LabFailed` where it does not come up."""
    began = time.monotonic()
    launched = api.bring_up(plan, plan, run_dir, name=name, leased=True)
    up = time.monotonic() - began
    try:
        state = launched.client.state()
        processes = descendants(launched.process.pid)
        ordered = time.monotonic()
        launched.client.down()
        flushed = time.monotonic() - ordered
    finally:
        launched.release()
    down = time.monotonic() - ordered
    return Life(
        up_s=up,
        steps_s={step: state["timings"][step] for step in STEPS},
        registered=sum(endpoint["registered"] for endpoint in state["endpoints"]),
        endpoints=len(state["endpoints"]),
        processes=len(processes),
        flushed_s=flushed,
        down_s=down,
        left=sum(process.is_alive() for process in processes),
    )


def spread(values: Sequence[float]) -> str:
    """Least, median, greatest."""
    return f"{min(values):6.2f} {statistics.median(values):6.2f} {max(values):6.2f}"


def show(topology: str, lives: Sequence[Life]) -> None:
    """The table and what came of the aims."""
    one = lives[0]
    print(f"{topology}: {one.endpoints} phones, {one.processes} processes; {len(lives)} times, seconds")
    print(f"{'':>12}    min    med    max")
    for step, what in STEPS.items():
        print(f"{step:>12} {spread([life.steps_s[step] for life in lives])}  {what}")
    print(f"{'up':>12} {spread([life.up_s for life in lives])}  {verdict(lives, AIM_UP_S, 'up_s')}")
    print(f"{'flushed':>12} {spread([life.flushed_s for life in lives])}  calls ended, captures complete")
    print(f"{'down':>12} {spread([life.down_s for life in lives])}  {verdict(lives, AIM_DOWN_S, 'down_s')}")
    for number, life in enumerate(lives, 1):
        if life.registered < life.endpoints:
            print(f"lab {number}: only {life.registered} of {life.endpoints} phones registered")
        if life.left:
            print(f"lab {number}: {life.left} processes left behind")


def verdict(lives: Sequence[Life], aim_s: float, figure: str) -> str:
    """An aim is met when every lab kept it, with all phones registered and nothing left."""
    whole = all(life.registered == life.endpoints and not life.left for life in lives)
    worst = max(getattr(life, figure) for life in lives)
    return f"aim < {aim_s:g} s: {'met' if whole and worst < aim_s else 'MISSED'}"


def main(argv: Sequence[str] | None = None) -> None:
    """All repetitions, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--topology", default="enterprise-hq", help="path or name")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="small-office once: does the benchmark work?")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args(argv)
    topology, repetitions = ("small-office", 1) if options.small else (options.topology, options.repetitions)
    plan = api.plan_of(topology)
    print(f"load before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores", flush=True)
    lives = []
    for number in range(repetitions):
        with tempfile.TemporaryDirectory(prefix="bench-lab-") as folder:
            lives.append(live(plan, f"bench-{os.getpid()}-{number}", Path(folder)))
    show(plan.topology, lives)
    if options.json:
        options.json.write_text(json.dumps([asdict(life) for life in lives], indent=1) + "\n")


if __name__ == "__main__":
    main()
