"""Where a site's switches are put together: ports and cables, in the order in which they are added."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from uclab.plan.resolve.names import free_name, port_interface
from uclab.plan.schema.plan import Link, LinkEnd, PortMode, Switch, SwitchPort, SwitchRole


@dataclass
class BridgeBuilder:
    """Where switches are being put together: ports and cables, in the order in which they are added."""

    site: str
    first_dpid: int
    roles: dict[str, SwitchRole] = field(default_factory=dict)
    ports: dict[str, dict[int, SwitchPort]] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)

    def add_switch(self, name: str, role: SwitchRole) -> None:
        """A switch without ports."""
        self.roles[name] = role
        self.ports[name] = {}

    def dpid(self, switch: str) -> int:
        """Datapath id: counted through the whole lab."""
        return self.first_dpid + list(self.roles).index(switch)

    def add_port(
        self,
        switch: str,
        number: int,
        mode: PortMode,
        *,
        vlan: int | None = None,
        tagged: tuple[int, ...] = (),
        trust_dscp: bool = False,
        allowed: tuple[tuple[int, str], ...] = (),
        peer: str,
        peer_port: int | None = None,
    ) -> LinkEnd:
        """A port, as the end of a cable."""
        interface = port_interface(switch, self.dpid(switch), number)
        self.ports[switch][number] = SwitchPort(
            number, interface, mode, vlan, tagged, trust_dscp, allowed, peer, peer_port
        )
        return LinkEnd(switch, interface)

    def add_link(
        self,
        name: str,
        a: LinkEnd,
        b: LinkEnd,
        kind: Literal["lan", "trunk", "datacentre", "circuit", "wan", "internet", "air"],
    ) -> None:
        """A cable; a second one between the same devices gets a number."""
        taken = {link.name for link in self.links}
        self.links.append(Link(free_name(name, taken, longest=63), a, b, kind))

    def free_port(self, switch: str, first: int) -> int:
        """The lowest unused port number from `first` on."""
        number = first
        while number in self.ports[switch]:
            number += 1
        return number

    def switches(self) -> tuple[Switch, ...]:
        """The finished switches, ports in order; engines are chosen later."""
        uncontrolled = (
            *(SwitchRole.PHONE, SwitchRole.HOME, SwitchRole.DATACENTRE),
            *(SwitchRole.ACCESS_POINT, SwitchRole.STATION),
            *(SwitchRole.CARRIER, SwitchRole.CARRIER_NETWORK, SwitchRole.MODEM, SwitchRole.EXCHANGE),
        )
        return tuple(
            Switch(
                name=name,
                site=self.site,
                role=role,
                engine="",
                dpid=self.dpid(name),
                controlled=role not in uncontrolled,
                ports=tuple(self.ports[name][number] for number in sorted(self.ports[name])),
            )
            for name, role in self.roles.items()
        )
