"""What a switch lets in: VLAN of a frame, layer-2 port control, frame filtering (N3, L1, L2)."""

from __future__ import annotations

from collections.abc import Iterator

from controllers.fabric_topology import FabricTopology, memberships
from controllers.flows import FlowRule, MeterRule, Purpose, Table, to_controller
from uclab.plan.schema.flows import UNTAGGED, Match, push_tag
from uclab.plan.schema.plan import PortMode, SwitchPort, SwitchRole

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
UDP, ICMPV6 = 17, 58
DHCP_SERVER_PORT = 67
ROUTER_ADVERTISEMENT = 134
RESERVED_GROUPS = ("01:80:c2:00:00:00/ff:ff:ff:ff:ff:f0", "01:00:0c:cc:cc:cc/ff:ff:ff:ff:ff:fe")
"""Never forwarded by a bridge: spanning tree, LLDP, pause, 802.1X (IEEE 802.1Q table 8-1); CDP and PVST."""

REPORT_METER = 0xF000
REPORT_LIMIT_PPS = 20
"""So many dropped frames a second a switch tells the controller of; the rest is dropped in silence."""
STORM_LIMIT_PPS = 500
"""Broadcast and multicast frames a second that an edge port may send: ten paging streams of 50 a second."""

REPORT = (to_controller(64),)
"""Enough for Ethernet, 802.1Q and ARP headers."""


def admission_rules(layout: FabricTopology, switch: str) -> Iterator[FlowRule]:
    """The tables `PORTS`, `SECURITY` and `FILTER` of a switch."""
    for group in RESERVED_GROUPS:
        yield FlowRule(Table.PORTS, 100, Match(eth_dst=group), purpose=Purpose.FRAME_FILTER)
    for vlan in layout.vlans:
        for trunk in layout.trunks_at(switch, vlan):
            match = Match(in_port=trunk.end_at(switch).port, vlan=vlan)
            yield FlowRule(Table.PORTS, 50, match, goto=Table.PRIORITY)
    if not layout.edge_ports[switch]:
        return
    for port in layout.edge_ports[switch]:
        yield from _classification(port)
        yield from _port_security(port)
        yield from _trust(port)
    yield _reported(Table.SECURITY, 0, Match(), Purpose.PORT_SECURITY)
    yield _reported(Table.FILTER, 10, Match(eth_type=ARP), Purpose.ARP_FILTER)
    if layout.switches[switch].role is not SwitchRole.EDGE:
        yield from _gateway_guard(layout)


def admission_meters(layout: FabricTopology, switch: str) -> Iterator[MeterRule]:
    """Limits on what edge ports may cause."""
    if layout.edge_ports[switch]:
        yield MeterRule(REPORT_METER, REPORT_LIMIT_PPS)
    for port in layout.edge_ports[switch]:
        yield MeterRule(port.number, STORM_LIMIT_PPS)


def _reported(table: Table, priority: int, match: Match, purpose: Purpose) -> FlowRule:
    return FlowRule(table, priority, match, REPORT, meter=REPORT_METER, purpose=purpose)


def _classification(port: SwitchPort) -> Iterator[FlowRule]:
    for vlan, tagged in memberships(port):
        if tagged:
            yield FlowRule(Table.PORTS, 50, Match(in_port=port.number, vlan=vlan), goto=Table.SECURITY)
        else:
            match = Match(in_port=port.number, vlan=UNTAGGED)
            yield FlowRule(Table.PORTS, 50, match, push_tag(vlan), goto=Table.SECURITY)
    yield _reported(Table.PORTS, 10, Match(in_port=port.number), Purpose.VLAN_FILTER)


def _port_security(port: SwitchPort) -> Iterator[FlowRule]:
    """Source addresses that belong here, also inside ARP (a forged sender address poisons others' caches)."""
    for vlan, mac in port.allowed:
        owner = Match(in_port=port.number, vlan=vlan, eth_src=mac.lower())
        yield FlowRule(Table.SECURITY, 50, owner, goto=Table.FILTER)
        sender = Match(in_port=port.number, vlan=vlan, eth_type=ARP, arp_sha=mac.lower())
        yield FlowRule(Table.FILTER, 20, sender, goto=Table.PRIORITY)


def _trust(port: SwitchPort) -> Iterator[FlowRule]:
    """A phone port trusts its voice VLAN only: what is untagged there comes from the PC behind the phone."""
    for vlan, tagged in memberships(port):
        trusted = port.trust_dscp and (tagged or port.mode is PortMode.ACCESS)
        goto = Table.TRUSTED if trusted else Table.UNTRUSTED
        yield FlowRule(Table.FILTER, 1, Match(in_port=port.number, vlan=vlan), goto=goto)


def _gateway_guard(layout: FabricTopology) -> Iterator[FlowRule]:
    """What only the gateway may say: nobody else hands out addresses or answers for its address."""
    dhcp = Match(eth_type=IPV4, ip_proto=UDP, udp_src=DHCP_SERVER_PORT)
    router = Match(eth_type=IPV6, ip_proto=ICMPV6, icmpv6_type=ROUTER_ADVERTISEMENT)
    for match in (dhcp, router):
        yield _reported(Table.FILTER, 30, match, Purpose.FRAME_FILTER)
    for vlan in layout.fabric.vlans:
        forged = Match(vlan=vlan.id, eth_type=ARP, arp_spa=vlan.gateway)
        yield _reported(Table.FILTER, 40, forged, Purpose.ARP_FILTER)
