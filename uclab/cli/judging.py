"""`judge`: findings again from kept captures; `drill`: every deliberate fault must be caught."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from uclab import api
from uclab.cli.console import Console, say
from uclab.cli.progress import progress
from uclab.cli.status import STATUS, status_of
from uclab.cli.summary import print_summary
from uclab.cli.topologies import Json
from uclab.judge.result.judgement import RunVerdict
from uclab.plan.faults.catalogue import FAULTS
from uclab.plan.schema.codec import to_data


def add_to(app: typer.Typer) -> None:
    """Register these verbs."""
    app.command()(judge)
    app.command()(drill)


def judge(
    run_dir: Annotated[
        Path, typer.Argument(metavar="DIR", help="Run directory of an earlier `uclab run` or `uclab up`.")
    ],
    as_json: Json = False,
) -> None:
    """Judge the captures of a run again."""
    result = api.judge_again(run_dir)
    if as_json:
        typer.echo((result.run_dir / "results.json").read_text(), nl=False)
    else:
        print_summary(result)
    raise typer.Exit(STATUS[result.judgement.verdict])


def drill(
    topology: Annotated[
        str, typer.Argument(metavar="[T]", help="A topology file, or the name of a reference topology.")
    ] = "small-office",
    fault: Annotated[list[str] | None, typer.Option(help="Only this fault; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the runs.")] = None,
    show: Annotated[
        bool, typer.Option("--list", help="List the faults and what each must break; run nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Inject one fault after another; each must be caught by exactly its findings."""
    if show:
        list_faults(api.faults_of(topology), as_json)
        return
    results = []
    with progress(quiet=as_json) as watcher:
        for result in api.drill(topology, fault or api.faults_of(topology), out, watcher):
            results.append(result)
            if not as_json:
                say(f"{'caught' if result.caught else 'MISSED':7} {result.fault}: {result.explanation}")
    if as_json:
        typer.echo(json.dumps(to_data(tuple(results)), indent=2))
    raise typer.Exit(status_of(map(verdict_on, results)))


def verdict_on(result: api.DrillResult) -> RunVerdict:
    """Caught, missed, or nothing can be said: what had to fail was not shown."""
    if result.caught:
        return "pass"
    return "fail" if result.shown else "not-shown"


def list_faults(names: Sequence[str], as_json: bool) -> None:
    """The faults of these names."""
    faults = [fault for fault in FAULTS.values() if fault.name in names]
    if as_json:
        rows = [{"name": f.name, "summary": f.summary, "breaks": list(f.breaks)} for f in faults]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("fault", "what it does", "findings it must break", box=None, pad_edge=False)
    for fault in faults:
        table.add_row(fault.name, fault.summary, ", ".join(fault.breaks))
    Console().print(table)
