"""What carries private circuits: a termination unit at each site's end, a peering switch in each data centre,
an 802.1Q VLAN in between (P3, V3, W10).

A router's untagged frames leave a termination unit with the circuit's VLAN tag and the 802.1p priority of
their DSCP (Q1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from uclab.plan.circuits import Circuit
from uclab.plan.names import free_name
from uclab.plan.switching import Bench
from uclab.plan.types import Link, LinkEnd, PortMode, Switch, SwitchRole

PLACE = "carriers"
PEERING_SWITCH = "-px"
"""End of the name of a data centre's peering switch."""
ROUTER_PORT, LINE_PORT = 1, 2
"""Ports of a termination unit."""


@dataclass(frozen=True)
class Carriage:
    """The switches and cables of all circuits."""

    switches: tuple[Switch, ...]
    links: tuple[Link, ...]


def build_carriage(circuits: tuple[Circuit, ...], first_dpid: int) -> Carriage:
    """Everything between the routers at the ends of circuits."""
    bench = Bench(PLACE, first_dpid)
    for circuit in circuits:
        _lay(bench, circuit)
    return Carriage(bench.switches(), tuple(bench.links))


def peering_switch(datacentre: str) -> str:
    """Name of the switch at which a data centre's circuits arrive."""
    return f"{datacentre}{PEERING_SWITCH}"


def line_name(circuit: Circuit) -> str:
    """Name of a circuit's cable between its ends, e.g. `edge-fra1`; a second one gets a number behind it."""
    return f"{circuit.near_router}-{circuit.target}"


def _lay(bench: Bench, circuit: Circuit) -> None:
    near = free_name(f"{circuit.name}-ntu", bench.roles)
    bench.add_switch(near, SwitchRole.CARRIER)
    own = LinkEnd(circuit.near_router, circuit.near_interface)
    other = LinkEnd(circuit.far_router, circuit.far_interface)
    if circuit.kind == "datacentre":
        far = peering_switch(circuit.target)
        if far not in bench.roles:
            bench.add_switch(far, SwitchRole.CARRIER)
        inner = bench.free_port(far, 1)
    else:
        far = free_name(f"{circuit.far_interface}-ntu", bench.roles)
        bench.add_switch(far, SwitchRole.CARRIER)
        inner = ROUTER_PORT
    ends = [
        _handed_over(bench, near, ROUTER_PORT, circuit.vlan, own),
        _handed_over(bench, far, inner, circuit.vlan, other),
    ]
    lines = [bench.free_port(near, LINE_PORT), bench.free_port(far, LINE_PORT)]
    for (switch, number), (peer, peer_number) in _both_ways((near, lines[0]), (far, lines[1])):
        ends.append(
            bench.add_port(
                switch, number, PortMode.TRUNK, tagged=(circuit.vlan,), trust_dscp=True,
                peer=peer, peer_port=peer_number,
            )
        )  # fmt: skip
    bench.add_link(f"{circuit.near_router}-{near}", own, ends[0], "circuit")
    bench.add_link(line_name(circuit), ends[2], ends[3], "circuit")
    bench.add_link(f"{circuit.far_router}-{circuit.near_router}", other, ends[1], "circuit")


def _handed_over(bench: Bench, switch: str, number: int, vlan: int, router: LinkEnd) -> LinkEnd:
    """The port at which a router is handed its circuit without a tag."""
    return bench.add_port(switch, number, PortMode.ACCESS, vlan=vlan, trust_dscp=True, peer=router.device)


def _both_ways(a: tuple[str, int], b: tuple[str, int]) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    yield a, b
    yield b, a
