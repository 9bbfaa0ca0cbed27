"""Which hosts stand in a site's VLANs, and on which switch port."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from uclab.kinds.endpoint_kind import ENDPOINT_KINDS
from uclab.model import topology as model
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.plan import NodeKind

Role = Literal["voice", "data", "rooms", "management", "foreign-voip"]


@dataclass(frozen=True)
class Host:
    """A host and its cable: to a switch port, or, where `behind` is set, through that desk phone. A station
    at an `access_point` has none: then `switch` is empty."""

    name: str
    site: str
    kind: NodeKind
    vlan: model.Vlan
    switch: str
    port: int
    behind: str | None = None
    endpoint: model.Endpoint | None = None
    access_point: str | None = None

    @property
    def has_built_in_switch(self) -> bool:
        """Whether it is on a cable, and a PC can be plugged into it."""
        return (
            self.access_point is None
            and self.endpoint is not None
            and ENDPOINT_KINDS[self.endpoint.kind].pc_port
        )


def site_hosts(site: model.Site, site_number: int) -> tuple[Host, ...]:
    """Phones in the voice VLAN (L1), softclients and PCs in the data VLAN (L2), one legacy VoIP host in each
    foreign VLAN (L4)."""
    hosts = [host for endpoint in site.endpoints for host in _endpoint_hosts(site, endpoint)]
    foreign = [vlan for vlan in site.vlans if vlan.role == "foreign-voip"]
    for vlan, (switch, port) in zip(foreign, _spare_ports(site), strict=False):
        name = f"pbx{site_number + 1 if site_number else ''}-{vlan.id}"
        hosts.append(Host(name, site.name, NodeKind.SERVER, vlan, switch, port))
    return tuple(hosts)


def vlan_of(site: model.Site, role: Role, for_whom: str) -> model.Vlan:
    """The site's VLAN of a role; PlanError if it has none."""
    for vlan in site.vlans:
        if vlan.role == role:
            return vlan
    raise PlanError(f"site {site.name}: {for_whom} needs a VLAN with role {role}; add one to `vlans`")


def _endpoint_hosts(site: model.Site, endpoint: model.Endpoint) -> Iterator[Host]:
    switch, _, number = (endpoint.port or "").partition("/")
    declared = ENDPOINT_KINDS[endpoint.kind]
    if endpoint.vlan is None:
        vlan = vlan_of(site, declared.vlan, endpoint.name)
    else:
        vlan = next(v for v in site.vlans if v.name == endpoint.vlan)
    kind = NodeKind.PHONE if declared.device == "phone" else NodeKind.PC
    port = int(number or 0)
    yield Host(
        endpoint.name, site.name, kind, vlan, switch, port, endpoint=endpoint, access_point=endpoint.ap
    )
    if declared.pc_port and endpoint.pc is not None:
        data = vlan_of(site, "data", endpoint.pc)
        yield Host(endpoint.pc, site.name, NodeKind.PC, data, switch, port, behind=endpoint.name)


def _spare_ports(site: model.Site) -> Iterator[tuple[str, int]]:
    """Free ports of access switches, the last port of the first switch first."""
    used = {endpoint.port for endpoint in site.endpoints} | {point.port for point in site.access_points}
    for switch in site.switches:
        if switch.role == "access":
            for number in range(switch.ports, 0, -1):
                if f"{switch.name}/{number}" not in used:
                    yield switch.name, number
