"""`make_plan`: a topology, its policy and its lines become a plan. Pure: no file, no clock, no chance."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from uclab.model.load import LoadedTopology
from uclab.plan import (
    addresses,
    cloud,
    edge,
    endpoints,
    engines,
    hosts,
    internet,
    paths,
    policies,
    sites,
    taps,
)
from uclab.plan.errors import PlanError
from uclab.plan.types import BulkTraffic, Endpoint, Node, Path, Plan, SiteFabric, Switch

OVERLOAD_PCT = 110
"""Bulk traffic is sent at this share of the line's rate: with the calls, about a fifth
too much. Where voice has no queue of its own it loses as much: far beyond all limits, yet it can still be
heard."""


def make_plan(loaded: LoadedTopology) -> Plan:
    """The plan of a loaded topology; always the same one for the same files. PlanError where it cannot be
    planned."""
    topology = loaded.topology
    at_sites = tuple(hosts.site_hosts(site, number) for number, site in enumerate(topology.sites))
    given = addresses.allocate(topology, [h for hs in at_sites for h in hs], internet.PUBLIC_SERVERS)
    context = sites.Context(
        topology=topology,
        profile=loaded.policy,
        policy=policies.resolve(loaded.policy, topology),
        lines=loaded.profiles,
        addresses=given,
        nameservers=(str(given.core[internet.NAME_SERVER][1].ip),),
    )

    parts: list[sites.SiteParts] = []
    dpid = 1
    for site, there in zip(topology.sites, at_sites, strict=True):
        parts.append(sites.build_site(context, site, there, dpid))
        dpid += len(parts[-1].lan.switches)
    internet_nodes, internet_links = internet.build_internet(context)
    tones = endpoints.tones(len(endpoints.topology_endpoints(topology)) + 1)
    phones = endpoints.build_endpoints(context, cloud.session_controller_names(topology), tones[:-1])
    the_cloud = cloud.build_cloud(context, tuple(phone.account for phone in phones), tones[-1], dpid)

    switches, machines = engines.assign([*(part.lan.switches for part in parts), *the_cloud.switches])
    bulk = _bulk(context)
    nodes = (*(node for part in parts for node in part.nodes), *internet_nodes, *the_cloud.nodes)
    nodes = _greedy(context, nodes, bulk)
    _check_names(nodes, switches)
    links = (*(link for part in parts for link in part.links), *internet_links, *the_cloud.links)
    capture = taps.build_taps(links, switches)
    ways = paths.cabling(nodes, links, switches, {p.vlans[0].site: p.lan.root_order for p in parts}, capture)
    return Plan(
        topology=topology.topology,
        title=topology.title,
        policy=context.policy,
        nodes=nodes,
        links=links,
        switches=switches,
        engines=machines,
        vlans=tuple(vlan for part in parts for vlan in part.vlans),
        fabrics=tuple(_fabric(context, part, switches) for part in parts),
        endpoints=phones,
        certificates=the_cloud.certificates,
        name_servers=the_cloud.name_servers,
        session_controllers=the_cloud.session_controllers,
        pstn_peers=the_cloud.pstn_peers,
        bulk=bulk,
        taps=capture,
        paths=_paths(ways, (*phones, *(peer.endpoint for peer in the_cloud.pstn_peers)), the_cloud),
    )


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
    target = parts.session_controllers[0].node
    return tuple(ways.path(phone.name, phone.node, target) for phone in phones)


def _bulk(context: sites.Context) -> tuple[BulkTraffic, ...]:
    """Each site's last PC overloads its first line both ways; a softclient's where there is no other PC."""
    bulk: list[BulkTraffic] = []
    for site in context.topology.sites:
        pcs = [endpoint.pc for endpoint in site.endpoints if endpoint.kind == "desk-phone" and endpoint.pc]
        softclients = [endpoint.name for endpoint in site.endpoints if endpoint.kind == "softclient"]
        if not pcs and not softclients:
            continue
        source = (pcs or softclients)[-1]
        line = context.lines[site.connections[0].profile]
        target = str(context.addresses.core[internet.WEB][1].ip)
        up, down = (d.rate_kbps * OVERLOAD_PCT // 100 for d in (line.up, line.down))
        bulk += [
            BulkTraffic(f"{site.name}-up", source, internet.WEB, target, up, "up"),
            BulkTraffic(f"{site.name}-down", source, internet.WEB, target, down, "down"),
        ]
    return tuple(bulk)


def _greedy(
    context: sites.Context, nodes: tuple[Node, ...], bulk: tuple[BulkTraffic, ...]
) -> tuple[Node, ...]:
    """The sources of bulk mark it as voice: a verdict on the trust boundary needs someone who abuses it
    (C8)."""
    targets = {b.source_node: f"ip daddr {b.target_address}" for b in bulk}
    dscp = context.policy.voice_dscp
    return tuple(
        replace(node, nftables=edge.greedy_device(targets[node.name], dscp)) if node.name in targets else node
        for node in nodes
    )


def _check_names(nodes: tuple[Node, ...], switches: tuple[Switch, ...]) -> None:
    """Devices that the plan adds (`inet`, `dns`, `web`, `pstn`, `...-sw`, `...-br`, `...-sbc`) must not
    meet the user's."""
    names = Counter([node.name for node in nodes] + [switch.name for switch in switches])
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise PlanError(
            f"device name {', '.join(twice)}: the lab needs this name for a device of its own; rename yours"
        )
