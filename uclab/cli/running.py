"""`run`: up, scenario, judge, report, down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uclab import api
from uclab.cli.labs import FaultOption
from uclab.cli.progress import progress
from uclab.cli.status import STATUS
from uclab.cli.summary import print_summary
from uclab.cli.topologies import Json, Topology
from uclab.scenarios import Options


def add_to(app: typer.Typer) -> None:
    """Register this verb."""
    app.command()(run)


def run(
    topology: Topology,
    scenario: Annotated[
        str, typer.Option(help="What happens in the lab: `reference` or `failover`.")
    ] = "reference",
    out: Annotated[Path | None, typer.Option(help="Folder for captures, logs and reports.")] = None,
    fault: FaultOption = None,
    incident: Annotated[
        list[str] | None, typer.Option(help="Only this incident of the failover scenario; may be repeated.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="How often each incident.")] = 1,
    as_json: Json = False,
) -> None:
    """Bring the lab up, place its calls, take it down, judge the captures, write the report."""
    options = Options(tuple(incident or ()), repeat)
    with progress(quiet=as_json) as watcher:
        result = api.run(
            topology, scenario=scenario, out=out, faults=fault or [], watcher=watcher, options=options
        )
    if as_json:
        typer.echo((result.run_dir / "results.json").read_text(), nl=False)
    else:
        print_summary(result)
    raise typer.Exit(STATUS[result.judgement.verdict])
