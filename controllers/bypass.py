"""Detours around each link of a tree, ready in the switches before the link fails.

A tree has one way; when a link of it fails, the switch before the gap must know on its own what to do. It
sends the frame through a bypass: a fixed path around that one link, marked by a VLAN id of its own, at
whose end the frame goes on as if it had come over the link itself (MPLS calls this facility backup, RFC
4090). The tree thus stays whole, for unicast and broadcast alike: nothing loops and nothing arrives twice,
with no controller. The frame keeps its size and its 802.1p priority, because only the VLAN id in its tag
changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from controllers.fabric_topology import FabricTopology
from uclab.plan.lan.spanning_trees import PortRef, Trunk, shortest_path, usable_trunks

HIGHEST_VLAN = 4094
"""IEEE 802.1Q: 4095 is reserved. Bypasses take unused VLAN ids from here downwards."""
LOWEST_VLAN = 2


class Hop(NamedTuple):
    """A VLAN's tree link in one direction, named by the port by which frames would leave."""

    vlan: int
    exit: PortRef


@dataclass(frozen=True)
class Bypass:
    """How frames of a VLAN get around a failed link: along `path`, under the VLAN id `tag`."""

    hop: Hop
    entry: PortRef
    """The failed link's far end: where frames would have come in."""
    path: tuple[PortRef, ...]
    """The ports by which frames leave the switches of the detour, in order."""
    arrivals: tuple[PortRef, ...]
    """The ports by which they come in; the last is on the switch behind the failed link."""
    tag: int

    @property
    def way(self) -> tuple[Hop, tuple[PortRef, ...]]:
        """What it does, whatever its tag."""
        return self.hop, self.path


Bypasses = Mapping[Hop, Bypass]


def plan_bypasses(
    layout: FabricTopology,
    trees: Mapping[int, frozenset[Trunk]],
    ports_down: frozenset[PortRef],
    previous: Bypasses,
) -> dict[Hop, Bypass]:
    """A bypass for each direction of each tree link that has another way around it.

    One whose way has not changed keeps its tag, and a new one takes a tag that neither a present nor a
    previous one uses at a common port: so switches can be changed over one by one. Where no VLAN id is
    left, there is no bypass.
    """
    taken: dict[PortRef, set[int]] = {}
    for bypass in previous.values():
        _take(taken, bypass)
    used_vlans = set(layout.vlans)
    pool = [tag for tag in range(HIGHEST_VLAN, LOWEST_VLAN - 1, -1) if tag not in used_vlans]
    kept = {bypass.way: bypass for bypass in previous.values()}
    found: dict[Hop, Bypass] = {}
    for vlan, tree in sorted(trees.items()):
        usable = usable_trunks(layout.trunks, vlan, ports_down)
        for trunk in sorted(tree, key=lambda t: t.a):
            others = [t for t in usable if t != trunk]
            for near, far in ((trunk.a, trunk.b), (trunk.b, trunk.a)):
                path = shortest_path(others, near.switch, far.switch)
                if path is None:
                    continue
                bypass = _bypass(Hop(vlan, near), far, path, tag=0)
                if (same := kept.get(bypass.way)) is not None:
                    found[bypass.hop] = same
                elif (tag := _free_tag(pool, taken, bypass.arrivals)) is not None:
                    found[bypass.hop] = _bypass(bypass.hop, far, path, tag)
                    _take(taken, found[bypass.hop])
    return found


def _bypass(hop: Hop, entry: PortRef, path: tuple[Trunk, ...], tag: int) -> Bypass:
    at, exits, arrivals = hop.exit.switch, [], []
    for trunk in path:
        exits.append(trunk.end_at(at))
        arrivals.append(trunk.other_end(at))
        at = trunk.other_end(at).switch
    return Bypass(hop, entry, tuple(exits), tuple(arrivals), tag)


def _take(taken: dict[PortRef, set[int]], bypass: Bypass) -> None:
    for port in bypass.arrivals:
        taken.setdefault(port, set()).add(bypass.tag)


def _free_tag(
    pool: Iterable[int], taken: Mapping[PortRef, set[int]], arrivals: Iterable[PortRef]
) -> int | None:
    busy: set[int] = set().union(*(taken.get(port, set()) for port in arrivals))
    return next((tag for tag in pool if tag not in busy), None)
