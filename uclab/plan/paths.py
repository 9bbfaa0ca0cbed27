"""Each endpoint's way to the session controller, tap by tap, when nothing has failed.

Between switches it is the VLAN's tree of `uclab.plan.trees`, beyond the firewall the site's first line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from uclab.plan.taps import port_of
from uclab.plan.trees import PortRef, spanning_tree, trunks_between
from uclab.plan.types import Link, LinkEnd, Node, NodeKind, Path, PathHop, PortMode, Switch, SwitchPort, Tap

Step = tuple[LinkEnd, LinkEnd]
"""A cable in the direction in which it is passed."""


@dataclass(frozen=True)
class Cabling:
    """The cables in use when nothing has failed, for walking along."""

    ports: Mapping[LinkEnd, tuple[Switch, SwitchPort]]
    trees: Mapping[tuple[str, int], frozenset[PortRef]]
    steps: Mapping[str, tuple[Step, ...]]
    """Device to its cables."""
    labels: Mapping[LinkEnd, str]

    def path(self, endpoint: str, source: str, target: str) -> Path:
        """The taps from the node `source` to the node `target`, with the 802.1Q tag expected at each."""
        hops: list[PathHop] = []
        vlan: int | None = None
        for end in (end for step in self.walk(source, target) for end in step):
            tag = None
            if end in self.ports:
                port = self.ports[end][1]
                vlan = port.vlan if port.mode is PortMode.ACCESS else vlan
                tag = vlan if vlan in port.tagged else None
            hops.append(PathHop(self.labels[end], tag))
        return Path(endpoint, tuple(hops))

    def walk(self, source: str, target: str) -> tuple[Step, ...]:
        """The cables from one node to another; KeyError if there is no way."""
        first = self.steps[source][0][1]
        switch, port = self.ports[first]
        before: dict[str, Step] = {}
        queue, seen = deque([source]), {source}
        while queue and target not in seen:
            for step in self.steps[queue.popleft()]:
                if step[1].device not in seen and self._forwards(step[0], switch.site, port.vlan or 0):
                    seen.add(step[1].device)
                    before[step[1].device] = step
                    queue.append(step[1].device)
        way = [before[target]]
        while way[0][0].device != source:
            way.insert(0, before[way[0][0].device])
        return tuple(way)

    def _forwards(self, out: LinkEnd, site: str, vlan: int) -> bool:
        """Whether a frame of that site's VLAN leaves by `out`; anything does at a node or at another
        place's switch."""
        if out not in self.ports or self.ports[out][0].site != site:
            return True
        switch, port = self.ports[out]
        if port.mode is PortMode.TRUNK:
            return PortRef(switch.name, port.number) in self.trees.get((site, vlan), ())
        return vlan == port.vlan or vlan in port.tagged


def cabling(
    nodes: Iterable[Node],
    links: Sequence[Link],
    switches: Sequence[Switch],
    root_orders: Mapping[str, Sequence[str]],
    taps: Sequence[Tap],
) -> Cabling:
    """The cables as they are used: the switches' trees (`root_orders` by site), and each router's first
    line."""
    first_lines = {
        LinkEnd(node.name, node.interfaces[1].name)
        for node in nodes
        if node.kind is NodeKind.ROUTER and len(node.interfaces) > 1
    }
    steps: dict[str, list[Step]] = {}
    for link in links:
        if link.kind != "wan" or link.a in first_lines:
            steps.setdefault(link.a.device, []).append((link.a, link.b))
            steps.setdefault(link.b.device, []).append((link.b, link.a))
    return Cabling(
        ports=port_of(switches),
        trees=_trees(switches, root_orders),
        steps={device: tuple(found) for device, found in steps.items()},
        labels={LinkEnd(tap.device, tap.interface): tap.label for tap in taps},
    )


def _trees(
    switches: Sequence[Switch], root_orders: Mapping[str, Sequence[str]]
) -> dict[tuple[str, int], frozenset[PortRef]]:
    """(Site, VLAN): the trunk ports that forward it, as the controller will have it."""
    trees: dict[tuple[str, int], frozenset[PortRef]] = {}
    for site, root_order in root_orders.items():
        trunks = trunks_between([switch for switch in switches if switch.site == site])
        for vlan in sorted({vlan for trunk in trunks for vlan in trunk.vlans}):
            tree = spanning_tree(trunks, root_order, vlan)
            trees[site, vlan] = frozenset(end for trunk in tree for end in (trunk.a, trunk.b))
    return trees
