"""The lines of each site in the order in which they are to be used, and what still leads to the cloud when
something is gone (V2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from uclab.plan.resolve.lines import wan_lines
from uclab.plan.schema.plan import Endpoint, Link, LinkEnd, Node, NodeKind, Plan


@dataclass(frozen=True)
class Line:
    """A line of a site, as its router sees it."""

    name: str
    """Of the router's interface, e.g. `wan1`; with the router's name where the site has several routers."""
    link: str
    """Its cable, which is cut when it fails."""
    site: str
    near: str
    """The site's router."""
    far: str
    """The router at the other end: a provider's, the cloud's, another site's."""
    tap: str
    """At the router's interface: what it chose to send here, and what arrived."""
    outside: str
    """The address that the router gives to what leaves by it; empty where it keeps its own."""


@dataclass(frozen=True)
class Reachability:
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
        taps = {LinkEnd(tap.device, tap.interface): tap.label for tap in self.plan.taps}
        found: dict[str, list[Line]] = {site: [] for site in self.sites}
        for line in wan_lines(self.plan):
            if line.site in found:
                found[line.site].append(
                    Line(
                        name=line.near.interface,
                        link=line.link,
                        site=line.site,
                        near=line.near.device,
                        far=line.far.device,
                        tap=taps.get(line.near, ""),
                        outside=_outside(self.plan.node(line.near.device), line.near.interface),
                    )
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

    def anchor(self, endpoint: Endpoint) -> str | None:
        """The session controller's node at the end of an endpoint's way: its calls hang on it."""
        controllers = {controller.node for controller in self.plan.session_controllers}
        return next((device for device in self.passed(endpoint) if device in controllers), None)

    def keeps_calls(
        self, endpoint: Endpoint, links: Collection[str] = (), devices: Collection[str] = ()
    ) -> bool:
        """Whether cables still lead to the session controller that has the endpoint's calls."""
        anchor = self.anchor(endpoint)
        return anchor is not None and self.reaches(endpoint, {anchor}, links, devices)

    def reaches_cloud(
        self, endpoint: Endpoint, links: Collection[str] = (), devices: Collection[str] = ()
    ) -> bool:
        """Whether cables still lead to any session controller."""
        controllers = {controller.node for controller in self.plan.session_controllers}
        return self.reaches(endpoint, controllers, links, devices)

    def reaches(
        self,
        endpoint: Endpoint,
        targets: Collection[str],
        links: Collection[str] = (),
        devices: Collection[str] = (),
    ) -> bool:
        """Whether cables lead from the endpoint to one of these nodes without these links and devices.

        Other sites are no way, unless the endpoint's own way leads through them (V5).
        """
        own = {self.site_of[device] for device in self.passed(endpoint)}
        foreign = set(self.sites) - own - {self.site_of[endpoint.node]}
        forwarding = {node.name for node in self.plan.nodes if node.forwarding}
        forwarding |= {switch.name for switch in self.plan.switches}
        targets = set(targets) - set(devices)
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
        yield line if names.count(line.name) == 1 else replace(line, name=f"{line.near}:{line.name}")


def _outside(router: Node, interface: str) -> str:
    """The source address that a router gives to what leaves by an interface."""
    return next(
        (translation.address for translation in router.translations if translation.interface == interface), ""
    )
