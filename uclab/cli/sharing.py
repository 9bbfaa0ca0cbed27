"""`share`: a copy of a run that others may have."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from uclab.cli.console import say
from uclab.cli.topologies import Json


def add_to(app: typer.Typer) -> None:
    """Register this verb."""
    app.command()(share)


def share(
    run_dir: Annotated[Path, typer.Argument(metavar="DIR", help="Run directory of an earlier run.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the copy.")],
    captures: Annotated[
        bool, typer.Option("--captures", help="With the packets; a drill's may be readable.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy a run for others: its reports and records, without passwords, keys, recordings and packets."""
    from uclab.report.share import share as copy

    shared = copy(run_dir, out.absolute(), captures=captures)
    if as_json:
        say(json.dumps(asdict(shared), indent=2))
        return
    say(f"copied {len(shared.files)} files to {out}; {shared.withheld} secrets withheld")
    say(f"left out: {', '.join(shared.left_out) or 'nothing'}")
