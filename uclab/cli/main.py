"""Entry point: exit status 0 all passed, 1 a verdict failed, 2 the input is wrong, 3 the lab could not be
brought up, 4 something was not shown, 70 uclab itself is at fault (`uclab.cli.status`)."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from typing import Annotated, NoReturn

import typer

from uclab import __version__
from uclab.access.names import WrongName
from uclab.access.private_files import FolderRefused
from uclab.api import RunUnreadable, UnknownName
from uclab.campaign.refused import GeneratorFailed, OrderRefused
from uclab.cli import (
    campaign,
    capacity,
    circuit,
    generator,
    judging,
    labs,
    running,
    sdwan,
    setup,
    sharing,
    topologies,
)
from uclab.cli.console import say
from uclab.cli.status import CRASHED, HELD, INTERRUPTED, NOT_UP, WRONG_INPUT
from uclab.declarations import DeclarationError
from uclab.doctor.preflight import HostUnfit
from uclab.lab.client import LabError, LabGone, WrongRequest
from uclab.lab.directory import LabExists, NoSuchLab
from uclab.lab.launch import LabFailed
from uclab.model.diagnostic import TopologyError
from uclab.plan.schema.errors import PlanError
from uclab.setup import SetupFailed, SetupRefused

WRONG = (
    *(TopologyError, PlanError, UnknownName, RunUnreadable, NoSuchLab, LabExists, WrongRequest),
    *(OrderRefused, WrongName, FolderRefused, HostUnfit, DeclarationError, SetupRefused),
)
"""What is the user's to put right."""
DEBUG = "UCLAB_DEBUG"
"""Environment variable with which a crash of uclab's own is shown with all its details."""
WORDS = 200
"""Characters of an error's own words in a message."""

VERBS = (
    *(setup, topologies, capacity, labs, circuit, sdwan, running),
    *(campaign, generator, judging, sharing),
)

app = typer.Typer(
    name="uclab",
    help="Brings up a company's voice network on one machine, places real calls, and proves what happens "
    "from the packets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in VERBS:
    group.add_to(app)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        say(f"uclab {__version__}")
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
    except SetupFailed as error:
        fail(f"this machine could not be set up: {error}", NOT_UP)
    except GeneratorFailed as error:
        fail(f"the load generator could not be set up: {error}", NOT_UP)
    except LabGone as error:
        fail(str(error), NOT_UP)
    except LabError as error:
        fail(str(error), CRASHED)
    except KeyboardInterrupt:
        fail("interrupted; everything that was up has been taken down", INTERRUPTED)
    except BrokenPipeError:
        sys.exit(HELD)
    except OSError as error:
        if error.filename is None or os.environ.get(DEBUG):
            crashed(error)
        fail(f"{os.fsdecode(error.filename)}: {os.strerror(error.errno or 0).lower()}", WRONG_INPUT)
    except Exception as error:
        crashed(error)


def crashed(error: Exception) -> NoReturn:
    """uclab itself is at fault: a short message, and where the details are (EX_SOFTWARE of sysexits.h)."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
        sys.exit(CRASHED)
    message = " ".join(str(error).split())[:WORDS] or "no words"
    found = f"{type(error).__name__}: {message}"
    fail(f"this is a bug in uclab, not in your network: {found}; {_kept(error)}", CRASHED)


def _kept(error: Exception) -> str:
    """Keep the details, and say where they are."""
    again = f"set {DEBUG}=1 to see the details"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="uclab-bug-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as details:
            details.write(f"uclab {__version__}, {' '.join(sys.argv[1:])}\n")
            traceback.print_exception(error, file=details)
    except OSError:
        return again
    return f"the details are in {details.name} ({again})"


def fail(message: str, status: int) -> NoReturn:
    """One message on stderr, then the exit status."""
    say(message, err=True)
    sys.exit(status)
