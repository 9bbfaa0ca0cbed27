"""`uclab circuit`: private circuits of a running lab's exchange, made and changed while calls run (W5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from inspect import Signature, signature
from typing import Annotated, Any

import typer
from rich.table import Table

from uclab.cli.console import Console, say
from uclab.cli.labs import LabName, client_of
from uclab.cli.topologies import Json
from uclab.lab.circuits import CircuitOrder
from uclab.model.schema_types import DSCP_NAMES

HIGHEST_DSCP = 63
EVERYWHERE = ("name", "as_json")
"""Options of every verb here."""

Circuit = Annotated[str, typer.Argument(metavar="CIRCUIT", help="Name of the circuit.")]
Rate = Annotated[int | None, typer.Option(min=64, max=10_000_000, help="kbit/s in each direction.")]
Pcp = Annotated[str | None, typer.Option(help="802.1p priority of all frames, 0 to 7; `keep`: the sender's.")]
Mark = Annotated[
    str | None, typer.Option(help="DSCP of all packets, 0 to 63 or by name; `keep`: the sender's.")
]
Allowed = Annotated[
    list[str] | None,
    typer.Option("--allow-dscp", help="DSCP that may come in; may be repeated. `any`: all."),
]
Vlan = Annotated[int | None, typer.Option(min=1, max=4094, help="802.1Q VLAN id at both ends.")]
Near = Annotated[
    str | None, typer.Option("--from", metavar="PORT", help="Customer, or port as SWITCH/NUMBER.")
]
Far = Annotated[str | None, typer.Option("--to", metavar="PORT", help="Customer, or port as SWITCH/NUMBER.")]
NearPrefix = Annotated[list[str] | None, typer.Option("--from-prefix", help="Network behind the near end.")]
FarPrefix = Annotated[list[str] | None, typer.Option("--to-prefix", help="Network behind the far end.")]

app = typer.Typer(
    name="circuit",
    help="Private circuits of a running lab's exchange: list, create, change, remove.",
    no_args_is_help=True,
)


def add_to(parent: typer.Typer) -> None:
    """Register these verbs."""
    parent.add_typer(app)


@app.command("list")
def list_circuits(name: LabName = None, as_json: Json = False) -> None:
    """The circuits, and the customers at the exchange's ports."""
    found = client_of(name).circuits()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    console = Console(soft_wrap=True)
    for exchange, parts in found.items():
        ports = ", ".join(f"{customer} at {port}" for customer, port in parts["ports"].items())
        console.print(f"exchange {exchange}: {ports}", markup=False, highlight=False)
        table = Table(
            "circuit", "from", "to", "kbit/s", "802.1p", "DSCP", "lets in", box=None, pad_edge=False
        )
        for circuit, body in parts["circuits"].items():
            table.add_row(circuit, *_cells(body))
        console.print(table if parts["circuits"] else "no circuits")


def _order(
    vlan: Vlan = None,
    near_prefix: NearPrefix = None,
    far_prefix: FarPrefix = None,
    rate: Rate = None,
    pcp: Pcp = None,
    dscp: Mark = None,
    allow_dscp: Allowed = None,
) -> CircuitOrder:
    """What is ordered of a circuit: the options of every verb that `_takes_order`."""
    ends: dict[str, Any] = {"a_prefixes": tuple(near_prefix or ()), "b_prefixes": tuple(far_prefix or ())}
    return CircuitOrder(vlan=vlan, **ends, **_terms(rate, pcp, dscp, allow_dscp))


def _takes_order(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with the options of `_order` in front of those of every verb; it is given them as `order`."""
    own, options = (signature(function, eval_str=True).parameters for function in (verb, _order))

    def run(**given: Any) -> None:
        order = _order(**{name: given.pop(name) for name in options})
        verb(order=order, **given)

    parameters = [own[name] for name in own if name not in ("order", *EVERYWHERE)]
    parameters += [*options.values(), *(own[name] for name in EVERYWHERE)]
    run.__name__, run.__doc__ = verb.__name__, verb.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # what typer makes options of
    return run


@app.command()
@_takes_order
def create(
    circuit: Circuit,
    order: CircuitOrder,
    near: Near = None,
    far: Far = None,
    name: LabName = None,
    as_json: Json = False,
) -> None:
    """Create a circuit; for one of the topology, the name is enough."""
    _report(client_of(name).create_circuit(circuit, replace(order, a=near, b=far)), as_json)


@app.command()
@_takes_order
def change(circuit: Circuit, order: CircuitOrder, name: LabName = None, as_json: Json = False) -> None:
    """Change a circuit's rate, QoS level or policy; the rest stays as it is."""
    _report(client_of(name).change_circuit(circuit, order), as_json)


@app.command()
def remove(circuit: Circuit, name: LabName = None, as_json: Json = False) -> None:
    """Remove a circuit."""
    _report(client_of(name).remove_circuit(circuit), as_json)


def _terms(rate: int | None, pcp: str | None, dscp: str | None, allowed: list[str] | None) -> dict[str, Any]:
    """Rate, QoS level and allowed markings as an order has them."""
    marks = [_number(mark, "--allow-dscp", HIGHEST_DSCP, "any") for mark in allowed or ()]
    numbers = {"pcp": _number(pcp, "--pcp", 7, "keep"), "dscp": _number(dscp, "--dscp", HIGHEST_DSCP, "keep")}
    marking = {"pcp": pcp, "dscp": dscp, "allowed_dscp": "any" if allowed and None in marks else None}
    return {
        "rate_kbps": rate,
        **numbers,
        "allowed_dscp": tuple(mark for mark in marks if mark is not None) or None
        if None not in marks
        else None,
        "keep": tuple(key for key, word in marking.items() if word in ("keep", "any")),
    }


def _number(text: str | None, option: str, most: int, word: str) -> int | None:
    """A number, or a marking by name (`EF`); None for the option's word. Raises `typer.BadParameter`."""
    if text is None or text == word:
        return None
    if most == HIGHEST_DSCP and text.upper() in DSCP_NAMES:
        return DSCP_NAMES[text.upper()]
    if not text.isascii() or not text.isdigit() or int(text) > most:
        raise typer.BadParameter(
            f"`{text}` is neither a number from 0 to {most} nor `{word}`", param_hint=option
        )
    return int(text)


def _cells(body: dict[str, Any]) -> list[str]:
    ends = [f"{end['switch']}/{end['port']} VLAN {end['vlan']}" for end in (body["a"], body["b"])]
    kept = ["as sent" if body[key] is None else str(body[key]) for key in ("pcp", "dscp")]
    allowed = "any" if body["allowed_dscp"] is None else ", ".join(map(str, body["allowed_dscp"]))
    return [*ends, str(body["rate_kbps"]), *kept, allowed]


def _report(done: dict[str, Any], as_json: bool) -> None:
    """Say what was done and how long it took."""
    if as_json:
        typer.echo(json.dumps(done, indent=2))
    else:
        say(f"circuit `{done['name']}` {done['done']}; every switch has it after {done['took_ms']:.0f} ms")
