"""`generator`: a load generator on this machine, for a campaign whose lab is on another one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uclab.campaign.generator import run_generator
from uclab.cli.console import say


def add_to(app: typer.Typer) -> None:
    """Register this verb."""
    app.command()(generator)


def generator(
    folder: Annotated[Path, typer.Argument(help="`campaign/<generator>`, copied from the lab's machine.")],
    interface: Annotated[
        str, typer.Option(metavar="INTERFACE", help="Network card that is cabled to the lab.")
    ],
    leader: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The lab machine's address, as given to --listen.")
    ],
) -> None:
    """Run a load generator's users for a campaign on another machine, until it ends. Ctrl-C ends it early.
    The network card is given back."""
    status = run_generator(folder, interface, leader, lambda message: say(message, err=True))
    raise typer.Exit(0 if status == 0 else 1)
