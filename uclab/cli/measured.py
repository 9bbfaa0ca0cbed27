"""The other half of `capacity`: what an experiment found beside what was computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from uclab import api
from uclab.api import RunResult
from uclab.campaign.capacity_measurement import measure, orders_for
from uclab.cli.console import say, wide_console
from uclab.cli.progress import progress
from uclab.judge.result.judgement import MeasuredWay
from uclab.plan.capacity.experiment_record import Spoken
from uclab.plan.schema.codec import to_data

BOUNDS = {"exactly": "", "at least": "≥ ", "at most": "≤ "}


@dataclass(frozen=True)
class Wish:
    """What of a topology is to be measured."""

    line: str | None
    spoken: Spoken
    out: Path | None
    faults: tuple[str, ...]


def measure_all(topology: str, wish: Wish, quiet: bool) -> list[RunResult]:
    """An experiment for each line, one after the other. Raises as `uclab.campaign.capacity_measurement`."""
    orders = orders_for(topology, wish.line, wish.spoken)
    folder = wish.out or api.default_run_dir(f"{orders[0].load_plan.plan.topology}-capacity")
    results = []
    with progress(quiet=quiet) as watcher:
        for order in orders:
            name = f"{order.record.site}-{order.record.line}"
            out = folder if len(orders) == 1 else folder / name
            results.append(measure(order, out=out, faults=wish.faults, watcher=watcher))
    return results


def print_measured(results: list[RunResult]) -> None:
    """Computed and measured numbers side by side, then what did not pass."""
    table = Table("line", "direction", "codec", box=None, pad_edge=False)
    for name in ("computed", "measured", "apart"):
        table.add_column(name, justify="right")
    for name in ("with one more call", "bottleneck", "next bottleneck"):
        table.add_column(name)
    for result in results:
        for measured_way in result.judgement.measured:
            table.add_row(*_row(measured_way))
    wide_console().print(table)
    for result in results:
        for finding in result.judgement.findings:
            if finding.verdict != "pass" or finding.id == "capacity.measured":
                say(f"{finding.verdict}: {finding.id} {finding.subject}: {finding.observed}")
        say(f"report: {result.run_dir / 'report.html'}")


def _row(measured_way: MeasuredWay) -> tuple[str, ...]:
    more = (
        "all passed"
        if measured_way.loss_pct is None
        else f"{measured_way.loss_pct:.1f} % lost, {measured_way.delay_ms:.0f} ms"
    )
    return (
        measured_way.line,
        measured_way.way,
        f"{measured_way.codec}, {measured_way.packet_ms} ms",
        measured_way.computed_words,
        f"{BOUNDS[measured_way.bound]}{measured_way.measured}",
        f"{measured_way.apart_pct:.1f} %",
        more,
        measured_way.gave_way or "-",
        measured_way.next or "-",
    )


def measured_data(results: list[RunResult]) -> list[dict[str, Any]]:
    """As JSON: each experiment's verdict, directions, findings that did not pass, and where its files are."""
    return [
        {
            "verdict": result.judgement.verdict,
            "run_dir": str(result.run_dir),
            "ways": [to_data(measured_way) for measured_way in result.judgement.measured],
            "not_held": [
                {"id": f.id, "subject": f.subject, "verdict": f.verdict, "observed": f.observed}
                for f in result.judgement.findings
                if f.verdict != "pass"
            ],
        }
        for result in results
    ]
