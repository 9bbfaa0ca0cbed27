"""A site's switches as the compiler sees them: trunks, edge ports, and where every MAC address lives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from uclab.plan.lan.spanning_trees import FabricError, PortRef, Trunk, is_edge_port, trunks_between
from uclab.plan.schema.plan import PortMode, SiteFabric, Switch, SwitchPort


@dataclass(frozen=True)
class FabricTopology:
    """Computed once for a fabric by `lay_out`."""

    fabric: SiteFabric
    switches: Mapping[str, Switch]
    trunks: tuple[Trunk, ...]
    edge_ports: Mapping[str, tuple[SwitchPort, ...]]
    """By switch: where phones, PCs and the firewall are plugged in."""
    hosts: Mapping[tuple[int, str], PortRef]
    """Where each (VLAN, MAC) lives."""
    vlans: tuple[int, ...]

    def trunks_at(self, switch: str, vlan: int) -> tuple[Trunk, ...]:
        """The switch's trunks that carry the VLAN."""
        return tuple(t for t in self.trunks if vlan in t.vlans and switch in (t.a.switch, t.b.switch))


def memberships(port: SwitchPort) -> Iterator[tuple[int, bool]]:
    """The VLANs of an edge port: (VLAN, whether its frames carry a tag there)."""
    if port.vlan is not None and port.mode is not PortMode.TRUNK:
        yield port.vlan, False
    if port.mode is not PortMode.ACCESS:
        for vlan in port.tagged:
            yield vlan, True


def lay_out(fabric: SiteFabric) -> FabricTopology:
    """Check the fabric and index it. Raises `FabricError` naming the port and the way out."""
    controlled = {switch.name: switch for switch in fabric.switches if switch.controlled}
    vlans = tuple(sorted(vlan.id for vlan in fabric.vlans))
    edge_ports = {
        name: tuple(port for port in switch.ports if is_edge_port(port, fabric.switches))
        for name, switch in controlled.items()
    }
    hosts: dict[tuple[int, str], PortRef] = {}
    for name, ports in edge_ports.items():
        for port in ports:
            here = PortRef(name, port.number)
            carried = dict(memberships(port))
            if unknown := sorted(set(carried) - set(vlans)):
                raise FabricError(
                    f"{here} is in VLAN {unknown[0]}, which is not one of {list(vlans)} of the site"
                )
            for vlan, mac in port.allowed:
                if vlan not in carried:
                    raise FabricError(
                        f"{here} allows {mac} in VLAN {vlan}, but carries only {sorted(carried)}"
                    )
                if (there := hosts.setdefault((vlan, mac.lower()), here)) != here:
                    raise FabricError(
                        f"{mac} is allowed in VLAN {vlan} at {there} and at {here}; give it to one"
                    )
    return FabricTopology(fabric, controlled, trunks_between(fabric.switches), edge_ports, hosts, vlans)
