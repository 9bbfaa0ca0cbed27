"""`campaign`: load by locust in a lab, and what it met."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uclab.campaign.orders import PROFILES, STOP_S
from uclab.campaign.remote_machines import WAIT_S
from uclab.campaign.running import CampaignResult, order_of, run_campaign
from uclab.cli.console import say
from uclab.cli.labs import FaultOption
from uclab.cli.progress import progress
from uclab.cli.status import status_of
from uclab.cli.summary import print_summary
from uclab.cli.topologies import Json, Topology
from uclab.judge.result.judgement import RunVerdict

NAMES = ", ".join(f"`{name}`" for name in PROFILES)


def add_to(app: typer.Typer) -> None:
    """Register this verb."""
    app.command()(campaign)


def campaign(
    topology: Topology,
    profile: Annotated[
        str,
        typer.Option(help=f"What users do: {NAMES}, or a locustfile."),
    ] = "busy-hour",
    users: Annotated[int, typer.Option(min=1, max=10_000, help="How many users.")] = 50,
    spawn_rate: Annotated[float, typer.Option(min=0.01, max=1000, help="Users started per second.")] = 10.0,
    duration: Annotated[
        int, typer.Option(min=5, max=86_400, help=f"Seconds; users then have {STOP_S} s to finish.")
    ] = 60,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of load generators.")] = 1,
    web: Annotated[bool, typer.Option("--web", help="locust's page on this machine's loopback.")] = False,
    remote: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GENERATOR=INTERFACE",
            help="This generator runs on another machine, cabled to this network card; may be repeated.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="This machine's address for locust's leader; without it other machines cannot connect.",
        ),
    ] = None,
    wait: Annotated[
        int | None,
        typer.Option(min=1, max=86_400, help=f"Seconds to wait for other machines; default: {WAIT_S}."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for captures, logs and reports.")] = None,
    fault: FaultOption = None,
    as_json: Json = False,
) -> None:
    """Bring the lab up with many users, let locust drive them, judge the results. Ctrl-C ends it early and
    keeps what was recorded."""
    order = order_of(
        profile,
        users=users,
        spawn_rate=spawn_rate,
        duration_s=duration,
        workers=workers,
        web=web,
        remote=remote or (),
        listen=listen,
        ready_s=wait,
    )
    with progress(quiet=as_json) as watcher:
        result = run_campaign(topology, order, out=out, faults=fault or [], watcher=watcher)
    if as_json:
        typer.echo((result.run.run_dir / "results.json").read_text(), nl=False)
    else:
        print_summary(result.run)
        say(f"locust: {_ended(result)}; {result.run.run_dir / 'campaign' / 'locust.html'}")
    ran: RunVerdict = "pass" if result.locust_status == 0 else "fail"
    raise typer.Exit(status_of((result.run.judgement.verdict, ran)))


def _ended(result: CampaignResult) -> str:
    status = result.locust_status
    return "did not end in time" if status is None else f"exit status {status}"
