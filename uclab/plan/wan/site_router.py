"""A site's edge router: its ways out in order of preference, translation, queues, and BGP on private circuits
(N2, V1, V2, V5, P1 to P4)."""

from __future__ import annotations

from uclab.model import topology as model
from uclab.model.home import LAN
from uclab.plan.lan import modems, router_ruleset
from uclab.plan.lan.sites import DEFAULT, Context, udp_timeouts
from uclab.plan.resolve import queues
from uclab.plan.resolve.circuits import INSIDE, Circuit, line_interfaces
from uclab.plan.schema.plan import EgressQueue, Impairment, Interface, LinkEnd, Node, NodeKind, Route
from uclab.plan.schema.routing import Ospf
from uclab.plan.wan import bgp_sessions

STEP = 100
"""Between the metrics of a site's default routes, the preferred line's being the lowest."""
FLOATING = 200 << 24
"""Added to a default route's metric where BGP may bring a better one: zebra takes a kernel route's
administrative distance from the top byte of its metric (FRR, zebra/rt_netlink.c), and 200 is behind BGP's."""


def build_router(context: Context, site: model.Site) -> Node:
    """The router with all its interfaces."""
    name = site.router.name
    firewall_address, own = context.addresses.transit[site.name]
    insides, exits = [INSIDE], []
    outer: list[Interface] = []
    shaped: list[EgressQueue] = []
    impaired: list[Impairment] = []
    at_home = site.home_router is not None
    own = context.addresses.gateways[site.name, LAN] if at_home else own
    inner = site.router.routing == "ospf"
    routes = [] if at_home or inner else [Route(str(site.prefix), str(firewall_address.ip))]
    starting = {c.name: c for c in context.circuits if c.site == site.name}
    floating = FLOATING if any(c.kind == "site" for c in starting.values()) else 0
    for number, line in enumerate(site.connections):
        interface = line_interfaces(site)[line.name]
        profile = context.line(line)
        circuit = starting.get(line.name)
        if circuit is None:
            near, far = context.addresses.wan[site.name, line.name]
            routes.append(Route(DEFAULT, str(far.ip), metric=floating + STEP * number))
        else:
            near, far = context.addresses.circuits[site.name, line.name]
        outer.append(Interface(interface, context.mac(name, interface), (str(near),)))
        peer = str(far.ip) if circuit is not None else None
        exits.append(router_ruleset.Exit(interface, _becomes(site, circuit), peer))
        shaped.append(queues.site_queue(interface, profile.up.rate_kbps, context.profile.wan_queues))
        arrives_at = LinkEnd(circuit.far_router, circuit.far_interface) if circuit is not None else None
        if line.modem is not None:
            arrives_at = modems.far_end(context.topology, site, line)
        seed = f"{site.name}/{line.name}/up"
        impaired.append(queues.impairment(interface, profile.up, seed, arrives_at))
    ending = [c for c in context.circuits if c.kind == "site" and c.target == site.name]
    for circuit in ending:
        _, near = context.addresses.circuits[circuit.site, circuit.name]
        interface, profile = circuit.far_interface, context.line(circuit.line)
        insides.append(interface)
        outer.append(Interface(interface, context.mac(name, interface), (str(near),)))
        shaped.append(queues.provider_queue(interface, profile, context.profile.wan_queues))
        arrives_at = LinkEnd(circuit.near_router, circuit.near_interface)
        seed = f"{circuit.site}/{circuit.name}/down"
        impaired.append(queues.impairment(interface, profile.down, seed, arrives_at))
    behind = bgp_sessions.prefixes_behind(context, site)
    interfaces = (Interface(INSIDE, context.mac(name, INSIDE), (str(own),)), *outer)
    return Node(
        name=name,
        kind=NodeKind.ROUTER,
        site=site.name,
        interfaces=interfaces,
        routes=tuple(routes),
        forwarding=True,
        sysctls=udp_timeouts(context.policy),
        nftables=router_ruleset.edge_rules(insides, exits, behind, context.policy, classify=at_home),
        translations=router_ruleset.translations(exits, interfaces),
        queues=tuple(shaped),
        impairments=tuple(impaired),
        nameservers=context.nameservers,
        routing=bgp_sessions.site_routing(context, site),
        ospf=Ospf(str(own.ip), (INSIDE,), leads_out=True) if inner else None,
    )


def _becomes(site: model.Site, circuit: Circuit | None) -> str | None:
    """What a site's addresses become on a line: they stay what they are towards another site."""
    if circuit is None:
        return "masquerade" if site.router.nat else None
    if circuit.kind == "site" or site.public_prefix is None:
        return None
    return str(next(site.public_prefix.hosts()))
