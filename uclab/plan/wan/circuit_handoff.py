"""What carries private circuits: a termination unit at each site's end, a peering switch in each data centre,
an 802.1Q VLAN in between (P3, V3, W10), by a cable or through a carrier's network (W2, W3).

A router's untagged frames leave a termination unit with the circuit's VLAN tag and the 802.1p priority of
their DSCP (Q1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from uclab.plan.lan.bridges import BridgeBuilder
from uclab.plan.lan.sites import Context
from uclab.plan.resolve.circuits import Circuit
from uclab.plan.resolve.names import free_name
from uclab.plan.schema.plan import (
    BackgroundTraffic,
    CarriedCircuit,
    Link,
    LinkEnd,
    Node,
    PortMode,
    Switch,
    SwitchRole,
)
from uclab.plan.schema.sdn_fabric import CustomerPort
from uclab.plan.wan import sdn_fabrics
from uclab.plan.wan.carriers import PLACE, CarrierNetwork

PEERING_SWITCH = "-px"
"""End of the name of a data centre's peering switch."""
ROUTER_PORT, LINE_PORT = 1, 2
"""Ports of a termination unit."""


@dataclass(frozen=True)
class Carriage:
    """The switches and cables of all circuits, and other customers of their carriers."""

    switches: tuple[Switch, ...]
    links: tuple[Link, ...]
    nodes: tuple[Node, ...]
    chatter: tuple[BackgroundTraffic, ...]
    carried: tuple[CarriedCircuit, ...]
    exchanges: tuple[tuple[Switch, ...], ...]
    """The switches of each exchange."""
    customers: Mapping[str, tuple[CustomerPort, ...]]
    """Exchange to who is plugged in where."""


def build_carriage(context: Context, first_dpid: int) -> Carriage:
    """Everything between the routers at the ends of circuits."""
    rows = sdn_fabrics.begin(context.topology.carriers, first_dpid)
    bench = BridgeBuilder(PLACE, first_dpid + sum(len(row.bench.roles) for row in rows.values()))
    carriers = {
        carrier.name: CarrierNetwork(carrier, bench, context)
        for carrier in context.topology.carriers
        if carrier.name not in rows
    }
    for circuit in context.circuits:
        if circuit.via not in rows:
            _lay(bench, circuit, carriers[circuit.via] if circuit.via is not None else None)
    for name, row in rows.items():
        _cross(bench, row, [circuit for circuit in context.circuits if circuit.via == name])
    networks = {
        name: network for network in carriers.values() for name in (network.core, *network.edges.values())
    }
    return Carriage(
        switches=tuple(networks[s.name].with_flows(s) if s.name in networks else s for s in bench.switches()),
        links=(*bench.links, *(link for row in rows.values() for link in row.bench.links)),
        nodes=tuple(node for network in carriers.values() for node in network.nodes),
        chatter=tuple(traffic for network in carriers.values() for traffic in network.chatter),
        carried=tuple(
            carried_circuit for network in carriers.values() for carried_circuit in network.carried
        ),
        exchanges=tuple(row.bench.switches() for row in rows.values()),
        customers={name: tuple(row.ports) for name, row in rows.items()},
    )


def peering_switch(datacentre: str) -> str:
    """Name of the switch at which a data centre's circuits arrive."""
    return f"{datacentre}{PEERING_SWITCH}"


def line_name(circuit: Circuit) -> str:
    """Name of a circuit's cable between its ends, e.g. `edge-fra1`; a second one gets a number behind it."""
    return f"{circuit.near_router}-{circuit.target}"


def _lay(bench: BridgeBuilder, circuit: Circuit, carrier: CarrierNetwork | None) -> None:
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
    handed = carrier.lay(circuit, (near, far)) if carrier is not None else None
    for (switch, number), (peer, peer_number) in _both_ways((near, lines[0]), (far, lines[1])):
        if handed is not None:
            peer, peer_number = handed[switch != near].device, None
        ends.append(
            bench.add_port(
                switch, number, PortMode.TRUNK, tagged=(circuit.vlan,), trust_dscp=True,
                peer=peer, peer_port=peer_number,
            )
        )  # fmt: skip
    bench.add_link(f"{circuit.near_router}-{near}", own, ends[0], "circuit")
    bench.add_link(line_name(circuit), ends[2], ends[3] if handed is None else handed[0], "circuit")
    if handed is not None:
        bench.add_link(f"{far}-{handed[1].device}", ends[3], handed[1], "circuit")
    bench.add_link(f"{circuit.far_router}-{circuit.near_router}", other, ends[1], "circuit")


def _cross(bench: BridgeBuilder, row: sdn_fabrics.FabricBuilder, circuits: list[Circuit]) -> None:
    """Circuits across an exchange: each site's termination unit at a port of it, each data centre's peering
    switch at one port for all of its circuits."""
    for circuit in circuits:
        near = free_name(f"{circuit.name}-ntu", bench.roles)
        bench.add_switch(near, SwitchRole.CARRIER)
        own = LinkEnd(circuit.near_router, circuit.near_interface)
        handed = _handed_over(bench, near, ROUTER_PORT, circuit.vlan, own)
        entrance = row.plug_in(circuit.label, (circuit.vlan,), last=False, peer=near)
        line = bench.add_port(
            near, LINE_PORT, PortMode.TRUNK, tagged=(circuit.vlan,), trust_dscp=True, peer=entrance.device
        )
        bench.add_link(f"{circuit.near_router}-{near}", own, handed, "circuit")
        bench.add_link(line_name(circuit), line, entrance, "circuit")
    for target in dict.fromkeys(circuit.target for circuit in circuits):
        same_target = [circuit for circuit in circuits if circuit.target == target]
        far, vlans = peering_switch(target), tuple(circuit.vlan for circuit in same_target)
        if far not in bench.roles:
            bench.add_switch(far, SwitchRole.CARRIER)
        exit_ = row.plug_in(target, vlans, last=True, peer=far)
        number = bench.free_port(far, 1)
        line = bench.add_port(far, number, PortMode.TRUNK, tagged=vlans, trust_dscp=True, peer=exit_.device)
        bench.add_link(f"{row.carrier.name}-{target}", exit_, line, "circuit")
        for circuit in same_target:
            other = LinkEnd(circuit.far_router, circuit.far_interface)
            inner = _handed_over(bench, far, bench.free_port(far, 1), circuit.vlan, other)
            bench.add_link(f"{circuit.far_router}-{circuit.near_router}", other, inner, "circuit")
    row.finish()


def _handed_over(bench: BridgeBuilder, switch: str, number: int, vlan: int, router: LinkEnd) -> LinkEnd:
    """The port at which a router is handed its circuit without a tag."""
    return bench.add_port(switch, number, PortMode.ACCESS, vlan=vlan, trust_dscp=True, peer=router.device)


def _both_ways(
    a: tuple[str, int], b: tuple[str, int]
) -> Iterator[tuple[tuple[str, int], tuple[str, int | None]]]:
    yield a, b
    yield b, a
