"""`make_plan`: a topology, its policy and its lines become a plan. Pure: no file, no clock, no chance."""

from __future__ import annotations

from collections import Counter

from uclab.model.load import LoadedTopology
from uclab.plan.cloud import cloud, cloud_servers
from uclab.plan.cloud.datacentres import session_controller_names
from uclab.plan.lan import endpoints, modems, sites
from uclab.plan.paths import paths
from uclab.plan.resolve import addresses, circuits, hosts, policies, taps, vswitchd_placement
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.plan import Endpoint, Node, Path, Plan, SiteFabric, Switch
from uclab.plan.traffic import overload
from uclab.plan.wan import (
    bgp_routes,
    circuit_handoff,
    internet,
    internet_exchanges,
    link_monitors,
    ospf,
    schedules,
    sdn_fabrics,
    site_router,
)
from uclab.plan.wan.sdwan import overlays, routers


def make_plan(loaded: LoadedTopology) -> Plan:
    """The plan of a loaded topology; always the same one for the same files. PlanError where it cannot be
    planned."""
    topology = loaded.topology
    at_sites = tuple(hosts.site_hosts(site, number) for number, site in enumerate(topology.sites))
    private = circuits.circuits_of(topology)
    given = addresses.allocate(topology, [h for hs in at_sites for h in hs], internet.PUBLIC_SERVERS, private)
    context = sites.Context(
        topology=topology,
        profile=loaded.policy,
        policy=policies.resolve(loaded.policy, topology),
        lines=loaded.profiles,
        addresses=given,
        circuits=private,
        nameservers=(str(given.core[internet.NAME_SERVER][1].ip),),
    )

    parts: list[sites.SiteParts] = []
    dpid = 1
    for site, hosts_of_site in zip(topology.sites, at_sites, strict=True):
        parts.append(sites.build_site(context, site, hosts_of_site, dpid))
        dpid += len(parts[-1].lan.switches)
    internet_nodes, internet_links = internet.build_internet(context)
    tones = endpoints.tones(len(endpoints.topology_endpoints(topology)) + 1)
    phones = endpoints.build_endpoints(context, session_controller_names(topology), tones[:-1])
    the_cloud = cloud.build_cloud(context, tuple(phone.account for phone in phones), tones[-1], dpid)
    carried = circuit_handoff.build_carriage(context, dpid + sum(map(len, the_cloud.switches)))
    before = sum(map(len, (*the_cloud.switches, carried.switches, *carried.exchanges)))
    bridged = modems.build_modems(topology, dpid + before)
    met = internet_exchanges.build_exchanges(context, dpid + before + len(bridged.switches))

    places = [
        *(part.lan.switches for part in parts),
        *the_cloud.switches,
        carried.switches,
        *carried.exchanges,
        bridged.switches,
        met.switches,
    ]
    switches, machines = vswitchd_placement.assign(places)
    bulk = overload.bulk(context)
    overlaid = overlays.build_overlays(context)
    edges = {overlay.site: overlay for overlay in overlaid}
    at_site: list[Node] = []
    for part, site in zip(parts, topology.sites, strict=True):
        router = site_router.build_router(context, site)
        own = edges.get(site.name)
        at_site += [*part.nodes, routers.edge_router(router, own) if own is not None else router]
    gateways = circuits.gateways_of(topology)
    hand_over = [routers.gateway_router(context, gateway, overlaid) for gateway in gateways]
    outside = (*internet_nodes, *the_cloud.nodes, *hand_over, *carried.nodes, *met.nodes)
    nodes = overload.greedy(context, (*at_site, *outside), bulk)
    nodes = ospf.with_learned(bgp_routes.with_learned(nodes))
    _check_names(nodes, switches)
    inside = [link for part in parts for link in part.links]
    to_internet = [routers.gateway_link(gateway) for gateway in gateways]
    beyond = (*carried.links, *to_internet, *bridged.links, *met.links)
    links = (*inside, *internet_links, *the_cloud.links, *beyond)
    passed = (*links, *overlays.tunnel_links(overlaid))
    capture = taps.build_taps(passed, switches)
    crossed = tuple(
        sdn_fabrics.build_exchange(context, carrier, carried.customers[carrier.name], switches)
        for carrier in topology.carriers
        if carrier.name in carried.customers
    )
    root_orders = {p.vlans[0].site: p.lan.root_order for p in parts}
    airs = tuple(air for part in parts for air in part.airs)
    ways = paths.cabling(nodes, passed, switches, root_orders, capture, crossed, airs)
    plan = Plan(
        topology=topology.topology,
        title=topology.title,
        policy=context.policy,
        nodes=nodes,
        links=links,
        switches=switches,
        engines=machines,
        vlans=tuple(vlan for part in parts for vlan in part.vlans),
        fabrics=tuple(_fabric(context, part, switches) for part in parts if part.lan.root_order),
        endpoints=phones,
        certificates=(*the_cloud.certificates, *overlays.overlay_certificates(context, overlaid)),
        name_servers=the_cloud.name_servers,
        session_controllers=the_cloud.session_controllers,
        pstn_peers=the_cloud.pstn_peers,
        bulk=bulk,
        taps=capture,
        chatter=carried.chatter,
        carried=carried.carried,
        paths=_paths(ways, (*phones, *(peer.endpoint for peer in the_cloud.pstn_peers)), the_cloud),
        overlays=overlaid,
        schedules=schedules.build_schedules(context, loaded.traces, nodes, links),
        circuit_exchanges=crossed,
        airs=airs,
        line_watches=link_monitors.build_watches(context, tuple(at_site)),
        cloud_servers=the_cloud.cloud_servers,
    )
    return cloud_servers.completed(plan)


def _fabric(context: sites.Context, part: sites.SiteParts, switches: tuple[Switch, ...]) -> SiteFabric:
    site = part.vlans[0].site
    return SiteFabric(
        site=site,
        switches=tuple(switch for switch in switches if switch.site == site and switch.controlled),
        vlans=part.vlans,
        policy=context.policy,
        root_order=part.lan.root_order,
    )


def _paths(ways: paths.Cabling, phones: tuple[Endpoint, ...], parts: cloud.CloudParts) -> tuple[Path, ...]:
    target = parts.session_controllers[0].address
    return tuple(ways.path(phone.name, phone.node, target) for phone in phones)


def _check_names(nodes: tuple[Node, ...], switches: tuple[Switch, ...]) -> None:
    """Devices that the plan adds (`inet`, `dns`, `web`, `pstn`, `...-sw`, `...-br`, `...-sbc`) must not
    meet the user's."""
    names = Counter([node.name for node in nodes] + [switch.name for switch in switches])
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise PlanError(
            f"device name {', '.join(twice)}: the lab needs this name for a device of its own; rename yours"
        )
