"""Load generators on other machines: their place in the topology stays, a network card of this machine is the
cable to them (D11).

What such a generator sends and receives is captured at its access port, twice over: as the port's own tap,
and in place of the tap at the generator itself, which is out of reach. The cable in between is not measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from uclab.plan.load.load_placement import LoadPlan
from uclab.plan.resolve.plan_edits import with_node, with_port
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.network_card import NetworkCard
from uclab.plan.schema.plan import Interface, Link, Node, Plan, Route, Switch, SwitchPort, Tap


@dataclass(frozen=True)
class GeneratorNetworkConfig:
    """What the other machine has to be for the lab: an interface of the voice VLAN with its users' addresses.

    `campaign/<generator>/network.json`."""

    generator: str
    mac: str
    """The one that the access port admits."""
    addresses: tuple[str, ...]
    """Of its users, in CIDR notation."""
    routes: tuple[Route, ...]
    nameservers: tuple[str, ...]
    leader_port: int
    """TCP port of locust's leader."""
    longest_s: float
    """When it gives up, seconds after its start."""


@dataclass(frozen=True)
class RemoteGenerator:
    """A generator on another machine: the node that it would be here, and the card that leads to it."""

    node: Node
    card: NetworkCard
    tap: Tap
    """The one at the generator itself, as a generator here has it."""

    @property
    def name(self) -> str:
        """The generator's name."""
        return self.node.name

    def network_config(self, leader_port: int, longest_s: float) -> GeneratorNetworkConfig:
        """What the other machine is told."""
        (interface,) = self.node.interfaces
        return GeneratorNetworkConfig(
            self.name,
            interface.mac,
            interface.addresses,
            self.node.routes,
            self.node.nameservers,
            leader_port,
            longest_s,
        )


def moved(load_plan: LoadPlan, cards: Mapping[str, str]) -> tuple[LoadPlan, tuple[RemoteGenerator, ...]]:
    """The load_plan without the nodes of those generators, whose access ports are network cards now.

    `cards`: generator to card. PlanError for a generator that there is not, or a card that cannot be a port.
    """
    names = [generator.node for generator in load_plan.generators]
    for name in cards:
        if name not in names:
            raise PlanError(f"no load generator `{name}`; with {len(names)} there are: {', '.join(names)}")
    shared = sorted(card for card in set(cards.values()) if list(cards.values()).count(card) > 1)
    if shared:
        raise PlanError(f"{shared[0]} cannot lead to two load generators: each needs a cable of its own")
    gone: list[RemoteGenerator] = []
    plan = load_plan.plan
    for name, card in cards.items():
        plan, moved = _moved(plan, load_plan.leader, name, card)
        gone.append(moved)
    return replace(load_plan, plan=plan), tuple(gone)


def with_remote_generators(plan: Plan, gone: Sequence[RemoteGenerator]) -> Plan:
    """The plan for the judge: each generator elsewhere is a node with a tap of its own, as if it were
    here."""
    at = {generator.tap.label: generator.tap for generator in gone}
    return replace(
        plan,
        nodes=(*plan.nodes, *(generator.node for generator in gone)),
        taps=tuple(at.get(tap.label, tap) for tap in plan.taps),
    )


def _moved(plan: Plan, leader: str, name: str, card: str) -> tuple[Plan, RemoteGenerator]:
    node = plan.node(name)
    switch, port = _port_of(plan, name)
    if card in {p.interface for s in plan.switches for p in s.ports} | {s.name for s in plan.switches}:
        raise PlanError(f"{card} is also the name of a port or switch of the lab; rename the interface")
    plug = next(link for link in plan.links if _ends(link) == {name, switch.name})
    tap = next(tap for tap in plan.taps if tap.namespace == name)
    plugged = replace(tap, namespace=switch.engine, interface=card)
    plan = _without_management(plan, leader, name)
    plan = with_port(plan, switch.name, replace(port, interface=card))
    own = tuple(interface for interface in node.interfaces if interface.name in _interfaces(plug, name))
    it = NetworkCard(switch.name, port.number, card)

    def at_card(old: Tap) -> Tap:
        here = (old.namespace, old.interface) == (switch.engine, port.interface)
        return plugged if old is tap else replace(old, interface=card) if here else old

    plan = replace(
        plan,
        nodes=tuple(other for other in plan.nodes if other.name != name),
        links=tuple(link for link in plan.links if link is not plug),
        taps=tuple(map(at_card, plan.taps)),
        cards=(*plan.cards, it),
    )
    return plan, RemoteGenerator(replace(node, interfaces=own), it, tap)


def _without_management(plan: Plan, leader: str, name: str) -> Plan:
    """Without the cable between leader and generator: they speak over the machines' own network."""
    cables = [link for link in plan.links if _ends(link) == {leader, name}]
    at_leader = plan.node(leader)
    gone = {interface for cable in cables for interface in _interfaces(cable, leader)}
    kept: tuple[Interface, ...] = tuple(i for i in at_leader.interfaces if i.name not in gone)
    return replace(
        with_node(plan, replace(at_leader, interfaces=kept)),
        links=tuple(link for link in plan.links if link not in cables),
    )


def _port_of(plan: Plan, name: str) -> tuple[Switch, SwitchPort]:
    for switch in plan.switches:
        for port in switch.ports:
            if port.peer == name and switch.controlled:
                return switch, port
    raise PlanError(f"load generator `{name}` is not plugged into a switch of a site: it has to be here")


def _ends(link: Link) -> set[str]:
    return {link.a.device, link.b.device}


def _interfaces(link: Link, device: str) -> set[str]:
    return {end.interface for end in (link.a, link.b) if end.device == device}
