"""A site's nodes and cables inside its router: hosts, switches, firewall (N1, N3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from uclab.kinds.cloud_service import service_ports
from uclab.kinds.user_agent import USER_AGENTS
from uclab.model import topology as model
from uclab.model.link_degradation import under
from uclab.model.policy import PolicyProfile
from uclab.model.profile import LinkProfile
from uclab.plan.lan import firewall, router_ruleset, wireless
from uclab.plan.lan.home_lan import build_home_lan
from uclab.plan.lan.switching import Lan, build_lan
from uclab.plan.resolve.addresses import Addresses
from uclab.plan.resolve.circuits import INSIDE, Circuit
from uclab.plan.resolve.hosts import Host
from uclab.plan.resolve.names import free_name, mac_address
from uclab.plan.resolve.policies import driver_of, names_dscp, registrar_port
from uclab.plan.schema.firewall import FirewallRules, Zone
from uclab.plan.schema.plan import Interface, Link, LinkEnd, Node, NodeKind, Policy, Route, Vlan
from uclab.plan.schema.radio_channel import RadioChannel
from uclab.plan.schema.routing import Ospf

DEFAULT = "0.0.0.0/0"
OUTSIDE = "wan"
"""The firewall's interface towards the router."""


@dataclass(frozen=True)
class Context:
    """What all passes over the topology need."""

    topology: model.Topology
    profile: PolicyProfile
    policy: Policy
    lines: Mapping[str, LinkProfile]
    addresses: Addresses
    circuits: tuple[Circuit, ...]
    nameservers: tuple[str, ...]

    def line(self, connection: model.Connection) -> LinkProfile:
        """How a connection's line behaves: its profile under its conditions."""
        return under(self.lines[connection.profile], connection.conditions)

    def mac(self, device: str, interface: str) -> str:
        """MAC address of a node's interface."""
        return mac_address(self.topology.topology, device, interface)


@dataclass(frozen=True)
class SiteParts:
    """What one site adds to the plan."""

    nodes: tuple[Node, ...]
    lan: Lan
    links: tuple[Link, ...]
    vlans: tuple[Vlan, ...]
    airs: tuple[RadioChannel, ...] = ()


def build_site(context: Context, site: model.Site, hosts: tuple[Host, ...], first_dpid: int) -> SiteParts:
    """All of a site but its router and what is beyond it."""
    if site.home_router is not None:
        nodes_at_home = tuple(_host(context, site, host) for host in hosts)
        at_home = build_home_lan(site, hosts, first_dpid)
        return SiteParts(nodes_at_home, at_home, at_home.links, site_vlans(context, site))
    zones = zone_interfaces(site)
    macs = {(host.name, "eth0"): context.mac(host.name, "eth0") for host in hosts}
    macs |= {(site.firewall.name, zone): context.mac(site.firewall.name, zone) for zone in zones.values()}
    lan = build_lan(site, hosts, macs, zones, first_dpid)
    marked = (wireless.with_flows(switch, context.profile, context.policy) for switch in lan.switches)
    lan = replace(lan, switches=tuple(marked))
    airs, in_the_air = wireless.build_air(site, hosts, context.lines, context.mac)
    nodes = [_host(context, site, host) for host in hosts]
    nodes += [*in_the_air, _firewall(context, site, zones)]
    transit = Link(
        f"{site.firewall.name}-{site.router.name}",
        LinkEnd(site.firewall.name, OUTSIDE),
        LinkEnd(site.router.name, INSIDE),
        "lan",
    )
    return SiteParts(tuple(nodes), lan, (*lan.links, transit), site_vlans(context, site), airs)


def zone_interfaces(site: model.Site) -> dict[str, str]:
    """VLAN name to the firewall's interface there: the VLAN's own name wherever that is free."""
    zones: dict[str, str] = {}
    for vlan in site.vlans:
        zones[vlan.name] = free_name(vlan.name, ("lo", OUTSIDE, *zones.values()))
    return zones


def site_vlans(context: Context, site: model.Site) -> tuple[Vlan, ...]:
    """The site's VLANs with their gateways."""
    return tuple(
        Vlan(
            id=vlan.id,
            name=vlan.name,
            role="home" if site.home_router is not None else vlan.role,
            site=site.name,
            subnet=str(vlan.subnet),
            gateway=str(context.addresses.gateways[site.name, vlan.name].ip),
        )
        for vlan in site.vlans
    )


def _host(context: Context, site: model.Site, host: Host) -> Node:
    address = context.addresses.hosts[host.name]
    gateway = context.addresses.gateways[site.name, host.vlan.name].ip
    rules = None
    cloud = context.topology.cloud
    if host.endpoint is not None and not USER_AGENTS[driver_of(host.endpoint, context.profile, cloud)].marks:
        policy, port = context.policy, registrar_port(host.endpoint, context.profile)
        rules = router_ruleset.device_marking(
            port, policy.media_ports, policy.signalling_dscp, policy.voice_dscp, names_dscp(policy)
        )
    return Node(
        name=host.name,
        kind=host.kind,
        site=site.name,
        interfaces=(Interface("eth0", context.mac(host.name, "eth0"), (str(address),)),),
        routes=(Route(DEFAULT, str(gateway)),),
        nftables=rules,
        nameservers=context.nameservers,
    )


def _firewall(context: Context, site: model.Site, zones: Mapping[str, str]) -> Node:
    name = site.firewall.name
    near, far = context.addresses.transit[site.name]
    inside = [
        Interface(
            zones[vlan.name],
            context.mac(name, zones[vlan.name]),
            (str(context.addresses.gateways[site.name, vlan.name]),),
            zone=vlan.name,
        )
        for vlan in site.vlans
    ]
    inner = site.router.routing == "ospf"
    rules = FirewallRules(
        zones=tuple(Zone(zones[vlan.name], vlan.role, str(vlan.subnet)) for vlan in site.vlans),
        outside=OUTSIDE,
        transit=str(near.network),
        router=str(far.ip),
        resolvers=context.nameservers,
        ospf=inner,
        cloud_ports=service_ports(server.service for server in context.topology.cloud.services),
    )
    return Node(
        name=name,
        kind=NodeKind.FIREWALL,
        site=site.name,
        interfaces=(*inside, Interface(OUTSIDE, context.mac(name, OUTSIDE), (str(near),), zone=OUTSIDE)),
        routes=() if inner else (Route(DEFAULT, str(far.ip)),),
        forwarding=True,
        sysctls=(*udp_timeouts(context.policy), ("net.ipv4.conf.all.rp_filter", "1")),
        firewall=rules,
        nftables=firewall.ruleset(rules, context.policy),
        nameservers=context.nameservers,
        ospf=Ospf(str(near.ip), (OUTSIDE,), silent=tuple(zones.values())) if inner else None,
    )


def udp_timeouts(policy: Policy) -> tuple[tuple[str, str], ...]:
    """A binding must outlive the time between two registrations of a phone (provider policy)."""
    seconds = str(policy.nat_udp_timeout_s)
    return (
        ("net.netfilter.nf_conntrack_udp_timeout", seconds),
        ("net.netfilter.nf_conntrack_udp_timeout_stream", seconds),
    )
