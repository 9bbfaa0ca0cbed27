"""`capacity`: how many calls each WAN line carries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from uclab import api
from uclab.cli.console import say, wide_console
from uclab.cli.labs import FaultOption
from uclab.cli.measured import Wish, measure_all, measured_data, print_measured
from uclab.cli.status import status_of
from uclab.cli.topologies import Json, Topology
from uclab.drawing.graph import draw
from uclab.drawing.wires import LineNote
from uclab.model.bandwidth import LAYER_2_BYTES, MediaStream, rtcp_kbps
from uclab.plan.capacity.air_capacity import AirCapacity
from uclab.plan.capacity.experiment_record import Spoken
from uclab.plan.capacity.line_capacity import Capacity, DirectionCapacity, LineCapacity
from uclab.plan.schema.codec import to_data

LAYERS = {
    "ip": "over IP",
    "line": "on a line",
    "ethernet": "Ethernet",
    "tagged": "with 802.1Q",
    "wire": "on the wire",
}
"""Layers in words; lines and queues are counted as `on a line`: with Ethernet's header, without FCS."""
NUMBER = ("guaranteed", "ceiling", "demand", "headroom", "calls", "max calls", "with borrowing")


def add_to(app: typer.Typer) -> None:
    """Register this verb."""
    app.command("capacity")(show_capacity)


def show_capacity(
    topology: Topology,
    as_json: Json = False,
    svg: Annotated[
        Path | None,
        typer.Option("--svg", help="Also draw the topology with demand and headroom on each line."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Also measure: place calls in a lab (root).")
    ] = False,
    line: Annotated[str | None, typer.Option(metavar="SITE/LINE", help="Measure this line alone.")] = None,
    way: Annotated[
        Spoken, typer.Option(help="Directions in which calls carry speech; one direction halves the packets.")
    ] = "both",
    out: Annotated[Path | None, typer.Option(help="Folder of a measurement's captures and reports.")] = None,
    fault: FaultOption = None,
) -> None:
    """How many calls each WAN line and each of its queues carries, and how many it must; 1 where that is too
    many, or where a measurement finds another number."""
    if not measure and (line or out or fault or way != "both"):
        raise typer.BadParameter("belongs to --measure", param_hint="--line, --way, --out, --fault")
    read = api.planned(topology)
    answer = read.capacity
    wish = Wish(line, way, out, tuple(fault or ()))
    results = measure_all(topology, wish, quiet=as_json) if measure else []
    if svg is not None:
        write_drawing(read, svg)
    if as_json:
        measured = {"measured": measured_data(results)} if measure else {}
        typer.echo(json.dumps({**as_data(answer), **measured}, indent=2))
    else:
        for capacity in answer.lines:
            print_line(capacity)
        for air in answer.airs:
            say(in_the_air(air))
        for reason in answer.shortage:
            say(f"too small: {reason}", err=True)
        if results:
            print_measured(results)
    raise typer.Exit(status_of((answer.verdict, *(result.judgement.verdict for result in results))))


def as_data(answer: Capacity) -> dict[str, object]:
    """The answer as plain JSON data, with one call's rate at each layer."""
    data = to_data(answer)
    for line, shown in zip(answer.lines, data["lines"], strict=True):
        shown["stream"]["kbps"] = {layer: line.stream.media_kbps(layer) for layer in LAYER_2_BYTES}
        shown["stream"]["rtcp_kbps"] = rtcp_kbps("line", line.stream.tunnel_bytes)
        for direction, below in zip(line.directions, shown["directions"], strict=True):
            below["fits"] = direction.fits
    return dict(data)


def print_line(line: LineCapacity) -> None:
    """One line: what a call takes, the table of queues, and the first bottleneck."""
    standby = ", standby" if line.standby else ""
    say(
        f"site {line.site}, line {line.line} ({line.link}{standby}): "
        f"{line.endpoints} endpoints, {line.calls} calls at once"
    )
    say(f"one call, each way: {one_call(line.stream)}")
    table = Table("", "queue", box=None, pad_edge=False)
    for name in NUMBER:
        table.add_column(name, justify="right")
    for direction in line.directions:
        add_rows(table, direction, line.calls)
    wide_console().print(table)
    for direction in line.directions:
        say(f"{direction.way}: {in_words(direction)}")
    say("")


def in_the_air(air: AirCapacity) -> str:
    """An access point's channel in one line."""
    return (
        f"site {air.site}, access point {air.access_point}: {air.stations} stations, {air.calls} calls at "
        f"once take {air.need_pct:.1f} % of the channel's time; room for {air.calls_fit} calls"
    )


def one_call(stream: MediaStream) -> str:
    """A call's rate from IP down to the wire."""
    rates = ", ".join(f"{stream.media_kbps(layer):.1f} {LAYERS[layer]}" for layer in LAYER_2_BYTES)
    inside = ", in an overlay's tunnel" if stream.tunnel_bytes else ""
    rtcp = f"RTCP {rtcp_kbps('line', stream.tunnel_bytes):.1f}"
    return f"{stream.codec}, {stream.packet_ms} ms, SRTP{inside}: {rates} kbit/s; {rtcp}"


def add_rows(table: Table, direction: DirectionCapacity, calls: int) -> None:
    """The direction as a whole, then its queues; kbit/s, then calls."""
    table.add_row(
        direction.way,
        "line",
        str(direction.rate_kbps),
        str(direction.rate_kbps),
        f"{direction.need_kbps:.1f}",
        room(direction.room_kbps, direction.lacking_kbps),
        str(calls),
        str(direction.calls),
        "",
    )
    for queue in direction.queues:
        table.add_row(
            "",
            queue.name,
            str(queue.guaranteed_kbps),
            str(queue.ceiling_kbps),
            f"{queue.need_kbps:.1f}",
            room(queue.room_kbps, queue.lacking_kbps),
            "-" if queue.calls is None else str(calls),
            "-" if queue.calls is None else str(queue.calls),
            "-" if queue.calls_borrowing is None else str(queue.calls_borrowing),
        )


def room(room_kbps: float, lacking_kbps: float) -> str:
    """What is left; what is missing as a negative number."""
    return f"{-lacking_kbps:.1f}" if lacking_kbps else f"{room_kbps:.1f}"


def in_words(direction: DirectionCapacity) -> str:
    """What is full first, what after it, and whether calls have a rate of their own."""
    if not direction.kept_apart:
        return f"room for {direction.calls} calls if nothing else is sent: one queue takes everything"
    after = f", then {direction.full_next}" if direction.full_next else ""
    are = "are" if direction.full_first.endswith("s") else "is"
    return f"room for {direction.calls} calls, then {direction.full_first} {are} full{after}"


def write_drawing(read: api.PlannedTopology, path: Path) -> None:
    """The topology's drawing with need, room and verdict on its lines."""
    notes = {line.link: LineNote(note(line), not line.shortage) for line in read.capacity.lines}
    try:
        path.write_text(draw(read.plan, notes=notes))
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path}: {error.strerror}", param_hint="--svg") from None


def note(line: LineCapacity) -> str:
    """A line's figures for the drawing, e.g. `3 of 12 calls · ↑ 272 of 1940 ↓ 272 of 2000 kbit/s`."""
    arrows = {"up": "↑", "down": "↓"}
    rates = " ".join(f"{arrows[d.way]} {d.need_kbps:.0f} of {d.rate_kbps}" for d in line.directions)
    return f"{line.calls} of {min(d.calls for d in line.directions)} calls · {rates} kbit/s"
