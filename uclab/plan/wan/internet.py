"""The internet of the lab: providers, the core that joins them, and public servers (W1, V6)."""

from __future__ import annotations

from uclab.model import topology as model
from uclab.plan.lan.sites import DEFAULT, Context
from uclab.plan.resolve import queues
from uclab.plan.resolve.circuits import border_router, customer_named, line_interfaces
from uclab.plan.resolve.names import free_name, link_name
from uclab.plan.schema.plan import EgressQueue, Impairment, Interface, Link, LinkEnd, Node, NodeKind, Route
from uclab.plan.wan import internet_exchanges

CORE, NAME_SERVER, WEB = "inet", "dns", "web"
PUBLIC_SERVERS = (NAME_SERVER, WEB)
PLACE = "internet"


def build_internet(context: Context) -> tuple[tuple[Node, ...], tuple[Link, ...]]:
    """All of it but the data centres' own side; links to sites and data centres included."""
    nodes: list[Node] = []
    links: list[Link] = []
    for provider in context.topology.internet.providers:
        node, lines = _provider(context, provider)
        nodes.append(node)
        links += [*lines, core_link(provider.name, CORE)]
    nodes.append(_core(context))
    for server in PUBLIC_SERVERS:
        nodes.append(_server(context, server))
        links.append(core_link(server, "eth0"))
    return tuple(nodes), tuple(links)


def core_interface(context: Context, neighbour: str, node: str) -> Interface:
    """The neighbour's side of its link to the core."""
    own = context.addresses.core[neighbour][1]
    return Interface(CORE, context.mac(node, CORE), (str(own),))


def core_link(neighbour: str, interface: str) -> Link:
    """A cable between the core and the interface of a neighbour."""
    return Link(f"{neighbour}-{CORE}", LinkEnd(neighbour, interface), LinkEnd(CORE, neighbour), "internet")


def _provider(context: Context, provider: model.Provider) -> tuple[Node, list[Link]]:
    interfaces: list[Interface] = []
    routes: list[Route] = []
    shaped: list[EgressQueue] = []
    impaired: list[Impairment] = []
    links: list[Link] = []
    for site in context.topology.sites:
        for line in site.connections:
            if line.to != provider.name:
                continue
            near, own = context.addresses.wan[site.name, line.name]
            profile = context.line(line)
            name = free_name(site.router.name, ("lo", CORE, *(i.name for i in interfaces)))
            interfaces.append(Interface(name, context.mac(provider.name, name), (str(own),)))
            shares = context.profile.wan_queues
            shaped.append(queues.provider_queue(name, profile, shares))
            end = LinkEnd(site.router.name, line_interfaces(site)[line.name]) if line.modem else None
            impaired.append(queues.impairment(name, profile.down, f"{site.name}/{line.name}/down", end))
            if not site.router.nat:
                routes.append(Route(str(site.prefix), str(near.ip), metric=100 * len(routes)))
            if line.modem is not None:
                continue  # `uclab.plan.lan.modems` lays its cables
            links.append(
                Link(
                    link_name(site.router.name, provider.name, [link.name for link in links]),
                    LinkEnd(site.router.name, line_interfaces(site)[line.name]),
                    LinkEnd(provider.name, name),
                    "wan",
                )
            )
    core = context.addresses.core[provider.name][0]
    node = Node(
        name=provider.name,
        kind=NodeKind.ISP,
        site=PLACE,
        interfaces=(
            *interfaces,
            core_interface(context, provider.name, provider.name),
            *internet_exchanges.interfaces(context, provider.name),
        ),
        routes=(*routes, Route(DEFAULT, str(core.ip))),
        forwarding=True,
        queues=tuple(shaped),
        impairments=tuple(impaired),
        nameservers=context.nameservers,
        routing=internet_exchanges.provider_routing(context, provider),
    )
    return node, links


def _core(context: Context) -> Node:
    """Routes to each provider's customers and to each data centre; whatever else is sent here has nowhere
    to go."""
    addresses, topology = context.addresses.core, context.topology
    routes: list[Route] = []
    learns = internet_exchanges.transit_routing(context)
    if learns is None:
        routes += [Route(str(p.prefix), str(addresses[p.name][1].ip)) for p in topology.internet.providers]
    for region in topology.cloud.regions if learns is None else ():
        routes += [Route(str(dc.prefix), str(addresses[dc.name][1].ip)) for dc in region.datacentres]
    for site in topology.sites:
        if not site.router.nat:
            lines = [line for line in site.connections if (site.name, line.name) in context.addresses.wan]
            routes += [Route(str(site.prefix), str(addresses[line.to][1].ip)) for line in lines[:1]]
    for circuit in context.circuits:
        own = customer_named(topology, circuit.site).public_prefix
        if circuit.kind == "datacentre" and own is not None:
            via = addresses[circuit.target][1]
            routes.append(Route(str(own), str(via.ip), metric=circuit.rank))
    routers = {
        dc.name: border_router(dc.name) for region in topology.cloud.regions for dc in region.datacentres
    }
    return Node(
        name=CORE,
        kind=NodeKind.ROUTER,
        site=PLACE,
        interfaces=tuple(
            Interface(routers.get(name, name), context.mac(CORE, routers.get(name, name)), (str(own),))
            for name, (own, _) in addresses.items()
        ),
        routes=tuple(routes),
        forwarding=True,
        nameservers=context.nameservers,
        routing=learns,
    )


def _server(context: Context, name: str) -> Node:
    core, own = context.addresses.core[name]
    return Node(
        name=name,
        kind=NodeKind.SERVER,
        site=PLACE,
        interfaces=(Interface("eth0", context.mac(name, "eth0"), (str(own),)),),
        routes=(Route(DEFAULT, str(core.ip)),),
        nameservers=context.nameservers,
    )
