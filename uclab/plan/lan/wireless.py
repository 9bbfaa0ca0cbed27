"""Wi-Fi at a site: access points, wireless stations and the air between them (N4, V7, V9, W7, Q1).

An access point is a switch with a wired port and a radio. A station's wireless adapter is a small switch,
too, as a desk phone has one. Both choose the user priority of what they send into the air from its DSCP by
the policy's map (RFC 8325); towards the wire the access point sets the 802.1p priority by the same policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from uclab.model import topology as model
from uclab.model.link_degradation import under
from uclab.model.policy import PolicyProfile
from uclab.model.profile import LinkProfile
from uclab.plan.lan.bridges import BridgeBuilder
from uclab.plan.resolve import queues
from uclab.plan.resolve.hosts import Host
from uclab.plan.resolve.names import free_name
from uclab.plan.schema.flows import (
    ARP,
    IPV4,
    POP_TAG,
    UNTAGGED,
    FlowAction,
    Match,
    SwitchFlow,
    push_tag,
    set_pcp,
)
from uclab.plan.schema.plan import Interface, LinkEnd, Node, NodeKind, Policy, PortMode, Switch, SwitchRole
from uclab.plan.schema.radio_channel import RadioChannel, Station

WIRE, RADIO = 1, 2
"""Ports of an access point."""
ADAPTER_RADIO, ADAPTER_SELF = 1, 2
"""Ports of a station's wireless adapter."""
TO_ACCESS_POINT = "ap"
"""The air's interface towards its access point; those towards stations have their names."""
SSID_ROLES = ("voice", "data")
"""An access point has an SSID for each VLAN of these roles, and for those that its stations choose."""
LEAST_QUEUE_PACKETS, MOST_QUEUE_PACKETS = 40, 400


def air_node(access_point: str) -> str:
    """Name of the node that stands for an access point's air."""
    return f"{access_point}-air"


def adapter(station: str) -> str:
    """Name of a station's wireless adapter."""
    return f"{station}-sw"


def stations_of(access_point: str, hosts: Iterable[Host]) -> list[Host]:
    """The hosts at an access point."""
    return [host for host in hosts if host.access_point == access_point]


def ssid_vlans(site: model.Site, stations: Iterable[Host]) -> tuple[int, ...]:
    """The VLANs that an access point carries, in the order of the file."""
    chosen = {host.vlan.id for host in stations}
    return tuple(vlan.id for vlan in site.vlans if vlan.role in SSID_ROLES or vlan.id in chosen)


def station_interfaces(stations: Iterable[Host]) -> dict[str, str]:
    """Station to the air's interface towards it: its name wherever that is free."""
    names: dict[str, str] = {}
    for host in stations:
        names[host.name] = free_name(host.name, ("lo", TO_ACCESS_POINT, *names.values()))
    return names


def plug_in(
    bench: BridgeBuilder, site: model.Site, hosts: Iterable[Host], macs: Mapping[tuple[str, str], str]
) -> None:
    """Access points and adapters with their ports and cables.

    The access switch does not believe the marks of an access point: phones and laptops share that cable, so
    it classifies by the policy's ports. Each station's MAC address is permitted there in its VLAN.
    """
    hosts = tuple(hosts)
    for point in site.access_points:
        stations = stations_of(point.name, hosts)
        vlans, air = ssid_vlans(site, stations), air_node(point.name)
        switch, number = point.port.split("/")
        bench.add_switch(point.name, SwitchRole.ACCESS_POINT)
        wire = bench.add_port(
            point.name,
            WIRE,
            PortMode.TRUNK,
            tagged=vlans,
            trust_dscp=True,
            peer=switch,
            peer_port=int(number),
        )
        allowed = tuple((host.vlan.id, macs[host.name, "eth0"]) for host in stations)
        below = bench.add_port(
            switch, int(number), PortMode.TRUNK, tagged=vlans, allowed=allowed, peer=point.name
        )
        bench.add_link(f"{point.name}-{switch}", wire, below, "lan")
        radio = bench.add_port(point.name, RADIO, PortMode.TRUNK, tagged=vlans, trust_dscp=True, peer=air)
        bench.add_link(f"{point.name}-radio", radio, LinkEnd(air, TO_ACCESS_POINT), "air")
        for name, interface in station_interfaces(stations).items():
            host = next(host for host in stations if host.name == name)
            _plug_in_station(bench, point.name, host, interface)


def _plug_in_station(bench: BridgeBuilder, access_point: str, host: Host, interface: str) -> None:
    own, vlan = adapter(host.name), host.vlan.id
    bench.add_switch(own, SwitchRole.STATION)
    inner = bench.add_port(own, ADAPTER_SELF, PortMode.ACCESS, vlan=vlan, trust_dscp=True, peer=host.name)
    bench.add_link(f"{host.name}-{own}", LinkEnd(host.name, "eth0"), inner, "lan")
    air = air_node(access_point)
    outer = bench.add_port(own, ADAPTER_RADIO, PortMode.TRUNK, tagged=(vlan,), trust_dscp=True, peer=air)
    bench.add_link(f"{host.name}-{access_point}", outer, LinkEnd(air, interface), "air")


def with_flows(switch: Switch, profile: PolicyProfile, policy: Policy) -> Switch:
    """An access point or adapter with its flows; any other switch as it is."""
    shares = profile.wan_queues
    wifi = Marks(policy.dscp_to_up, queues.control_code(shares, policy.up))
    wired = Marks(policy.dscp_to_pcp, queues.control_code(shares, policy.pcp))
    if switch.role is SwitchRole.ACCESS_POINT:
        vlans = switch.ports[0].tagged
        flows = [*_bridged(WIRE, RADIO, vlans, wifi), *_bridged(RADIO, WIRE, vlans, wired)]
    elif switch.role is SwitchRole.STATION:
        vlan = switch.ports[0].tagged[0]
        flows = [*_marked(ADAPTER_SELF, ADAPTER_RADIO, UNTAGGED, wifi, push_tag(vlan))]
        flows.append(SwitchFlow(10, ADAPTER_SELF, Match(ADAPTER_RADIO, vlan), (POP_TAG,)))
    else:
        return switch
    return replace(switch, flows=tuple(flows))


@dataclass(frozen=True)
class Marks:
    """How frames are marked: by DSCP, ARP with a mark of its own, all else with 0."""

    by_dscp: tuple[tuple[int, int], ...]
    arp: int


def _bridged(in_port: int, out_port: int, vlans: Iterable[int], marks: Marks) -> Iterator[SwitchFlow]:
    for vlan in vlans:
        yield from _marked(in_port, out_port, vlan, marks)


def _marked(
    in_port: int, out_port: int, vlan: int, marks: Marks, before: tuple[FlowAction, ...] = ()
) -> Iterator[SwitchFlow]:
    """Flows of one VLAN (0: untagged), or of an untagged port with actions `before` the mark."""

    def flow(priority: int, mark: int, eth_type: int | None = None, dscp: int | None = None) -> SwitchFlow:
        match = Match(in_port, vlan, eth_type=eth_type, ip_dscp=dscp)
        return SwitchFlow(priority, out_port, match, (*before, set_pcp(mark)))

    yield from (flow(20, mark, IPV4, dscp) for dscp, mark in marks.by_dscp)
    yield flow(20, marks.arp, ARP)
    yield flow(10, 0)


def build_air(
    site: model.Site,
    hosts: Iterable[Host],
    lines: Mapping[str, LinkProfile],
    mac: Callable[[str, str], str],
) -> tuple[tuple[RadioChannel, ...], tuple[Node, ...]]:
    """The air of each access point, and the nodes that stand for it. `mac` gives an interface's address."""
    airs, nodes = [], []
    hosts = tuple(hosts)
    for point in site.access_points:
        stations = stations_of(point.name, hosts)
        interfaces, name = station_interfaces(stations), air_node(point.name)
        profile = under(lines[point.profile], point.conditions)
        airs.append(
            RadioChannel(
                node=name,
                access_point=point.name,
                interface=TO_ACCESS_POINT,
                stations=tuple(
                    Station(interfaces[host.name], host.name, mac(host.name, "eth0"), host.vlan.id)
                    for host in stations
                ),
                up_kbps=profile.up.rate_kbps,
                down_kbps=profile.down.rate_kbps,
                up=queues.impairment("up", profile.up, f"{point.name} up"),
                down=queues.impairment("down", profile.down, f"{point.name} down"),
                queue_packets=_queue_packets(profile),
            )
        )
        # Not a router, but on the way: whoever looks whether something is reachable passes it.
        own = (TO_ACCESS_POINT, *interfaces.values())
        nodes.append(
            Node(
                name, NodeKind.AIR, site.name, tuple(Interface(i, mac(name, i)) for i in own), forwarding=True
            )
        )
    return tuple(airs), tuple(nodes)


def _queue_packets(profile: LinkProfile) -> int:
    """As deep as the profile says, within what an access point has."""
    depth = queues.queue_packets(profile) or LEAST_QUEUE_PACKETS
    return min(MOST_QUEUE_PACKETS, max(LEAST_QUEUE_PACKETS, depth))
