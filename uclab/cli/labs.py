"""Verbs on running labs: `up`, `ls`, `inspect`, `exec`, `call`, `message`, `fail`, `heal`, `down`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from uclab import api
from uclab.access.names import TEXT
from uclab.cli.console import Console, plain, say
from uclab.cli.progress import progress
from uclab.cli.topologies import Json, Topology
from uclab.lab.client import CallOrder, LabClient, MessageOrder
from uclab.lab.directory import find_lab, running_labs
from uclab.plan.schema.codec import to_data

LabName = Annotated[
    str | None, typer.Option("--name", help="Name of the lab; not needed while only one runs.")
]
FaultOption = Annotated[
    list[str] | None, typer.Option(help="Apply a deliberate fault NAME[:TARGET]; may be repeated.")
]


def add_to(app: typer.Typer) -> None:
    """Register these verbs."""
    app.command()(up)
    app.command("ls")(list_labs)
    app.command()(inspect)
    app.command("exec", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(execute)
    app.command()(call)
    app.command()(message)
    app.command()(fail)
    app.command()(heal)
    app.command()(down)


def client_of(name: str | None) -> LabClient:
    """The client of the lab of that name, or of the only one."""
    return LabClient(find_lab(name))


def up(
    topology: Topology,
    name: Annotated[str | None, typer.Option(help="Name of the lab; default: the topology's name.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for captures and logs.")] = None,
    fault: FaultOption = None,
    as_json: Json = False,
) -> None:
    """Bring a lab up and leave it running."""
    read = api.planned(topology)
    plan = read.plan
    faulted = api.applied(plan, fault or [])
    run_dir = out or api.default_run_dir(plan.topology)
    with progress(quiet=as_json) as watcher:
        for warning in read.warnings:
            watcher.on_stage(f"warning: {warning}")
        launched = api.bring_up(
            plan, faulted, run_dir, name=name or plan.topology, leased=False, watcher=watcher
        )
    state = launched.client.state()
    if as_json:
        typer.echo(json.dumps(state, indent=2))
    else:
        say(
            f"lab `{state['name']}` is up in {state['timings']['up']:.1f} s; "
            f"evidence goes to {state['run_dir']}"
        )
        say(f"next: uclab call {' '.join(e.name for e in plan.endpoints[:2])} | uclab inspect | uclab down")


def list_labs(as_json: Json = False) -> None:
    """The labs running on this machine."""
    states = [LabClient(lab).state() for lab in running_labs()]
    if as_json:
        typer.echo(json.dumps(states, indent=2))
        return
    table = Table("lab", "topology", "phase", "registered", "dead", box=None, pad_edge=False)
    for state in states:
        registered = f"{sum(e['registered'] for e in state['endpoints'])}/{len(state['endpoints'])}"
        if doubts := sorted({e["doubt"] for e in state["endpoints"] if e.get("doubt")}):
            registered += f" (unconfirmed: {', '.join(doubts)})"
        table.add_row(
            state["name"],
            state["topology"],
            state["phase"],
            registered,
            plain(", ".join(state["dead"]) or "-"),
        )
    Console().print(table if states else "no lab is running")


def inspect(
    subject: Annotated[
        str | None, typer.Argument(help="A node, switch or link; default: the whole lab.")
    ] = None,
    name: LabName = None,
    as_json: Json = False,
) -> None:
    """What a device of a running lab is doing: addresses, routes, counters, ports, queues."""
    answer = client_of(name).inspect(subject)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        show_tree(Console(soft_wrap=True), answer)


def show_tree(console: Console, data: dict[str, Any], indent: int = 0) -> None:
    """Nested data as indented lines."""
    for key, value in data.items():
        if isinstance(value, dict):
            console.print(f"{' ' * indent}[bold]{plain(key)}[/]:")
            show_tree(console, value, indent + 2)
        elif isinstance(value, list):
            console.print(f"{' ' * indent}[bold]{plain(key)}[/]:")
            for item in value:
                text = "  ".join(f"{k}={v}" for k, v in item.items()) if isinstance(item, dict) else str(item)
                console.print(f"{' ' * (indent + 2)}{text}", markup=False)
        else:
            lines = str(value).splitlines() or [""]
            console.print(
                f"{' ' * indent}[bold]{plain(key)}[/]: {plain(lines[0])}"
                if len(lines) == 1
                else f"{' ' * indent}[bold]{plain(key)}[/]:"
            )
            for line in lines if len(lines) > 1 else []:
                console.print(f"{' ' * (indent + 2)}{line}", markup=False)


def execute(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="Node of the lab, e.g. `desk1` or `fw`.")],
    name: LabName = None,
) -> None:
    """Run a command in a node: `uclab exec NODE -- CMD ...`; its exit status is the command's."""
    if not context.args:
        raise typer.BadParameter("give a command after `--`, e.g. `uclab exec fw -- nft list ruleset`")
    argv = client_of(name).command_in(node, context.args)
    sys.stdout.flush()
    os.execvp(argv[0], argv)


def call(
    caller: Annotated[str, typer.Argument(metavar="FROM", help="Endpoint that calls.")],
    callee: Annotated[str, typer.Argument(metavar="TO", help="Endpoint or E.164 number.")],
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.5, max=3600, help="Length of the call.", show_default="as long as a verdict takes"
        ),
    ] = None,
    name: LabName = None,
    as_json: Json = False,
) -> None:
    """Place a call in a running lab and say whether audio arrived in both directions."""
    record = client_of(name).call(
        CallOrder(f"{caller}-{callee}-{os.getpid()}", caller, callee, "call", seconds)
    )
    if as_json:
        typer.echo(json.dumps(to_data(record), indent=2))
    elif record.established:
        heard = [
            f"{side}: {'heard' if audio and audio.heard else 'NOT heard'}"
            for side, audio in (
                (f"{caller} → {callee}", record.caller_to_callee),
                (f"{callee} → {caller}", record.callee_to_caller),
            )
        ]
        say(f"established in {record.setup_ms or 0:.0f} ms; {'; '.join(heard)}")
    else:
        say(f"not established: {record.error}", err=True)
    both = (
        record.caller_to_callee
        and record.callee_to_caller
        and record.caller_to_callee.heard
        and record.callee_to_caller.heard
    )
    raise typer.Exit(0 if record.established and both else 1)


def message(
    sender: Annotated[str, typer.Argument(metavar="FROM", help="Endpoint that writes.")],
    recipient: Annotated[str, typer.Argument(metavar="TO", help="Endpoint that it writes to.")],
    text: Annotated[
        str | None,
        typer.Argument(
            help="What it writes: a line of ASCII.", show_default="which message of how many it is"
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How often, one after the other.")] = 1,
    every: Annotated[
        float,
        typer.Option(
            min=0, max=3600, metavar="SECONDS", help="From one to the next, if it has been answered by then."
        ),
    ] = 0.0,
    name: LabName = None,
    as_json: Json = False,
) -> None:
    """Send text messages in a running lab (SIP MESSAGE) and say how each was answered.

    200: it arrived. 202: its recipient cannot be reached; the cloud keeps it until it can.
    """
    order = MessageOrder(
        f"{sender}-{recipient}-{os.getpid()}",
        sender,
        recipient,
        count,
        None if text is None else TEXT.checked("TEXT", text),
        every,
    )
    records = client_of(name).messages(order)
    if as_json:
        typer.echo(json.dumps(to_data(records), indent=2))
    for record in records if not as_json else ():
        took = 1000 * ((record.answered_at or record.sent_at) - record.sent_at)
        answer = f"answered with {record.status} in {took:.0f} ms" if record.status else record.error
        say(f"{record.id}: {answer}", err=not record.accepted)
    raise typer.Exit(0 if all(record.accepted for record in records) else 1)


def fail(
    subject: Annotated[str, typer.Argument(metavar="LINK|NODE", help="What to break.")],
    black_hole: Annotated[
        bool, typer.Option("--black-hole", help="The link stays up and silently drops everything.")
    ] = False,
    kill: Annotated[
        bool,
        typer.Option(
            "--kill",
            help="A router dies: its daemons are killed, it stops forwarding, its links stay up.",
        ),
    ] = False,
    brown_out: Annotated[
        str | None,
        typer.Option(
            metavar="FIGURES",
            help="The line degrades: loss (%), delay, jitter (ms), rate (kbit/s); `loss=8,delay=+120`.",
        ),
    ] = None,
    leaving: Annotated[
        str | None, typer.Option(metavar="NODE", help="Only for packets that leave this end of the link.")
    ] = None,
    name: LabName = None,
    as_json: Json = False,
) -> None:
    """Cut a link, or all links of a node; or black-hole it, or degrade a line; or kill a router."""
    if black_hole + kill + (brown_out is not None) > 1:
        raise typer.BadParameter("choose one of --black-hole, --brown-out and --kill")
    figures = figures_of(brown_out) if brown_out is not None else {}
    if leaving is not None:
        figures["leaving"] = leaving
    how = "kill" if kill else "black-hole" if black_hole else "cut" if brown_out is None else "brown-out"
    report(client_of(name).fail(subject, how, **figures), as_json)


def figures_of(text: str) -> dict[str, float | str]:
    """`loss=8,delay=+120` as a mapping."""
    figures: dict[str, float | str] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if not equals or not key or not value:
            raise typer.BadParameter(f"`{part}`: expected FIGURE=VALUE, e.g. `loss=8,delay=+120`")
        if key in figures:
            raise typer.BadParameter(f"`{key}` is given twice")
        figures[key] = value
    return figures


def heal(
    subject: Annotated[str, typer.Argument(metavar="LINK|NODE", help="What to restore.")],
    name: LabName = None,
    as_json: Json = False,
) -> None:
    """Undo `fail`."""
    report(client_of(name).heal(subject), as_json)


def down(name: LabName = None, as_json: Json = False) -> None:
    """Take a lab down; captures are flushed first."""
    lab = find_lab(name)
    timings = LabClient(lab).down()
    say(
        json.dumps(timings, indent=2)
        if as_json
        else f"lab `{lab.name}` is down; captures in {timings['run_dir']}"
    )


def report(done: str, as_json: bool) -> None:
    """Say what was done."""
    say(json.dumps({"done": done}) if as_json else done)
