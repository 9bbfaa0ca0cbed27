"""Computed and measured number of calls side by side: access lines of 2, 5 and 20 Mbit/s, G.711 and Opus.

    sudo .venv/bin/python -m benchmarks.bench_capacity [--lines 2 5 20] [--codecs G711 Opus] [--ways up down]
        [--small] [--json FILE]

Each is `uclab capacity T --measure` on the small office with another line. Wide lines are measured one way at
a time, and with longer packets: every packet passes ten devices that all run on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from uclab.campaign.capacity_measurement import measure, orders_for
from uclab.plan.capacity.experiment_record import Way

TOPOLOGIES = Path(__file__).resolve().parents[1] / "topologies"
LINES_MBPS = (2, 5, 20)
CODECS = ("G711", "Opus")
PACKET_MS = {2: 20, 5: 20, 20: 60}
OPUS_KBPS = {2: 32, 5: 32, 20: 48}


@dataclass(frozen=True)
class Measured:
    """One line in the table."""

    line_mbps: int
    codec: str
    packet_ms: int
    way: Way
    kbps_a_call: float
    computed: str
    measured: int
    bound: str
    verdict: str
    gave_way: str | None
    next: str | None
    apart_pct: float
    load: float
    """Load average of the machine at the end."""


def write_topology(folder: Path, line_mbps: int, codec: str) -> Path:
    """The small office on a line of that rate, with phones that speak that codec."""
    name = f"office-{line_mbps}-{codec.lower()}"
    for kind in ("profiles", "policies"):
        (folder / kind).mkdir(exist_ok=True)
    direction = {"rate_kbps": 1000 * line_mbps, "delay_ms": 10, "jitter_ms": 1, "loss_pct": 0.0}
    profile = {
        "profile": name,
        "title": f"Line of {line_mbps} Mbit/s, classes honoured by the provider",
        "source": "of this benchmark",
        "up": direction,
        "down": direction,
        "honours_classes": True,
    }
    policy = yaml.safe_load((TOPOLOGIES / "policies" / "ucaas.yaml").read_text())
    traffic = {"codec": codec, "packet_ms": PACKET_MS[line_mbps], "opus_kbps": OPUS_KBPS[line_mbps]}
    office = yaml.safe_load((TOPOLOGIES / "small-office.yaml").read_text())
    office["sites"][0]["connections"][0]["profile"] = name
    (folder / "profiles" / f"{name}.yaml").write_text(yaml.safe_dump(profile))
    (folder / "policies" / f"{name}.yaml").write_text(
        yaml.safe_dump({**policy, "policy": name, "traffic": traffic}, sort_keys=False)
    )
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**office, "topology": name, "policy": name}, sort_keys=False))
    return path


def measured(line_mbps: int, codec: str, way: Way) -> Measured:
    """Bring the lab up and count."""
    with tempfile.TemporaryDirectory(prefix="uclab-bench-") as folder:
        path = write_topology(Path(folder), line_mbps, codec)
        (order,) = orders_for(str(path), None, way)
        result = measure(order, out=Path(folder) / "run")
    (found,) = result.judgement.measured
    (finding,) = [one for one in result.judgement.findings if one.id == "capacity.measured"]
    return Measured(
        line_mbps,
        codec,
        found.packet_ms,
        way,
        order.record.per_call_kbps,
        found.computed_words,
        found.measured,
        found.bound,
        finding.verdict if finding.verdict != "not-shown" else finding.observed,
        found.gave_way,
        found.next,
        found.apart_pct,
        round(os.getloadavg()[0], 1),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """All that is asked for, a line each as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, nargs="+", choices=LINES_MBPS, default=LINES_MBPS)
    parser.add_argument("--codecs", nargs="+", choices=CODECS, default=CODECS)
    parser.add_argument("--ways", nargs="+", choices=("up", "down"), default=("up",))
    parser.add_argument("--small", action="store_true", help="one line, one codec: to see that it works")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    lines, codecs = (LINES_MBPS[:1], CODECS[:1]) if options.small else (options.lines, options.codecs)
    print("| line | codec | way | kbit/s a call | computed | measured | apart | bottleneck, next | load |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    rows = []
    for line_mbps in lines:
        for codec in codecs:
            for way in options.ways:
                one = measured(line_mbps, codec, way)
                rows.append(one)
                mark = "" if one.verdict == "pass" else f" **{one.verdict}**"
                print(
                    f"| {one.line_mbps} Mbit/s | {one.codec}, {one.packet_ms} ms | {one.way}"
                    f" | {one.kbps_a_call:.1f} | {one.computed} | {one.measured} ({one.bound})"
                    f" | {one.apart_pct:.1f} %{mark} | {one.gave_way}, {one.next} | {one.load} |",
                    flush=True,
                )
    if options.json:
        data = [asdict(one) for one in rows]
        options.json.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
