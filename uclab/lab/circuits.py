"""What is asked of an exchange: a user's order, with what it leaves open taken from the plan (pure; W5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from uclab.plan.schema.sdn_fabric import CircuitEnd, CircuitExchange, ExchangeCircuit

FIELDS = ("rate_kbps", "pcp", "dscp", "allowed_dscp")


class NoSuchCircuit(Exception):
    """There is no circuit of that name."""

    def __init__(self, name: str, circuits: Iterable[str]) -> None:
        known = ", ".join(sorted(circuits)) or "none"
        super().__init__(f"there is no circuit `{name}`; there are: {known}")


class WrongOrder(Exception):
    """An order that names what there is not, or leaves out too much; the message says the way out."""


@dataclass(frozen=True)
class CircuitOrder:
    """What a user says of a circuit. Everything left out stays as it is, or is as planned."""

    a: str | None = None
    """Customer at the near end (`north-cc1`, as `uclab circuit list` shows it), or a port (`sdx1-1/1`)."""
    b: str | None = None
    vlan: int | None = None
    """802.1Q VLAN id at both ends."""
    a_prefixes: tuple[str, ...] = ()
    b_prefixes: tuple[str, ...] = ()
    rate_kbps: int | None = None
    pcp: int | None = None
    dscp: int | None = None
    allowed_dscp: tuple[int, ...] | None = None
    keep: tuple[str, ...] = ()
    """`pcp`, `dscp`: back to what the sender gives; `allowed_dscp`: any marking."""


def body_of(circuit: ExchangeCircuit) -> dict[str, Any]:
    """A planned circuit as the exchange's API takes it."""
    allowed = None if circuit.allowed_dscp is None else list(circuit.allowed_dscp)
    return {
        "a": _end(circuit.a),
        "b": _end(circuit.b),
        "rate_kbps": circuit.rate_kbps,
        "pcp": circuit.pcp,
        "dscp": circuit.dscp,
        "allowed_dscp": allowed,
    }


def ordered(
    name: str,
    order: CircuitOrder,
    planned: Mapping[str, CircuitExchange],
    present: Mapping[str, Mapping[str, Any]],
    *,
    create: bool,
) -> tuple[str, dict[str, Any]]:
    """The exchange and the body of the circuit that is ordered. Raises `NoSuchCircuit`, `WrongOrder`."""
    if not planned:
        raise WrongOrder("this lab has no exchange; give the topology a carrier of kind `sdn`")
    exchange_of = {circuit: exchange for exchange, circuits in present.items() for circuit in circuits}
    if create and name in exchange_of:
        raise WrongOrder(f"circuit `{name}` is there already; `uclab circuit change {name} ...` changes it")
    if not create and name not in exchange_of:
        raise NoSuchCircuit(name, exchange_of)
    templates = {c.name: (e.name, body_of(c)) for e in planned.values() for c in e.circuits}
    if not create:
        exchange, body = exchange_of[name], dict(present[exchange_of[name]][name])
    elif name in templates:
        exchange, body = templates[name]
    else:
        exchange, body = _new(name, order, planned)
    for side in ("a", "b"):
        body[side] = _changed_end(body[side], order, planned[exchange], side)
    for key in FIELDS:
        value = getattr(order, key)
        if value is not None:
            body[key] = list(value) if isinstance(value, tuple) else value
        elif key in order.keep:
            body[key] = None
    return exchange, body


def _new(
    name: str, order: CircuitOrder, planned: Mapping[str, CircuitExchange]
) -> tuple[str, dict[str, Any]]:
    if order.a is None or order.b is None or order.vlan is None or order.rate_kbps is None:
        known = ", ".join(c.name for e in planned.values() for c in e.circuits)
        raise WrongOrder(
            f"a new circuit `{name}` needs both ends, a VLAN id and a rate; "
            f"only planned ones ({known}) need no more than their name"
        )
    for exchange in planned.values():
        if _is_port_of(exchange, order.a):
            empty = {"switch": "", "port": 0, "vlan": order.vlan, "prefixes": []}
            return exchange.name, {"a": empty, "b": empty, "pcp": None, "dscp": None, "allowed_dscp": None}
    raise WrongOrder(_unknown_port(order.a, planned.values()))


def _changed_end(
    end: Mapping[str, Any], order: CircuitOrder, exchange: CircuitExchange, side: str
) -> dict[str, Any]:
    port, prefixes = getattr(order, side), getattr(order, f"{side}_prefixes")
    changed = dict(end)
    if port is not None:
        known = next((p for p in exchange.ports if port in (p.customer, f"{p.switch}/{p.port}")), None)
        if known is None:
            raise WrongOrder(_unknown_port(port, [exchange]))
        changed |= {"switch": known.switch, "port": known.port}
        if not changed["prefixes"]:
            changed["prefixes"] = _behind(exchange, known.switch, known.port)
    if order.vlan is not None:
        changed["vlan"] = order.vlan
    if prefixes:
        changed["prefixes"] = list(prefixes)
    return changed


def _behind(exchange: CircuitExchange, switch: str, port: int) -> list[str]:
    """What is known to live behind a port: what planned circuits say of it."""
    ends = [end for circuit in exchange.circuits for end in (circuit.a, circuit.b)]
    prefixes = [prefix for end in ends if (end.switch, end.port) == (switch, port) for prefix in end.prefixes]
    return list(dict.fromkeys(prefixes))


def _is_port_of(exchange: CircuitExchange, port: str) -> bool:
    return any(port in (p.customer, f"{p.switch}/{p.port}") for p in exchange.ports)


def _unknown_port(port: str, exchanges: Iterable[CircuitExchange]) -> str:
    known = ", ".join(f"{p.customer} ({p.switch}/{p.port})" for e in exchanges for p in e.ports)
    return f"there is no customer port `{port}`; there are: {known}"


def _end(end: CircuitEnd) -> dict[str, Any]:
    return {"switch": end.switch, "port": end.port, "vlan": end.vlan, "prefixes": list(end.prefixes)}
