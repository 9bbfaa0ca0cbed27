"""Verbs that need no lab: `doctor`, `topologies`, `check`, `plan`, `graph`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from uclab import api, doctor
from uclab.access.private_files import FolderRefused
from uclab.access.private_files import words as words_of
from uclab.cli.console import Console, plain, say
from uclab.drawing.graph import draw
from uclab.model.diagnostic import Diagnostic, TopologyError
from uclab.model.load import reference_topologies
from uclab.plan.schema.codec import plan_to_json, to_data
from uclab.plan.schema.flows import words
from uclab.plan.schema.plan import LineStep, Node, Plan, Switch

Topology = Annotated[
    str, typer.Argument(metavar="T", help="A topology file, or the name of a reference topology.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Register these verbs."""
    app.command("doctor")(show_doctor)
    app.command("topologies")(list_topologies)
    app.command()(check)
    app.command("plan")(show_plan)
    app.command()(graph)


def show_doctor(as_json: Json = False) -> None:
    """What this machine has for a lab, and which fallbacks it uses for what is missing."""
    report = doctor.probe()
    if as_json:
        typer.echo(json.dumps(to_data(report), indent=2))
    else:
        Console(soft_wrap=True).print(doctor.as_table(report))
    raise typer.Exit(0 if report.able else 3)


def list_topologies(as_json: Json = False) -> None:
    """The reference topologies."""
    rows = [(name, api.load(str(path)).topology.title) for name, path in reference_topologies().items()]
    if as_json:
        typer.echo(json.dumps([{"name": name, "title": title} for name, title in rows], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("name", style="bold")
    table.add_column("what it is")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def check(topology: Topology, as_json: Json = False) -> None:
    """Check a topology file: all its errors at once, each with file, line and what is allowed."""
    read, mistakes = _read(topology)
    warnings = read.warnings if read is not None else ()
    if as_json:
        found = {"topology": topology, "mistakes": to_data(mistakes), "warnings": warnings}
        typer.echo(json.dumps(found, indent=2))
    elif read is None:
        for mistake in mistakes:
            say(str(mistake), err=True)
        count = len(mistakes)
        say(f"{count} error{'s' if count > 1 else ''}; nothing was started", err=True)
    else:
        say(f"{read.plan.topology}: valid ({counts(read.plan)})")
        for warning in warnings:
            say(f"warning: {warning}", err=True)
    raise typer.Exit(2 if mistakes else 0)


def _read(topology: str) -> tuple[api.PlannedTopology | None, tuple[Diagnostic, ...]]:
    """The topology, or all its errors."""
    try:
        return api.planned(topology), ()
    except TopologyError as error:
        return None, error.mistakes


def counts(plan: Plan) -> str:
    """How large a plan is, in words."""
    return (
        f"{len(plan.nodes)} nodes, {len(plan.switches)} switches, {len(plan.links)} links, "
        f"{len(plan.endpoints)} endpoints, {len(plan.taps)} taps"
    )


def show_plan(
    topology: Topology,
    as_json: Json = False,
    fault: Annotated[
        list[str] | None, typer.Option(help="Apply a deliberate fault (see `uclab drill --list`).")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Only this node or switch.")] = None,
) -> None:
    """What the topology means for each device: addresses, VLANs, routes, filters, queues."""
    plan = api.applied(api.plan_of(topology), fault or [])
    if as_json and device is None:
        typer.echo(plan_to_json(plan), nl=False)
        return
    devices: dict[str, Node | Switch] = {
        **{node.name: node for node in plan.nodes},
        **{switch.name: switch for switch in plan.switches},
    }
    if device is not None and device not in devices:
        raise api.UnknownName.among("device", device, devices)
    if as_json and device is not None:
        typer.echo(json.dumps(to_data(devices[device]), indent=2))
        return
    console = Console(soft_wrap=True)
    console.print(f"[bold]{plan.topology}[/]: {plain(plan.title)} ({counts(plan)})")
    if device is not None:
        console.print_json(json.dumps(to_data(devices[device])))
        return
    nodes = Table(
        "node", "kind", "site", "addresses", "routes", title="nodes", title_justify="left", box=None
    )
    for node in plan.nodes:
        addresses = "\n".join(f"{i.name} {', '.join(i.addresses) or '-'}" for i in node.interfaces)
        nodes.add_row(
            node.name,
            node.kind.value,
            node.site,
            addresses,
            "\n".join(f"{r.prefix} via {r.via}" for r in node.routes),
        )
    console.print(nodes)
    switches = Table("switch", "role", "engine", "ports", title="switches", title_justify="left", box=None)
    for switch in plan.switches:
        ports = "\n".join(
            f"{p.number}: {p.mode.value} {p.vlan or ''} "
            f"{'tagged ' + ','.join(map(str, p.tagged)) if p.tagged else ''}"
            f"{' trusted' if p.trust_dscp else ''} → {p.peer or '-'}"
            for p in switch.ports
        )
        switches.add_row(switch.name, switch.role.value, switch.engine, ports)
    console.print(switches)
    for switch in (switch for switch in plan.switches if switch.flows):
        console.print(f"flows of {switch.name}")
        for flow in switch.flows:
            console.print(f"  {words(flow)}", highlight=False)
    if plan.schedules:
        changing = Table(
            "from", "repeats", "at s: what changes", title="lines that change", box=None, pad_edge=False
        )
        for schedule in plan.schedules:
            steps = "\n".join(f"{step.at_s:g}: {changes_of(step)}" for step in schedule.steps)
            repeats = f"after {schedule.repeat_s:g} s" if schedule.repeat_s else "no"
            changing.add_row(f"{schedule.node} {schedule.interface}", repeats, steps)
        console.print(changing)


def changes_of(step: LineStep) -> str:
    """What a step of a line's schedule changes, in words."""
    figures = (
        f"{step.rate_kbps} kbit/s" if step.rate_kbps is not None else "",
        f"{step.more_delay_ms:+g} ms" if step.more_delay_ms else "",
        f"jitter {step.more_jitter_ms:+g} ms" if step.more_jitter_ms else "",
        "outage"
        if step.more_loss_pct >= 100
        else f"loss {step.more_loss_pct:+g} %" * bool(step.more_loss_pct),
    )
    return ", ".join(filter(None, figures)) or "as planned"


def graph(
    topology: Topology,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="SVG file to write; default: standard output.")
    ] = None,
) -> None:
    """Draw the topology (SVG)."""
    picture = draw(api.plan_of(topology))
    if out is None:
        say(picture)
    else:
        try:
            out.write_text(picture)
        except OSError as error:
            raise FolderRefused(f"`{out}` cannot be written: {words_of(error)}; name a file") from None
        say(f"drawn: {out}")
