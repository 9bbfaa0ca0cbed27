"""An exchange of a plan: switches that a controller programs, customers at their ports, and the private
circuits that are there from the beginning (W5). Rates are kbit/s, DSCP 0..63, 802.1p 0..7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from uclab.plan.schema.switching import SiteFabric, Switch


@dataclass(frozen=True)
class CustomerPort:
    """Where a site or a data centre is plugged in."""

    customer: str
    switch: str
    port: int


@dataclass(frozen=True)
class CircuitEnd:
    """An end of a circuit: a customer port, an 802.1Q VLAN there, the prefixes that live behind it."""

    switch: str
    port: int
    vlan: int
    prefixes: tuple[str, ...]

    @property
    def tap(self) -> str:
        """Its capture point."""
        return f"{self.switch}:{self.port}"


@dataclass(frozen=True)
class ExchangeCircuit:
    """A private circuit and its policy: IPv4 passes from the prefixes of one end to those of the other."""

    name: str
    a: CircuitEnd
    """The site's end."""
    b: CircuitEnd
    rate_kbps: int
    """In each direction."""
    pcp: int | None = None
    """802.1p priority of all its frames; None keeps the sender's."""
    dscp: int | None = None
    """Marking of all its packets; None keeps the sender's."""
    allowed_dscp: tuple[int, ...] | None = None
    """Markings with which packets may come in; None is any."""

    @property
    def directions(self) -> tuple[tuple[CircuitEnd, CircuitEnd], tuple[CircuitEnd, CircuitEnd]]:
        """From where to where."""
        return (self.a, self.b), (self.b, self.a)


@dataclass(frozen=True)
class CircuitExchange:
    """An exchange; `fabric.site` is its name."""

    fabric: SiteFabric
    ports: tuple[CustomerPort, ...]
    circuits: tuple[ExchangeCircuit, ...]
    """In the order in which they are made."""

    @property
    def name(self) -> str:
        """As the topology has it."""
        return self.fabric.site


FIRST_TAG = 2
"""VLAN id between switches of the first circuit; each has the next one (`controllers.circuits`)."""
Crossing = tuple[str, int, int]
"""Switch, port, VLAN id of a frame there."""


def crossings(exchange: CircuitExchange) -> Mapping[Crossing, tuple[int, int]]:
    """Where a frame of a planned circuit goes in a switch: from (switch, port, VLAN) to (port, VLAN)."""
    return dict(_crossings(exchange))


def _crossings(exchange: CircuitExchange) -> Iterator[tuple[Crossing, tuple[int, int]]]:
    order = [switch.name for switch in exchange.fabric.switches]
    for number, circuit in enumerate(exchange.circuits):
        tag = FIRST_TAG + number
        for start, goal in circuit.directions:
            here, goal_at = order.index(start.switch), order.index(goal.switch)
            names = order[here : goal_at + 1] if here <= goal_at else order[goal_at : here + 1][::-1]
            came, vlan = start.port, start.vlan
            for name, following in zip(names, [*names[1:], None], strict=True):
                leaves = (
                    (goal.port, goal.vlan)
                    if following is None
                    else (_towards(exchange, name, following), tag)
                )
                yield (name, came, vlan), leaves
                vlan = tag
                came = _towards(exchange, following, name) if following is not None else 0


def _towards(exchange: CircuitExchange, switch: str, neighbour: str) -> int:
    """The port of a switch that leads to its neighbour in the row."""
    found: Switch = next(s for s in exchange.fabric.switches if s.name == switch)
    return next(port.number for port in found.ports if port.peer == neighbour)
