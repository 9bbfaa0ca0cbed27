"""Deliberate faults of private circuits: leaked prefixes, missing filters, too little room, an open
policy at an exchange (P1 to P4, Q2, W5)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

from uclab.plan.lan import drill_rulesets, router_ruleset
from uclab.plan.resolve import queues
from uclab.plan.resolve.plan_edits import with_node
from uclab.plan.schema.fault import pick, registered
from uclab.plan.schema.plan import Node, NodeKind, Plan
from uclab.plan.schema.routing import BgpNeighbour, PrefixRule
from uclab.plan.wan import bgp_routes

ANY = (PrefixRule("0.0.0.0/0", longest=32),)
NARROW_KBPS = 64
"""Less than one call needs."""
FOREIGN_DSCP = 10
"""AF11: a marking of no traffic class of the shipped policy."""


@registered(
    "prefix-leaked",
    "a site's router announces the site's private prefix to the cloud, which refuses it",
    "peering.prefixes",
    blames="edge",
    topology="cloudconnect-simplex-ott",
)
def _prefix_leaked(plan: Plan, target: str | None) -> Plan:
    """`target` is a site's router."""
    return _learned(with_node(plan, _leaking(plan, _customer(plan, target))))


@registered(
    "filter-missing",
    "a peering router takes whatever its customer announces, and a leaked prefix gets into the cloud",
    "peering.prefixes",
    "peering.accepted",
    blames="fra1-cc",
    topology="cloudconnect-simplex-ott",
)
def _filter_missing(plan: Plan, target: str | None) -> Plan:
    """`target` is the router of the site that leaks."""
    router = _customer(plan, target)
    session = _to_cloud(plan, router)[0]
    peer = plan.node(session.device)
    assert peer.routing is not None
    open_ = tuple(replace(s, accept=ANY) if s.device == router.name else s for s in peer.routing.neighbours)
    opened = with_node(plan, replace(peer, routing=replace(peer.routing, neighbours=open_)))
    return _learned(with_node(opened, _leaking(plan, router)))


@registered(
    "circuit-too-narrow",
    "a site's preferred circuit has less room than one call needs",
    "quality.voice",
    "quality.overload",
    may_break=(
        *("audio.heard", "media.srtp", "hub.media", "signalling.registered", "qos.dscp", "qos.pcp"),
        "message.delivered",
    ),
    blames="edge",
    topology="cloudconnect-simplex-ott",
)
def _circuit_too_narrow(plan: Plan, target: str | None) -> Plan:
    """`target` is a site's router. Both ends of the circuit are shaped to a rate that no call fits in."""
    router = _customer(plan, target)
    session = _to_cloud(plan, router)[0]
    peer = plan.node(session.device)
    outer = next(i.name for i in router.interfaces if _faces(i.addresses, session.address))
    line = next(line for line in router.impairments if line.interface == outer)
    far = line.arrives_at.interface if line.arrives_at is not None else ""
    narrow = with_node(plan, _narrowed(router, outer))
    return with_node(narrow, _narrowed(peer, far))


@registered(
    "circuit-opened",
    "an exchange lets any marking into a circuit, and the site's router sends one that is not allowed",
    "circuit.policy",
    blames="sdx1-1",
    topology="sdn-circuits",
)
def _circuit_opened(plan: Plan, target: str | None) -> Plan:
    """`target` is a circuit of an exchange. The router marks its BGP with a class that nobody has."""
    circuits = {c.name: c for e in plan.circuit_exchanges for c in e.circuits}
    circuit = pick(circuits, target, "circuit of an exchange")
    exchanges = tuple(
        replace(
            exchange,
            circuits=tuple(
                replace(c, allowed_dscp=None) if c.name == circuit.name else c for c in exchange.circuits
            ),
        )
        for exchange in plan.circuit_exchanges
    )
    near = {prefix.removesuffix("/32") for prefix in circuit.a.prefixes}
    router = next(n for n in plan.nodes if _addresses(n) & near)
    assert router.routing is not None
    [interface] = [i.name for i in router.interfaces if {a.partition("/")[0] for a in i.addresses} & near]
    marking = drill_rulesets.foreign_marking(interface, router_ruleset.BGP, FOREIGN_DSCP)
    rules = f"{router.nftables or ''}{marking}"
    return with_node(replace(plan, circuit_exchanges=exchanges), replace(router, nftables=rules))


def _customer(plan: Plan, target: str | None) -> Node:
    """A site's router with a circuit to the cloud; who meets the cloud at an exchange has none."""
    shaped = {n.name: n for n in plan.nodes if n.kind is NodeKind.ROUTER and n.impairments}
    fitting = {name: node for name, node in shaped.items() if _to_cloud(plan, node)}
    return pick(fitting, target, "site router with a circuit to the cloud")


def _to_cloud(plan: Plan, router: Node) -> list[BgpNeighbour]:
    """A site router's sessions with peering routers, the preferred one first."""
    sessions = router.routing.neighbours if router.routing is not None else ()
    cloud = {node.name for node in plan.nodes if node.kind is NodeKind.CLOUD_ROUTER}
    return sorted((s for s in sessions if s.device in cloud), key=lambda s: -s.preference)


def _leaking(plan: Plan, router: Node) -> Node:
    """The router, announcing the site's private prefix on its circuits as well."""
    assert router.routing is not None
    inside = (*router.routes, *(router.ospf.learned if router.ospf is not None else ()))
    private = next(route.prefix for route in inside if route.prefix != "0.0.0.0/0")
    cloud = {session.device for session in _to_cloud(plan, router)}
    sessions = tuple(
        replace(s, announce=(*s.announce, PrefixRule(private))) if s.device in cloud else s
        for s in router.routing.neighbours
    )
    networks = tuple(dict.fromkeys((*router.routing.networks, private)))
    return replace(router, routing=replace(router.routing, networks=networks, neighbours=sessions))


def _learned(plan: Plan) -> Plan:
    """The plan with the routes that its routers end up with, which the lab waits for."""
    return replace(plan, nodes=bgp_routes.with_learned(plan.nodes))


def _narrowed(node: Node, interface: str) -> Node:
    shaped = tuple(
        queues.narrowed(queue, NARROW_KBPS) if queue.interface == interface else queue
        for queue in node.queues
    )
    return replace(node, queues=shaped)


def _addresses(node: Node) -> set[str]:
    return {address.partition("/")[0] for interface in node.interfaces for address in interface.addresses}


def _faces(addresses: tuple[str, ...], neighbour: str) -> bool:
    return any(IPv4Address(neighbour) in IPv4Interface(address).network for address in addresses)
