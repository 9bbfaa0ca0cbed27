"""`uclab sdwan`: the paths of a running lab's overlays, and which one each class of traffic takes (W6)."""

from __future__ import annotations

import json

import typer
from rich.table import Table

from uclab.cli.console import Console
from uclab.cli.labs import LabName, client_of
from uclab.cli.topologies import Json


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command()(sdwan)


def sdwan(name: LabName = None, as_json: Json = False) -> None:
    """The measured quality of each path of the SD-WAN, and which traffic classes take it."""
    overlays = client_of(name).overlays()
    if as_json:
        typer.echo(json.dumps(overlays, indent=2))
        return
    table = Table("site", "path", "delay ms", "jitter ms", "loss %", "classes", box=None, pad_edge=False)
    for site, overlay in overlays.items():
        for path, measured in overlay["paths"].items():
            figures = (
                [f"{measured[key]:.1f}" for key in ("delay_ms", "jitter_ms", "loss_pct")]
                if measured
                else ["?"] * 3
            )
            classes = [name for name, chosen in overlay["choice"].items() if chosen == path]
            table.add_row(site, path, *figures, ", ".join(classes) or "-")
    Console().print(table)
