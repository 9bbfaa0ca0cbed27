"""The lines of each site in the order in which they are to be used, and what still leads to the cloud when
something is gone (V2)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from uclab.plan.types import Endpoint, Link, LinkEnd, NodeKind, Plan


@dataclass(frozen=True)
class Line:
    """A link that leaves a site."""

    name: str
    """As the site's router calls it, e.g. `wan1`; with the router's name where the site has several
    routers."""
    link: str
    site: str
    near: str
    """The site's device."""
    far: str
    """The device at the other end: a provider, a peering router, another site."""
    tap: str
    """At the site's end: what the router chose to send here, and what arrived."""
    translated: bool
    """The router translates addresses on it: whoever moves to this line has another address outside."""


@dataclass(frozen=True)
class Ways:
    """Lookups over a plan's cables."""

    plan: Plan

    @cached_property
    def site_of(self) -> dict[str, str]:
        """Device -> site, data centre or `internet`."""
        nodes = {node.name: node.site for node in self.plan.nodes}
        return nodes | {switch.name: switch.site for switch in self.plan.switches}

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """Sites with endpoints, in the plan's order."""
        return tuple(dict.fromkeys(self.site_of[endpoint.node] for endpoint in self.plan.endpoints))

    @cached_property
    def lines(self) -> dict[str, tuple[Line, ...]]:
        """Site -> its lines in the order of use: a router's lines are in the order of the site's
        connections."""
        found: dict[str, list[Line]] = {site: [] for site in self.sites}
        by_end = {end: (link, other) for link in self.plan.links for end, other in _both(link)}
        taps = {(tap.device, tap.interface): tap.label for tap in self.plan.taps}
        for node in self.plan.nodes:
            for interface in node.interfaces if node.site in found else ():
                link, other = by_end.get(LinkEnd(node.name, interface.name), (None, None))
                if link is None or other is None or self.site_of[other.device] == node.site:
                    continue
                translated = _translates(node.nftables or "", interface.name)
                tap = taps.get((node.name, interface.name), "")
                found[node.site].append(
                    Line(interface.name, link.name, node.site, node.name, other.device, tap, translated)
                )
        return {site: tuple(_distinct(lines)) for site, lines in found.items()}

    @cached_property
    def crossed(self) -> dict[str, tuple[Link, ...]]:
        """Endpoint -> the links on its way to the session controller when nothing has failed."""
        links = {end: link for link in self.plan.links for end in (link.a, link.b)}
        ends = {tap.label: LinkEnd(tap.device, tap.interface) for tap in self.plan.taps}
        found = {}
        for path in self.plan.paths:
            on_it = (links[ends[hop.tap]] for hop in path.hops if ends.get(hop.tap) in links)
            found[path.endpoint] = tuple(dict.fromkeys(on_it))
        return found

    def passed(self, endpoint: Endpoint) -> tuple[str, ...]:
        """The devices on an endpoint's way to the session controller, itself first."""
        names = [end.device for link in self.crossed.get(endpoint.name, ()) for end in (link.a, link.b)]
        return tuple(dict.fromkeys([endpoint.node, *names]))

    def survives(
        self, endpoint: Endpoint, links: Collection[str] = (), devices: Collection[str] = ()
    ) -> bool:
        """Whether cables still lead from the endpoint to a session controller without these links and
        devices.

        Other sites are no way, unless the endpoint's own way leads through them (V5).
        """
        own = {self.site_of[device] for device in self.passed(endpoint)}
        foreign = set(self.sites) - own - {self.site_of[endpoint.node]}
        forwarding = {node.name for node in self.plan.nodes if node.forwarding}
        forwarding |= {switch.name for switch in self.plan.switches}
        targets = {controller.node for controller in self.plan.session_controllers} - set(devices)
        queue, seen = deque([endpoint.node]), {endpoint.node, *devices}
        while queue:
            here = queue.popleft()
            if here in targets:
                return True
            if here != endpoint.node and here not in forwarding:
                continue
            for link, other in self._neighbours.get(here, ()):
                if link not in links and other not in seen and self.site_of[other] not in foreign:
                    seen.add(other)
                    queue.append(other)
        return False

    @cached_property
    def _neighbours(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for link in self.plan.links:
            for end, other in _both(link):
                found.setdefault(end.device, []).append((link.name, other.device))
        return found

    def kind_of(self, device: str) -> NodeKind | None:
        """What a node is; None for a switch."""
        return next((node.kind for node in self.plan.nodes if node.name == device), None)


def _both(link: Link) -> tuple[tuple[LinkEnd, LinkEnd], tuple[LinkEnd, LinkEnd]]:
    return (link.a, link.b), (link.b, link.a)


def _distinct(lines: list[Line]) -> Iterator[Line]:
    """The lines with names that tell them apart within the site."""
    names = [line.name for line in lines]
    for line in lines:
        name = line.name if names.count(line.name) == 1 else f"{line.near}:{line.name}"
        yield Line(name, line.link, line.site, line.near, line.far, line.tap, line.translated)


def _translates(rules: str, interface: str) -> bool:
    """Whether an nftables ruleset gives what leaves by an interface another source address."""
    return any(
        f'"{interface}"' in rule and re.search(r"\b(masquerade|snat)\b", rule) for rule in rules.splitlines()
    )
