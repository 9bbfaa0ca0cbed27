"""What the plan says of what captures show: whose address that is, which port that tap is, which way that
packet goes."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from uclab.plan.paths.reachability import Reachability
from uclab.plan.schema.plan import (
    Endpoint,
    NodeKind,
    Path,
    Plan,
    Policy,
    PortMode,
    Switch,
    SwitchPort,
    SwitchRole,
    Tap,
    Vlan,
)

Leg = Literal["up", "down", "direct"]
LEGS: tuple[Leg, ...] = ("up", "down", "direct")
"""`up`: towards the session controller, `down`: from it, `direct`: between two others."""


def number(address: str) -> int:
    """An IPv4 address, with or without prefix length, as the number that columns carry."""
    return int(ipaddress.IPv4Address(address.split("/")[0]))


def text(address: int) -> str:
    """Dotted form of an address column's value."""
    return str(ipaddress.IPv4Address(address))


def mac_number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


def mac_text(mac: int) -> str:
    return ":".join(f"{mac >> shift & 0xFF:02x}" for shift in range(40, -1, -8))


def dscp_name(dscp: int | None) -> str:
    """The name an engineer knows a DSCP by (RFC 2474, 2597, 3246)."""
    if dscp is None:
        return "none"
    if dscp == 46:
        return "EF"
    if dscp >= 0 and dscp % 8 == 0:
        return f"CS{dscp // 8}" if dscp else "0"
    if dscp % 2 == 0 and 1 <= dscp // 8 <= 4 and dscp % 8 <= 6:
        return f"AF{dscp // 8}{dscp % 8 // 2}"
    return str(dscp)


@dataclass(frozen=True)
class PlannedNetwork:
    """Lookups over a plan. All of the clean plan: what should be."""

    plan: Plan

    @property
    def policy(self) -> Policy:
        return self.plan.policy

    @cached_property
    def ways(self) -> Reachability:
        """The sites' lines, and what leads where."""
        return Reachability(self.plan)

    @cached_property
    def taps(self) -> dict[str, Tap]:
        return {tap.label: tap for tap in self.plan.taps}

    @cached_property
    def node_of_mac(self) -> dict[int, str]:
        return {mac_number(i.mac): node.name for node in self.plan.nodes for i in node.interfaces}

    def mac_at(self, tap: Tap) -> int:
        """The MAC address of the node's interface where a tap sits; -1 at a switch port."""
        for node in self.plan.nodes:
            if node.name == tap.namespace:
                return next((mac_number(i.mac) for i in node.interfaces if i.name == tap.interface), -1)
        return -1

    @cached_property
    def cable_macs(self) -> dict[str, tuple[int, int]]:
        """Tap -> MAC address of the node at its own end of the cable, and at the other end; -1 at a switch,
        and at the air, which passes on what others send."""
        passing = {node.name for node in self.plan.nodes if node.kind is NodeKind.AIR}
        taps = {(tap.device, tap.interface): tap for tap in self.plan.taps}
        macs: dict[str, tuple[int, int]] = {}
        for link in self.plan.links:
            ends = [taps.get((end.device, end.interface)) for end in (link.a, link.b)]
            own = [self.mac_at(tap) if tap is not None and tap.device not in passing else -1 for tap in ends]
            for tap, pair in zip(ends, (own, own[::-1]), strict=True):
                if tap is not None:
                    macs[tap.label] = (pair[0], pair[1])
        return macs

    @cached_property
    def node_of_address(self) -> dict[int, str]:
        return {
            number(a): node.name
            for node in self.plan.nodes
            if node.kind is not NodeKind.OTHER_CUSTOMER
            for i in node.interfaces
            for a in i.addresses
        }

    @cached_property
    def endpoint_of_node(self) -> dict[str, Endpoint]:
        return {endpoint.node: endpoint for endpoint in self.endpoints}

    @cached_property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Phones and softclients, and the far side of the PSTN peers."""
        names = {endpoint.name for endpoint in self.plan.endpoints}
        peers = tuple(peer.endpoint for peer in self.plan.pstn_peers if peer.endpoint.name not in names)
        return self.plan.endpoints + peers

    @cached_property
    def site_endpoints(self) -> tuple[Endpoint, ...]:
        """Endpoints at sites: those whose way to the cloud is judged."""
        return tuple(endpoint for endpoint in self.plan.endpoints if endpoint.kind != "pstn-phone")

    @cached_property
    def media_addresses(self) -> frozenset[int]:
        """Addresses of the session controllers, where all media is anchored (C7)."""
        return frozenset(
            number(a) for c in self.plan.session_controllers for a in (c.address, c.media_address)
        )

    @cached_property
    def signalling_addresses(self) -> frozenset[int]:
        return frozenset(number(c.address) for c in self.plan.session_controllers)

    @cached_property
    def tunnel_ports(self) -> frozenset[int]:
        """UDP ports of the plan's own tunnels."""
        return frozenset(tunnel.port for overlay in self.plan.overlays for tunnel in overlay.tunnels)

    @cached_property
    def site_prefixes(self) -> tuple[tuple[int, int], ...]:
        """(network, mask) of the sites' voice, data and room VLANs."""
        nets = [ipaddress.IPv4Network(vlan.subnet) for vlan in self.plan.vlans]
        return tuple((int(net.network_address), int(net.netmask)) for net in nets)

    @cached_property
    def path_of(self) -> dict[str, Path]:
        return {path.endpoint: path for path in self.plan.paths}

    @cached_property
    def first_tap(self) -> dict[str, str]:
        """Endpoint -> the tap nearest to it (its own interface, where that is tapped)."""
        found: dict[str, str] = {}
        for endpoint in self.endpoints:
            own = [tap.label for tap in self.plan.taps if tap.namespace == endpoint.node]
            path = self.path_of.get(endpoint.name)
            if own:
                found[endpoint.name] = own[0]
            elif path and path.hops:
                found[endpoint.name] = path.hops[0].tap
        return found

    @cached_property
    def controller_taps(self) -> tuple[str, ...]:
        """Taps at the session controllers' own interfaces: all media must pass them."""
        return tuple(tap.label for tap in self.plan.taps if tap.namespace in self.controller_nodes)

    @cached_property
    def controller_nodes(self) -> frozenset[str]:
        """The session controllers' hosts."""
        return frozenset(controller.node for controller in self.plan.session_controllers)

    @cached_property
    def ports(self) -> dict[str, tuple[Switch, SwitchPort]]:
        """Tap label -> switch and port, where the tap is a switch port."""
        by_interface = {
            port.interface: (switch, port) for switch in self.plan.switches for port in switch.ports
        }
        return {
            tap.label: by_interface[tap.interface] for tap in self.plan.taps if tap.interface in by_interface
        }

    @cached_property
    def air_taps(self) -> frozenset[str]:
        """Taps where frames are on the air: the priority in their tag is the Wi-Fi user priority."""
        ends = {(e.device, e.interface) for li in self.plan.links if li.kind == "air" for e in (li.a, li.b)}
        return frozenset(tap.label for tap in self.plan.taps if (tap.device, tap.interface) in ends)

    @cached_property
    def access_port_of(self) -> dict[int, str]:
        """MAC -> the controlled port where it belongs, as `switch:port` (N3)."""
        return {
            mac_number(mac): f"{switch.name}:{port.number}"
            for switch in self.plan.switches
            if switch.controlled
            for port in switch.ports
            for _, mac in port.allowed
        }

    def device(self, tap: str) -> str:
        """The device at whose interface a tap sits."""
        known = self.taps.get(tap)
        return known.device if known else tap.split(":")[0]

    def is_tagged(self, endpoint: str) -> bool:
        """Whether an endpoint's frames carry an 802.1Q tag anywhere on their planned way."""
        path = self.path_of.get(endpoint)
        return path is not None and any(hop.vlan is not None for hop in path.hops)

    @cached_property
    def home_taps(self) -> frozenset[str]:
        """Taps in the flat networks behind home routers, where nobody classifies."""
        homes = [ipaddress.IPv4Network(vlan.subnet) for vlan in self.plan.vlans if vlan.role == "home"]
        inner = {
            (node.name, interface.name)
            for node in self.plan.nodes
            for interface in node.interfaces
            for address in interface.addresses
            if any(ipaddress.IPv4Address(address.split("/")[0]) in home for home in homes)
        }
        sites = {vlan.site for vlan in self.plan.vlans if vlan.role == "home"}
        switches = {switch.name for switch in self.plan.switches if switch.site in sites}
        return frozenset(
            label
            for label, tap in self.taps.items()
            if tap.device in switches or (tap.device, tap.interface) in inner
        )

    def owner(self, device: str) -> str:
        """The device as people name it: a phone's built-in switch, or a station's adapter, is the phone."""
        for switch in self.plan.switches:
            if switch.name == device and switch.role in (SwitchRole.PHONE, SwitchRole.STATION):
                for port in switch.ports:
                    if port.peer in self.endpoint_of_node:
                        return self.endpoint_of_node[port.peer].name
        return device

    def vlan_at(self, tap: str, tag: int) -> int | None:
        """The VLAN of a frame: its tag, or the port's own VLAN where it has none; None outside the
        switches."""
        if tag >= 0:
            return tag
        known = self.ports.get(tap)
        return known[1].vlan if known and known[1].mode is not PortMode.TRUNK else None

    @cached_property
    def vlans(self) -> dict[int, Vlan]:
        return {vlan.id: vlan for vlan in self.plan.vlans}

    def vlan_of_node(self, node: str) -> Vlan | None:
        """The VLAN in which a host belongs, by its address."""
        for interface in self.plan.node(node).interfaces:
            for address in interface.addresses:
                for vlan in self.plan.vlans:
                    if ipaddress.IPv4Address(address.split("/")[0]) in ipaddress.IPv4Network(vlan.subnet):
                        return vlan
        return None

    def endpoint_called(self, name: str) -> str:
        """A call's party as an endpoint: the PSTN peer's endpoint for one of its numbers."""
        for peer in self.plan.pstn_peers:
            if name in peer.numbers or name in (peer.name, peer.endpoint.name):
                return peer.endpoint.name
        return name
