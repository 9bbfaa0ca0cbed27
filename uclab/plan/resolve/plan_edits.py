"""A plan with one part replaced: plans are immutable, and a switch stands in more than one place of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from uclab.plan.schema.plan import Endpoint, Node, Plan, Switch, SwitchPort, SwitchRole


def with_node(plan: Plan, node: Node) -> Plan:
    """The plan with the node of that name replaced."""
    return replace(plan, nodes=tuple(node if old.name == node.name else old for old in plan.nodes))


def with_endpoint(plan: Plan, endpoint: Endpoint) -> Plan:
    """The plan with the endpoint of that name replaced."""
    return replace(
        plan, endpoints=tuple(endpoint if old.name == endpoint.name else old for old in plan.endpoints)
    )


def with_port(plan: Plan, switch: str, port: SwitchPort) -> Plan:
    """The plan with one switch port replaced, in the list of switches and in the controller's fabric."""

    return _with_ports(
        plan, switch, lambda ports: tuple(port if p.number == port.number else p for p in ports)
    )


def with_new_port(plan: Plan, switch: str, port: SwitchPort) -> Plan:
    """The plan with one more port at a switch, in the list of switches and in the controller's fabric."""
    return _with_ports(plan, switch, lambda ports: (*ports, port))


def _with_ports(
    plan: Plan, switch: str, change: Callable[[tuple[SwitchPort, ...]], tuple[SwitchPort, ...]]
) -> Plan:
    def changed(switches: Iterable[Switch]) -> tuple[Switch, ...]:
        return tuple(replace(old, ports=change(old.ports)) if old.name == switch else old for old in switches)

    fabrics = tuple(replace(fabric, switches=changed(fabric.switches)) for fabric in plan.fabrics)
    return replace(plan, switches=changed(plan.switches), fabrics=fabrics)


def with_switch(plan: Plan, switch: Switch) -> Plan:
    """The plan with a switch replaced that has no controller."""
    return replace(plan, switches=tuple(switch if old.name == switch.name else old for old in plan.switches))


def port_towards(plan: Plan, peer: str) -> tuple[Switch, SwitchPort]:
    """The site switch's port that a node or a phone is plugged into, of a wireless one that of its access
    point; KeyError where there is none."""
    point = next((air.access_point for air in plan.airs if any(s.node == peer for s in air.stations)), None)
    for switch in plan.switches:
        for port in switch.ports:
            serves = switch.controlled or switch.role is SwitchRole.HOME
            if serves and port.peer in ((point,) if point else (peer, f"{peer}-sw")):
                return switch, port
    raise KeyError(f"{peer} is not plugged into a switch of a site")
