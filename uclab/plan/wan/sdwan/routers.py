"""Routers at both ends of an overlay: the site's edge, and the gateway that hands over to the cloud by a
circuit of its own (W6, P1 to P4)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface

from uclab.model.sdwan import SdWanGateway
from uclab.plan.lan import router_ruleset
from uclab.plan.lan.sites import DEFAULT, Context, udp_timeouts
from uclab.plan.resolve import queues
from uclab.plan.resolve.circuits import CUSTOMER_SIDE, Circuit
from uclab.plan.schema.overlay import Overlay, TunnelEnd
from uclab.plan.schema.plan import Interface, Link, LinkEnd, Node, NodeKind, Route
from uclab.plan.wan import bgp_sessions
from uclab.plan.wan.internet import CORE, core_interface, core_link
from uclab.plan.wan.sdwan.rulesets import edge_ruleset, gateway_ruleset
from uclab.plan.wan.site_router import STEP

UNDERLAY = 1000
"""Added to the metrics of default routes over underlays: only tunnels use them, bound to their interface."""


def edge_router(router: Node, overlay: Overlay) -> Node:
    """The site's router with tunnels: its site's default routes lead into them, the preferred one first."""
    plain = [r if r.prefix != DEFAULT else replace(r, metric=r.metric + UNDERLAY) for r in router.routes]
    inner = [
        Route(DEFAULT, _ip(tunnel.far.address), metric=STEP * number)
        for number, tunnel in enumerate(overlay.tunnels)
    ]
    ends = tuple(_interface(tunnel.near) for tunnel in overlay.tunnels)
    return replace(
        router,
        interfaces=(*router.interfaces, *ends),
        routes=(*plain, *inner),
        nftables=edge_ruleset(overlay),
        translations=(),
        neighbours=tuple(_neighbour(tunnel.near, tunnel.far) for tunnel in overlay.tunnels),
    )


def gateway_router(context: Context, gateway: SdWanGateway, overlays: tuple[Overlay, ...]) -> Node:
    """The gateway: tunnels inside, the circuit to the cloud and the internet outside."""
    served = [overlay for overlay in overlays if overlay.gateway == gateway.name]
    name, circuit = gateway.name, _circuit(context, gateway)
    near, far = context.addresses.circuits[name, name]
    profile = context.line(circuit.line)
    behind: dict[str, list[str]] = {}
    routes = [Route(DEFAULT, str(context.addresses.core[name][0].ip))]
    for overlay in served:
        site = next(s for s in context.topology.sites if s.name == overlay.site)
        behind[overlay.site] = [str(site.prefix)]
        routes += [
            Route(str(site.prefix), _ip(tunnel.near.address), metric=STEP * number)
            for number, tunnel in enumerate(overlay.tunnels)
        ]
    exits = [
        router_ruleset.Exit(CUSTOMER_SIDE, str(next(gateway.public_prefix.hosts())), str(far.ip)),
        router_ruleset.Exit(CORE, "masquerade"),
    ]
    arrives_at = LinkEnd(circuit.far_router, circuit.far_interface)
    interfaces = (
        core_interface(context, name, name),
        Interface(CUSTOMER_SIDE, context.mac(name, CUSTOMER_SIDE), (str(near),)),
        *(_interface(tunnel.far) for overlay in served for tunnel in overlay.tunnels),
    )
    return Node(
        name=name,
        kind=NodeKind.CLOUD_ROUTER,
        site=name,
        interfaces=interfaces,
        routes=tuple(routes),
        forwarding=True,
        sysctls=udp_timeouts(context.policy),
        nftables=gateway_ruleset(served, exits, behind, context.policy),
        translations=router_ruleset.translations(exits, interfaces),
        queues=(queues.site_queue(CUSTOMER_SIDE, profile.up.rate_kbps, context.profile.wan_queues),),
        impairments=(queues.impairment(CUSTOMER_SIDE, profile.up, f"{name}/{name}/up", arrives_at),),
        nameservers=context.nameservers,
        neighbours=tuple(_neighbour(t.far, t.near) for overlay in served for t in overlay.tunnels),
        routing=bgp_sessions.gateway_routing(context, gateway, circuit),
    )


def gateway_link(gateway: SdWanGateway) -> Link:
    """Its cable to the internet."""
    return core_link(gateway.name, CORE)


def _circuit(context: Context, gateway: SdWanGateway) -> Circuit:
    return next(c for c in context.circuits if c.site == gateway.name)


def _neighbour(own: TunnelEnd, other: TunnelEnd) -> tuple[str, str, str]:
    """The only neighbour in a tunnel, known for good: an ARP request there has no DSCP to copy, would wait
    with bulk on a full line, and that would drop calls."""
    return own.interface, _ip(other.address), other.mac


def _interface(end: TunnelEnd) -> Interface:
    return Interface(end.interface, end.mac, (end.address,))


def _ip(address: str) -> str:
    return str(IPv4Interface(address).ip)
