"""The switches of a site: ports with their VLANs, trust and permitted MAC addresses, and the cables between
them (N3, L1, L2).

Port numbers: endpoint ports as in the topology file. An access switch's uplinks come behind its endpoint
ports (a 24-port switch has uplinks 25, 26, ...), as on real devices; core and distribution switches count
their trunks from 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uclab.model import topology as model
from uclab.plan.lan import wireless
from uclab.plan.lan.bridges import BridgeBuilder
from uclab.plan.resolve.hosts import Host, vlan_of
from uclab.plan.schema.plan import Link, LinkEnd, PortMode, Switch, SwitchRole

ROLES = {
    "core": SwitchRole.CORE,
    "distribution": SwitchRole.DISTRIBUTION,
    "access": SwitchRole.ACCESS,
}
ROOT_ORDER = (SwitchRole.CORE, SwitchRole.DISTRIBUTION, SwitchRole.ACCESS, SwitchRole.EDGE)
"""Which switches are to be root of the trees first."""

PHONE_UPLINK, PHONE_SELF, PHONE_PC = 1, 2, 3
"""Ports of a desk phone's built-in switch: to the access switch, to the phone itself, to the PC behind it."""


@dataclass(frozen=True)
class Lan:
    """A site's switches and cables, and where its hosts are plugged in."""

    switches: tuple[Switch, ...]
    links: tuple[Link, ...]

    @property
    def root_order(self) -> tuple[str, ...]:
        """Names of the controlled switches in the order in which they are to be root."""
        controlled = [switch for switch in self.switches if switch.controlled]
        return tuple(s.name for s in sorted(controlled, key=lambda s: ROOT_ORDER.index(s.role)))


def firewall_switch(site: model.Site) -> str:
    """Name of the firewall's built-in port module."""
    return f"{site.firewall.name}-sw"


def phone_switch(phone: str) -> str:
    """Name of a desk phone's built-in switch."""
    return f"{phone}-sw"


def build_lan(
    site: model.Site,
    hosts: tuple[Host, ...],
    macs: Mapping[tuple[str, str], str],
    zones: Mapping[str, str],
    first_dpid: int,
) -> Lan:
    """Everything between the site's hosts and its firewall.

    `macs` has the MAC address of (node, interface); `zones` the firewall's interface of each VLAN by name.
    """
    bench = BridgeBuilder(site.name, first_dpid)
    for switch in site.switches:
        bench.add_switch(switch.name, ROLES[switch.role])
    bench.add_switch(firewall_switch(site), SwitchRole.EDGE)
    for host in hosts:
        if host.has_built_in_switch:
            bench.add_switch(phone_switch(host.name), SwitchRole.PHONE)

    _plug_in_hosts(bench, site, [host for host in hosts if host.access_point is None], macs)
    wireless.plug_in(bench, site, hosts, macs)
    _plug_in_zones(bench, site, macs, zones)
    _connect_trunks(bench, site)
    return Lan(bench.switches(), tuple(bench.links))


def _plug_in_hosts(
    bench: BridgeBuilder, site: model.Site, hosts: Sequence[Host], macs: Mapping[tuple[str, str], str]
) -> None:
    behind = {host.behind: host for host in hosts if host.behind is not None}
    for host in hosts:
        if host.has_built_in_switch:
            _plug_in_phone(bench, site, host, behind.get(host.name), macs)
        elif host.behind is None:
            port = bench.add_port(
                host.switch,
                host.port,
                PortMode.ACCESS,
                vlan=host.vlan.id,
                allowed=((host.vlan.id, macs[host.name, "eth0"]),),
                peer=host.name,
            )
            bench.add_link(f"{host.name}-{host.switch}", LinkEnd(host.name, "eth0"), port, "lan")


def _plug_in_phone(
    bench: BridgeBuilder, site: model.Site, phone: Host, pc: Host | None, macs: Mapping[tuple[str, str], str]
) -> None:
    """One access port carries the phone's frames tagged and the PC's untagged, through the phone's own
    switch (L1, L2).

    A phone in its PC's VLAN sends untagged as well: then nothing tells the two apart, and neither is trusted.
    """
    mini, voice = phone_switch(phone.name), phone.vlan.id
    data = vlan_of(site, "data", f"the PC port of {phone.name}").id
    shared = voice == data
    inner = bench.add_port(mini, PHONE_SELF, PortMode.ACCESS, vlan=voice, trust_dscp=True, peer=phone.name)
    bench.add_link(f"{phone.name}-{mini}", LinkEnd(phone.name, "eth0"), inner, "lan")
    allowed: tuple[tuple[int, str], ...] = ((voice, macs[phone.name, "eth0"]),)
    if pc is not None:
        allowed += ((data, macs[pc.name, "eth0"]),)
        inner_pc = bench.add_port(mini, PHONE_PC, PortMode.ACCESS, vlan=data, peer=pc.name)
        bench.add_link(f"{pc.name}-{mini}", LinkEnd(pc.name, "eth0"), inner_pc, "lan")
    mode, tagged = (PortMode.ACCESS, ()) if shared else (PortMode.PHONE, (voice,))
    up = bench.add_port(
        mini, PHONE_UPLINK, mode, vlan=data, tagged=tagged, trust_dscp=True,
        peer=phone.switch, peer_port=phone.port,
    )  # fmt: skip
    down = bench.add_port(
        phone.switch, phone.port, mode, vlan=data, tagged=tagged, trust_dscp=not shared,
        allowed=allowed, peer=mini, peer_port=PHONE_UPLINK,
    )  # fmt: skip
    bench.add_link(f"{phone.name}-{phone.switch}", up, down, "lan")


def _plug_in_zones(
    bench: BridgeBuilder, site: model.Site, macs: Mapping[tuple[str, str], str], zones: Mapping[str, str]
) -> None:
    """One access port of the firewall's port module a zone. What the firewall sends is trusted: the router
    re-marked it."""
    module, firewall = firewall_switch(site), site.firewall.name
    for number, vlan in enumerate(site.vlans, start=1):
        zone = zones[vlan.name]
        port = bench.add_port(
            module, number, PortMode.ACCESS, vlan=vlan.id, trust_dscp=True,
            allowed=((vlan.id, macs[firewall, zone]),), peer=firewall,
        )  # fmt: skip
        bench.add_link(f"{firewall}-{vlan.name}", LinkEnd(firewall, zone), port, "lan")


def _connect_trunks(bench: BridgeBuilder, site: model.Site) -> None:
    vlans = tuple(vlan.id for vlan in site.vlans)
    first = {switch.name: switch.ports + 1 if switch.role == "access" else 1 for switch in site.switches}
    first[firewall_switch(site)] = len(site.vlans) + 1
    cables = [(switch.name, uplink) for switch in site.switches for uplink in switch.uplinks]
    cables += [(firewall_switch(site), uplink) for uplink in site.firewall.uplinks]
    for lower, upper in cables:
        low, up = bench.free_port(lower, first[lower]), bench.free_port(upper, first[upper])
        near = bench.add_port(
            lower, low, PortMode.TRUNK, tagged=vlans, trust_dscp=True, peer=upper, peer_port=up
        )
        far = bench.add_port(
            upper, up, PortMode.TRUNK, tagged=vlans, trust_dscp=True, peer=lower, peer_port=low
        )
        bench.add_link(f"{lower}-{upper}", near, far, "trunk")
