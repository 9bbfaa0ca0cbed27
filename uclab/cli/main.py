"""Entry point: exit status 0 all held, 1 a verdict failed, 2 the input is wrong, 3 the lab could not be
brought up, 4 something was not shown, 70 uclab itself is at fault (`uclab.cli.status`)."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from uclab import __version__
from uclab.api import RunUnreadable, UnknownName
from uclab.campaign.refused import GeneratorFailed, OrderRefused
from uclab.cli import campaign, capacity, circuit, generator, judging, labs, running, sdwan, topologies
from uclab.cli.status import HELD, INTERRUPTED, NOT_UP, VERDICT_FAILED, WRONG_INPUT
from uclab.doctor.preflight import HostUnfit
from uclab.lab.client import LabError, LabGone, WrongCircuit
from uclab.lab.directory import LabExists, NoSuchLab
from uclab.lab.launch import LabFailed
from uclab.model.mistake import TopologyError
from uclab.plan.errors import PlanError

WRONG = (
    *(TopologyError, PlanError, UnknownName, RunUnreadable, NoSuchLab, LabExists, WrongCircuit),
    OrderRefused,
    HostUnfit,
)
"""What is the user's to put right."""

app = typer.Typer(
    name="uclab",
    help="Brings up a company's voice network on one machine, places real calls, and proves what happens "
    "from the packets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (topologies, capacity, labs, circuit, sdwan, running, campaign, generator, judging):
    group.add_to(app)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"uclab {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of uclab itself."""


def main() -> None:
    """Run a verb; every foreseen error becomes one message on stderr and an exit status."""
    try:
        app(standalone_mode=True)
    except WRONG as error:
        fail(str(error), WRONG_INPUT)
    except LabFailed as error:
        fail(f"the lab could not be brought up: {error}", NOT_UP)
    except GeneratorFailed as error:
        fail(f"the load generator could not be set up: {error}", NOT_UP)
    except LabGone as error:
        fail(str(error), NOT_UP)
    except LabError as error:
        fail(str(error), VERDICT_FAILED)
    except KeyboardInterrupt:
        fail("interrupted; everything that was up has been taken down", INTERRUPTED)
    except BrokenPipeError:
        sys.exit(HELD)


def fail(message: str, status: int) -> None:
    """One message on stderr, then the exit status."""
    typer.echo(message, err=True)
    sys.exit(status)
