"""Loop-free trees of a site's switches: the controller forwards where the plan's paths say that packets go.

The controller programs these trees and the planner reads an endpoint's way through the switches from them,
so that both agree by construction. Pure: the same switches with the same ports down always give the same
tree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from uclab.plan.schema.plan import PortMode, Switch, SwitchPort


class PortRef(NamedTuple):
    """A port of a switch; printed like a tap, `acc1:23`."""

    switch: str
    port: int

    def __str__(self) -> str:
        return f"{self.switch}:{self.port}"


@dataclass(frozen=True)
class Trunk:
    """A cable between two controlled switches and the VLANs that both ends carry; `a` sorts before `b`."""

    a: PortRef
    b: PortRef
    vlans: frozenset[int]

    def end_at(self, switch: str) -> PortRef:
        """The end on that switch."""
        return self.a if self.a.switch == switch else self.b

    def other_end(self, switch: str) -> PortRef:
        """The end on the other switch."""
        return self.b if self.a.switch == switch else self.a


class FabricError(Exception):
    """The switches of a plan do not make a fabric; the message names the port and the way out."""


def trunks_between(switches: Sequence[Switch]) -> tuple[Trunk, ...]:
    """All cables between controlled switches. Raises `FabricError` where two ends do not name each other."""
    controlled = [switch for switch in switches if switch.controlled]
    ports = {PortRef(switch.name, port.number): port for switch in controlled for port in switch.ports}
    names = {switch.name for switch in controlled}
    found = {}
    for near, port in ports.items():
        if port.mode is not PortMode.TRUNK or port.peer not in names:
            continue
        far = PortRef(port.peer, port.peer_port or 0)
        peer = ports.get(far)
        if peer is None or (peer.peer, peer.peer_port) != near:
            raise FabricError(f"trunk {near} leads to {far}, which does not lead back; set both `peer_port`")
        a, b = sorted((near, far))
        found[a] = Trunk(a, b, frozenset(port.tagged) & frozenset(peer.tagged))
    return tuple(found[a] for a in sorted(found))


def is_edge_port(port: SwitchPort, switches: Iterable[Switch]) -> bool:
    """Whether something other than a controlled switch is plugged in there."""
    return port.mode is not PortMode.TRUNK or port.peer not in {s.name for s in switches if s.controlled}


def usable_trunks(trunks: Iterable[Trunk], vlan: int, ports_down: frozenset[PortRef]) -> tuple[Trunk, ...]:
    """The trunks that carry the VLAN and have neither end down."""
    return tuple(t for t in trunks if vlan in t.vlans and t.a not in ports_down and t.b not in ports_down)


def neighbours(trunks: Iterable[Trunk]) -> Mapping[str, tuple[Trunk, ...]]:
    """Trunks of each switch, by its own port number."""
    found: dict[str, list[Trunk]] = {}
    for trunk in trunks:
        found.setdefault(trunk.a.switch, []).append(trunk)
        found.setdefault(trunk.b.switch, []).append(trunk)
    return {
        name: tuple(sorted(own_trunks, key=lambda t: t.end_at(name).port))
        for name, own_trunks in found.items()
    }


def spanning_tree(
    trunks: Iterable[Trunk],
    root_order: Sequence[str],
    vlan: int,
    ports_down: frozenset[PortRef] = frozenset(),
) -> frozenset[Trunk]:
    """The VLAN's tree: fewest hops to the first of `root_order`; of equal ways, by the lowest uplink port.

    Parts that are cut off get a tree of their own, rooted at the first of `root_order` that is in them.
    """
    by_switch = neighbours(usable_trunks(trunks, vlan, ports_down))
    roots = [*root_order, *sorted(set(by_switch) - set(root_order))]
    distance: dict[str, int] = {}
    tree: set[Trunk] = set()
    for root in roots:
        if root in distance:
            continue
        distance[root] = 0
        queue = deque([root])
        reached = []
        while queue:
            near = queue.popleft()
            for trunk in by_switch.get(near, ()):
                far = trunk.other_end(near).switch
                if far not in distance:
                    distance[far] = distance[near] + 1
                    queue.append(far)
                    reached.append(far)
        for switch in reached:
            nearer = distance[switch] - 1
            tree.add(next(t for t in by_switch[switch] if distance[t.other_end(switch).switch] == nearer))
    return frozenset(tree)


def shortest_path(trunks: Iterable[Trunk], start: str, goal: str) -> tuple[Trunk, ...] | None:
    """The trunks on the way with the fewest hops, lowest port numbers first; None where there is no way."""
    by_switch = neighbours(trunks)
    came_by: dict[str, Trunk | None] = {start: None}
    queue = deque([start])
    while queue and goal not in came_by:
        near = queue.popleft()
        for trunk in by_switch.get(near, ()):
            far = trunk.other_end(near).switch
            if far not in came_by:
                came_by[far] = trunk
                queue.append(far)
    if goal not in came_by:
        return None
    path: list[Trunk] = []
    at = goal
    while (trunk_here := came_by[at]) is not None:
        path.append(trunk_here)
        at = trunk_here.other_end(at).switch
    return tuple(reversed(path))
