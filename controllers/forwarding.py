"""Where frames go: known addresses along the VLAN's tree, broadcast to all of it, detours around gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controllers.bypass import Bypasses, Hop
from controllers.fabric_topology import FabricTopology, memberships
from controllers.flows import Bucket, FlowRule, GroupRule, Table, set_in_port, to_group
from uclab.plan.lan.spanning_trees import PortRef, Trunk, neighbours
from uclab.plan.schema.flows import POP_TAG, FlowAction, Match, output, set_vlan

GROUP_ADDRESSES = "01:00:00:00:00:00/01:00:00:00:00:00"
"""Broadcast and multicast: the lowest bit of the first octet (IEEE 802)."""

Trees = Mapping[int, frozenset[Trunk]]
"""Tree links by VLAN."""


def group_id(vlan: int, port: int) -> int:
    """Number of the fast-failover group that stands for a trunk in a VLAN; stable, whatever its bypass."""
    return vlan << 16 | port


def forward_rules(
    layout: FabricTopology, switch: str, trees: Trees, bypasses: Bypasses
) -> Iterator[FlowRule]:
    """The table `FORWARD`: one rule for every address of the site; unknown addresses do not exist (N3)."""
    exits = {vlan: exits_towards(tree, switch) for vlan, tree in trees.items()}
    tagged = {(p.number, vlan) for p in layout.edge_ports[switch] for vlan, tag in memberships(p) if tag}
    for (vlan, mac), home in layout.hosts.items():
        match = Match(vlan=vlan, eth_dst=mac)
        if home.switch == switch:
            pop: tuple[FlowAction, ...] = () if (home.port, vlan) in tagged else (POP_TAG,)
            yield FlowRule(Table.FORWARD, 20, match, (*pop, output(home.port)))
        elif (way_out := exits[vlan].get(home.switch)) is not None:
            yield FlowRule(Table.FORWARD, 20, match, (_send(vlan, way_out, bypasses),))
    for port in layout.edge_ports[switch]:
        limited = Match(in_port=port.number, eth_dst=GROUP_ADDRESSES)
        yield FlowRule(Table.FORWARD, 10, limited, goto=Table.FLOOD, meter=port.number)
    yield FlowRule(Table.FORWARD, 5, Match(eth_dst=GROUP_ADDRESSES), goto=Table.FLOOD)


def flood_rules(layout: FabricTopology, switch: str, trees: Trees, bypasses: Bypasses) -> Iterator[FlowRule]:
    """The table `FLOOD`: every port of the VLAN and every tree link but the one that the frame came by."""
    for vlan in layout.vlans:
        links = sorted(t.end_at(switch) for t in trees[vlan] if switch in (t.a.switch, t.b.switch))
        sends = {link: _send(vlan, link, bypasses) for link in links}
        deliver = _deliveries(layout, switch, vlan)
        yield FlowRule(Table.FLOOD, 10, Match(vlan=vlan), (*sends.values(), *deliver))
        for trunk in layout.trunks_at(switch, vlan):
            came_by = trunk.end_at(switch)
            onward = tuple(send for link, send in sends.items() if link != came_by)
            actions = (*onward, *deliver) if came_by in sends else ()
            yield FlowRule(Table.FLOOD, 20, Match(in_port=came_by.port, vlan=vlan), actions)


def bypass_groups(switch: str, bypasses: Bypasses) -> Iterator[GroupRule]:
    """A group for each protected tree link: the link itself, or the bypass while the link is down.

    A detour may begin at the very port that the frame came by, and a switch never sends a frame back by its
    `in_port`: so the frame is first made to look as if it had come by the port that is dead.
    """
    for hop, bypass in bypasses.items():
        if hop.exit.switch == switch:
            port, first = hop.exit.port, bypass.path[0].port
            link = Bucket(port, (output(port),))
            detour = Bucket(first, (set_in_port(port), set_vlan(bypass.tag), output(first)))
            yield GroupRule(group_id(hop.vlan, port), (link, detour))


def bypass_rules(switch: str, bypasses: Bypasses) -> Iterator[FlowRule]:
    """In the table `PORTS`: pass detoured frames on; at the end go on as if they had come by the link."""
    for bypass in bypasses.values():
        for number, arrival in enumerate(bypass.arrivals):
            if arrival.switch != switch:
                continue
            match = Match(in_port=arrival.port, vlan=bypass.tag)
            if number + 1 < len(bypass.path):
                yield FlowRule(Table.PORTS, 50, match, (output(bypass.path[number + 1].port),))
            else:
                restore = (set_vlan(bypass.hop.vlan), set_in_port(bypass.entry.port))
                yield FlowRule(Table.PORTS, 50, match, restore, goto=Table.FORWARD)


def exits_towards(tree: frozenset[Trunk], switch: str) -> dict[str, PortRef]:
    """By which port of the switch each other switch of its tree is reached."""
    by_switch = neighbours(tree)
    exits: dict[str, PortRef] = {}
    for trunk in by_switch.get(switch, ()):
        way_out, pending, seen = trunk.end_at(switch), [trunk.other_end(switch).switch], {switch}
        while pending:
            at = pending.pop()
            seen.add(at)
            exits[at] = way_out
            onward = (t.other_end(at).switch for t in by_switch[at])
            pending.extend(far for far in onward if far not in seen)
    return exits


def distances_from(tree: frozenset[Trunk], switch: str) -> dict[str, int]:
    """Hops along the tree from the switch to each that it reaches, itself included."""
    by_switch = neighbours(tree)
    hops, pending = {switch: 0}, [switch]
    for at in pending:
        for trunk in by_switch.get(at, ()):
            far = trunk.other_end(at).switch
            if far not in hops:
                hops[far] = hops[at] + 1
                pending.append(far)
    return hops


def _send(vlan: int, link: PortRef, bypasses: Bypasses) -> FlowAction:
    return to_group(group_id(vlan, link.port)) if Hop(vlan, link) in bypasses else output(link.port)


def _deliveries(layout: FabricTopology, switch: str, vlan: int) -> tuple[FlowAction, ...]:
    """To the edge ports of the VLAN: tagged ones first, then those that get the frame without its tag."""
    members = [(p.number, tag) for p in layout.edge_ports[switch] for v, tag in memberships(p) if v == vlan]
    tagged = tuple(output(number) for number, tag in members if tag)
    untagged = tuple(output(number) for number, tag in members if not tag)
    return (*tagged, POP_TAG, *untagged) if untagged else tagged
