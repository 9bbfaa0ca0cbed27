"""Modems in bridge mode: two ports between a router and its line to a provider, transparent to both (W9).

Pull the line and the router does not detect it: its own cable, to the modem, is still plugged in.
"""

from __future__ import annotations

from dataclasses import dataclass

from uclab.model import topology as model
from uclab.plan.lan.bridges import BridgeBuilder
from uclab.plan.resolve.circuits import line_interfaces
from uclab.plan.resolve.names import free_name, link_name
from uclab.plan.schema.plan import Link, LinkEnd, PortMode, Switch, SwitchRole

PLACE = "modems"
ROUTER_PORT, LINE_PORT = 1, 2
_CORE = "inet"
"""A provider's interface towards the internet's core, which has its name first."""


@dataclass(frozen=True)
class Modems:
    """The modems and their cables."""

    switches: tuple[Switch, ...]
    links: tuple[Link, ...]


def build_modems(topology: model.Topology, first_dpid: int) -> Modems:
    """Every modem with its two cables; the line's has the name that it would have without the modem."""
    bench = BridgeBuilder(PLACE, first_dpid)
    for site in topology.sites:
        for line in site.connections:
            if line.modem is None:
                continue
            bench.add_switch(line.modem, SwitchRole.MODEM)
            ends = [
                bench.add_port(line.modem, number, PortMode.ACCESS, vlan=1, trust_dscp=True, peer=peer)
                for number, peer in ((ROUTER_PORT, site.router.name), (LINE_PORT, line.to))
            ]
            near = LinkEnd(site.router.name, line_interfaces(site)[line.name])
            bench.add_link(f"{site.router.name}-{line.modem}", near, ends[0], "lan")
            name = link_name(site.router.name, line.to, [link.name for link in bench.links])
            bench.add_link(name, ends[1], far_end(topology, site, line), "wan")
    return Modems(bench.switches(), tuple(bench.links))


def far_end(topology: model.Topology, site: model.Site, line: model.Connection) -> LinkEnd:
    """The provider's interface of a line."""
    taken = ["lo", _CORE]
    for other in topology.sites:
        for connection in other.connections:
            if connection.to != line.to:
                continue
            taken.append(free_name(other.router.name, taken))
            if (other.name, connection.name) == (site.name, line.name):
                return LinkEnd(line.to, taken[-1])
    raise KeyError(f"site {site.name} has no line {line.name}")
