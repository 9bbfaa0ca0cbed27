"""`uclab setup`: makes this machine ready for labs."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import Annotated

import typer

from uclab import setup
from uclab.cli.console import Console, say
from uclab.cli.status import HELD, VERDICT_FAILED


def add_to(app: typer.Typer) -> None:
    """Register this verb."""
    app.command("setup")(set_up)


def set_up(
    check: Annotated[
        bool,
        typer.Option("--check", help="Only say what would be done; exit status 1 if anything."),
    ] = False,
) -> None:
    """Make this machine ready for labs, as root: host packages by apt, images of devices and containers.

    Does only what is missing. Ctrl-C keeps what is complete; the next time goes on from there.
    """
    if check:
        lines = setup.missing()
        for line in lines:
            say(line)
        if not lines:
            say("nothing is missing")
        raise typer.Exit(VERDICT_FAILED if lines else HELD)
    console = Console(stderr=True, soft_wrap=True)
    began = time.monotonic()
    done = 0

    def said(line: str) -> None:
        nonlocal done
        done += 1
        console.print(f"[{time.monotonic() - began:6.1f} s] {line}", markup=False, highlight=False)

    with console.status("setting up") if sys.stderr.isatty() else nullcontext():
        setup.set_up(said)
    say("this machine is set up" if done else "nothing was missing")
