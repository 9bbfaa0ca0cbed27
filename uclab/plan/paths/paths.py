"""Each endpoint's way to the session controller, tap by tap, when nothing has failed.

From device to device it goes by their routes, static and learned; between two devices along the cables: in a
site's switches the VLAN's tree of `uclab.plan.lan.spanning_trees`, elsewhere wherever the VLAN is carried.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from uclab.plan.lan.spanning_trees import PortRef, spanning_tree, trunks_between
from uclab.plan.resolve.taps import port_of
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.flow_simulation import Frame, Tag, forward
from uclab.plan.schema.flows import CUSTOMER_TAG, SERVICE_TAG
from uclab.plan.schema.plan import (
    Link,
    LinkEnd,
    Node,
    NodeKind,
    Path,
    PathHop,
    PortMode,
    RadioChannel,
    Switch,
    SwitchPort,
    SwitchRole,
    Tap,
)
from uclab.plan.schema.sdn_fabric import CircuitExchange, crossings

Step = tuple[LinkEnd, LinkEnd]
"""A cable in the direction in which it is passed."""
State = tuple[LinkEnd, int | None, Frame | None]
"""Where a frame arrives, its VLAN, and what it looks like inside a carrier's network."""
LONGEST_WAY = 64
"""Routers on a way at most (the usual TTL): more are a loop."""


@dataclass(frozen=True)
class Cabling:
    """The cables in use when nothing has failed, for walking along."""

    nodes: Mapping[str, Node]
    owner: Mapping[IPv4Address, LinkEnd]
    """Address to the interface that has it."""
    ports: Mapping[LinkEnd, tuple[Switch, SwitchPort]]
    trees: Mapping[tuple[str, int], frozenset[PortRef]]
    steps: Mapping[str, tuple[Step, ...]]
    """Device to its cables."""
    labels: Mapping[LinkEnd, str]
    crossings: Mapping[tuple[LinkEnd, int | None], tuple[LinkEnd, int]] = field(default_factory=dict)
    """Where a circuit's frame leaves a switch of an exchange and under which VLAN id, by where it came in."""
    airs: Mapping[str, str] = field(default_factory=dict)
    """Air to its interface towards the access point."""

    def path(self, endpoint: str, source: str, target: str) -> Path:
        """The taps from the node `source` to the node with the address `target`, with the 802.1Q tag expected
        at each."""
        hops: list[PathHop] = []
        vlan: int | None = None
        arrived: LinkEnd | None = None
        frame: Frame | None = None
        crossed: LinkEnd | None = None
        for step in self.links_to(source, target):
            carried = self._carried(arrived, vlan, frame) if arrived is not None else None
            frame, arrived = carried[1] if carried is not None else None, step[1]
            for end in step:
                tag = None
                if frame is not None:
                    label, service = self.labels[end], frame.vlan_of(SERVICE_TAG)
                    hops.append(PathHop(label, frame.vlan_of(CUSTOMER_TAG), service, frame.label))
                    continue
                if crossed is not None and (crossed, vlan) in self.crossings:
                    vlan = self.crossings[crossed, vlan][1]
                    hops.append(PathHop(self.labels[end], vlan))
                    crossed = None
                    continue
                if end in self.ports:
                    port = self.ports[end][1]
                    vlan = port.vlan if port.mode is PortMode.ACCESS else vlan
                    tag = vlan if vlan in port.tagged or (end, vlan) in self.crossings else None
                elif end.device in self.airs:
                    tag = vlan
                crossed = end
                hops.append(PathHop(self.labels[end], tag))
        return Path(endpoint, tuple(hops))

    def links_to(self, source: str, target: str) -> tuple[Step, ...]:
        """The cables from a node to an address; PlanError if there is no way."""
        goal = IPv4Address(target)
        way: list[Step] = []
        here = source
        while self.owner[goal].device != here:
            if len(way) > LONGEST_WAY:
                raise PlanError(f"routing loop from {source} to {target} at {here}")
            out, next_hop = self.next_hop(here, goal)
            segment = self.segment(LinkEnd(here, out), self.owner[next_hop])
            way += segment
            here = segment[-1][1].device
        return tuple(way)

    def next_hop(self, device: str, goal: IPv4Address) -> tuple[str, IPv4Address]:
        """The interface by which a device sends to an address, and to whom: the longest prefix, then the
        lowest metric."""
        node = self.nodes[device]
        near = {
            IPv4Interface(address).network: interface.name
            for interface in node.interfaces
            for address in interface.addresses
        }
        for net, interface in near.items():
            if goal in net:
                return interface, goal
        fitting = [route for route in (*node.routes, *node.learned) if goal in IPv4Network(route.prefix)]
        best = min(fitting, key=lambda r: (-IPv4Network(r.prefix).prefixlen, r.metric), default=None)
        via = IPv4Address(best.via) if best is not None else None
        out = next((name for net, name in near.items() if via is not None and via in net), None)
        if via is None or out is None or via not in self.owner:
            raise PlanError(f"{device} has no route to {goal}")
        return out, via

    def segment(self, source: LinkEnd, target: LinkEnd) -> list[Step]:
        """The cables from an interface to another one in the same network; PlanError where they are not
        joined."""
        first = next((step for step in self.steps.get(source.device, ()) if step[0] == source), None)
        before: dict[State, tuple[Step, State | None]] = {}
        queue: deque[State] = deque()
        if first is not None:
            onward: State
            state: State = (first[1], self._enters(first[1], None), None)
            before[state] = (first, None)
            queue.append(state)
        while queue:
            state = queue.popleft()
            end, vlan, frame = state
            if end == target:
                return _traced(before, state)
            if end.device in self.airs:
                for step in self.steps[end.device]:
                    onward = (step[1], vlan, frame)
                    via_access_point = self.airs[end.device] in (end.interface, step[0].interface)
                    if via_access_point and step[0] != end and onward not in before:
                        before[onward] = (step, state)
                        queue.append(onward)
            if end not in self.ports:
                continue
            if self.ports[end][0].role is SwitchRole.SDN_EXCHANGE:
                if (end, vlan) in self.crossings:
                    out, vlan = self.crossings[end, vlan]
                    step = next(step for step in self.steps[end.device] if step[0] == out)
                    onward = (step[1], self._enters(step[1], vlan), None)
                    if onward not in before:
                        before[onward] = (step, state)
                        queue.append(onward)
                continue
            carried = self._carried(end, vlan, frame)
            for step in self.steps[end.device]:
                if carried is not None:
                    goes, inside = self.ports[step[0]][1].number == carried[0], carried[1]
                    vlan = inside.vlan_of(CUSTOMER_TAG)
                else:
                    goes, inside = self._forwards(step[0], vlan), None
                onward = (step[1], self._enters(step[1], vlan), inside)
                if step[0] != end and onward not in before and goes:
                    before[onward] = (step, state)
                    queue.append(onward)
        raise PlanError(
            f"no cables join {source.device}:{source.interface} and {target.device}:{target.interface}"
        )

    def _carried(self, end: LinkEnd, vlan: int | None, frame: Frame | None) -> tuple[int, Frame] | None:
        """The port by which a carrier's switch sends on what arrives at `end`, and what it is then; None at
        any other device, or where it goes nowhere."""
        if end not in self.ports or not self.ports[end][0].flows:
            return None
        switch, port = self.ports[end]
        if frame is None:
            frame = Frame(tags=(Tag(CUSTOMER_TAG, vlan),) if vlan in port.tagged and vlan is not None else ())
        return forward(switch.flows, port.number, frame)

    def _enters(self, end: LinkEnd, vlan: int | None) -> int | None:
        """The VLAN of a frame that comes in at a switch port."""
        if end in self.ports and self.ports[end][1].mode is PortMode.ACCESS:
            return self.ports[end][1].vlan
        return vlan

    def _forwards(self, out: LinkEnd, vlan: int | None) -> bool:
        """Whether a frame of that VLAN leaves by `out`."""
        switch, port = self.ports[out]
        if switch.flows:
            return False
        if switch.controlled and port.mode is PortMode.TRUNK and port.peer_port is not None:
            return PortRef(switch.name, port.number) in self.trees.get((switch.site, vlan or 0), ())
        return vlan == port.vlan or vlan in port.tagged


def _traced(before: Mapping[State, tuple[Step, State | None]], state: State | None) -> list[Step]:
    way: list[Step] = []
    while state is not None:
        step, state = before[state]
        way.insert(0, step)
    return way


def cabling(
    nodes: Iterable[Node],
    links: Sequence[Link],
    switches: Sequence[Switch],
    root_orders: Mapping[str, Sequence[str]],
    taps: Sequence[Tap],
    exchanges: Sequence[CircuitExchange] = (),
    airs: Iterable[RadioChannel] = (),
) -> Cabling:
    """The cables as they are used; `root_orders` has the order of roots of each site's trees."""
    steps: dict[str, list[Step]] = {}
    for link in links:
        steps.setdefault(link.a.device, []).append((link.a, link.b))
        steps.setdefault(link.b.device, []).append((link.b, link.a))
    by_name = {node.name: node for node in nodes}
    return Cabling(
        nodes=by_name,
        owner={
            IPv4Interface(address).ip: LinkEnd(node.name, interface.name)
            for node in by_name.values()
            if node.kind is not NodeKind.OTHER_CUSTOMER
            for interface in node.interfaces
            for address in interface.addresses
        },
        ports=port_of(switches),
        trees=_trees(switches, root_orders),
        steps={device: tuple(found) for device, found in steps.items()},
        labels={LinkEnd(tap.device, tap.interface): tap.label for tap in taps},
        crossings=_crossings(switches, exchanges),
        airs={air.node: air.interface for air in airs},
    )


def _crossings(
    switches: Sequence[Switch], exchanges: Sequence[CircuitExchange]
) -> dict[tuple[LinkEnd, int | None], tuple[LinkEnd, int]]:
    ends = {(s.name, p.number): LinkEnd(s.name, p.interface) for s in switches for p in s.ports}
    return {
        (ends[switch, came], vlan): (ends[switch, leaves], tag)
        for exchange in exchanges
        for (switch, came, vlan), (leaves, tag) in crossings(exchange).items()
    }


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
