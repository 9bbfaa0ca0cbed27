"""A fabric of tables without switches: where does this frame come out, with which tag and which marking?

Carries frames through the tables of all switches as OpenFlow 1.3 has it: highest priority first, groups by
the liveness of their ports, meters taken as never full. Finds what must never happen: a frame that runs in
a circle, and two rules of one priority that both match.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from controllers.fabric import Tables
from controllers.flows import (
    ANY_VLAN,
    UNTAGGED,
    Action,
    FlowRule,
    FlowTable,
    Match,
    Output,
    PopTag,
    Purpose,
    PushTag,
    SetDscp,
    SetInPort,
    SetPriority,
    SetVlan,
    Table,
    ToController,
    ToGroup,
)
from uclab.plan.lan.spanning_trees import PortRef, trunks_between
from uclab.plan.schema.plan import SiteFabric

MOST_HOPS = 64
"""A frame that passes more switches is looping."""


@dataclass(frozen=True)
class Frame:
    """An Ethernet frame as far as rules look at it; `vlan` None is untagged."""

    eth_src: str
    eth_dst: str
    vlan: int | None = None
    pcp: int | None = None
    eth_type: int = 0x0800
    dscp: int | None = 0
    ip_proto: int | None = None
    ipv4_src: str | None = None
    ipv4_dst: str | None = None
    udp_src: int | None = None
    udp_dst: int | None = None
    tcp_dst: int | None = None
    icmpv6_type: int | None = None
    arp_sha: str | None = None
    arp_spa: str | None = None
    arp_tpa: str | None = None


@dataclass(frozen=True)
class Delivery:
    """A frame that leaves the fabric at an edge port, and the ports by which it entered switches before."""

    port: PortRef
    frame: Frame
    way: tuple[PortRef, ...]


@dataclass
class Outcome:
    """What became of a frame."""

    deliveries: list[Delivery] = field(default_factory=list)
    reports: list[tuple[PortRef, Purpose]] = field(default_factory=list)
    """Ports whose frames a switch reported, and why."""

    @property
    def ports(self) -> list[PortRef]:
        """Where it came out, sorted; a port twice where it came twice."""
        return sorted(delivery.port for delivery in self.deliveries)


class FabricFault(Exception):
    """The tables do something that a fabric must never do."""


class FakeFabric:
    """The switches of a site with given tables; ports in `ports_down`, and their far ends, have no link."""

    def __init__(
        self, fabric: SiteFabric, tables: Tables, ports_down: frozenset[PortRef] = frozenset()
    ) -> None:
        self._switches = {
            s.name: _FakeSwitch(s.name, tables[s.dpid]) for s in fabric.switches if s.controlled
        }
        self._far_end = {
            near: far for t in trunks_between(fabric.switches) for near, far in ((t.a, t.b), (t.b, t.a))
        }
        self._down = ports_down | {self._far_end[port] for port in ports_down if port in self._far_end}
        for name, switch in self._switches.items():
            switch.down = frozenset(port.port for port in self._down if port.switch == name)

    def send(self, port: PortRef, frame: Frame) -> Outcome:
        """Put a frame in at an edge port and follow all its copies. Raises `FabricFault`."""
        outcome = Outcome()
        pending: list[tuple[PortRef, Frame, tuple[PortRef, ...]]] = [(port, frame, (port,))]
        while pending:
            here, arrived, way = pending.pop()
            if len(way) > MOST_HOPS:
                raise FabricFault(f"forwarding loop: {' '.join(map(str, way))}")
            for number, sent in self._switches[here.switch].receive(here, arrived, outcome):
                out = PortRef(here.switch, number)
                if out in self._down:
                    continue
                far = self._far_end.get(out)
                if far is None:
                    outcome.deliveries.append(Delivery(out, sent, way))
                else:
                    pending.append((far, sent, (*way, far)))
        return outcome


class _Index:
    """A switch's tables made ready for looking up; what was found is kept, as many fabrics share tables."""

    def __init__(self, flow_table: FlowTable) -> None:
        self.groups = {group.id: group for group in flow_table.groups}
        self._rules: dict[Table, list[FlowRule]] = {table: [] for table in Table}
        for rule in sorted(flow_table.rules, key=lambda rule: -rule.priority):
            self._rules[rule.table].append(rule)
        self._found: dict[tuple[Table, int, Frame], FlowRule | None] = {}

    def lookup(self, table: Table, in_port: int, frame: Frame) -> FlowRule | None:
        """The rule for a frame. Raises `FabricFault` where two of the highest priority disagree."""
        key = (table, in_port, frame)
        if key not in self._found:
            self._found[key] = self._search(*key)
        return self._found[key]

    def _search(self, table: Table, in_port: int, frame: Frame) -> FlowRule | None:
        first: FlowRule | None = None
        for rule in self._rules[table]:
            if first is not None and rule.priority < first.priority:
                break
            if _matches(rule.match, in_port, frame):
                if first is not None and _does(rule) != _does(first):
                    raise FabricFault(f"both match {frame}: {first} and {rule}")
                first = first or rule
        return first


_index = lru_cache(maxsize=512)(_Index)


@dataclass
class _Packet:
    """A frame on its way through one switch's pipeline."""

    in_port: int
    frame: Frame


class _FakeSwitch:
    def __init__(self, name: str, table: FlowTable) -> None:
        self.name = name
        self.down: frozenset[int] = frozenset()
        self._index = _index(table)

    def receive(self, port: PortRef, frame: Frame, outcome: Outcome) -> Iterator[tuple[int, Frame]]:
        """The (port, frame) pairs that the switch sends for a frame."""
        if port.port in self.down:
            return
        packet = _Packet(port.port, frame)
        at: Table | None = Table.PORTS
        while at is not None:
            rule = self._index.lookup(at, packet.in_port, packet.frame)
            if rule is None:
                return
            if any(isinstance(action, ToController) for action in rule.actions):
                outcome.reports.append((port, rule.purpose))
            yield from self._apply(rule.actions, packet)
            if rule.goto is not None and rule.goto <= at:
                raise FabricFault(f"{self.name}: {rule} goes back")
            at = rule.goto

    def _apply(self, actions: tuple[Action, ...], packet: _Packet) -> Iterator[tuple[int, Frame]]:
        for action in actions:
            match action:
                case Output(port):
                    if port != packet.in_port:
                        yield port, packet.frame
                case ToGroup(number):
                    live = (b for b in self._index.groups[number].buckets if b.watch_port not in self.down)
                    if (bucket := next(live, None)) is not None:
                        yield from self._apply(bucket.actions, replace(packet))
                case SetInPort(port):
                    packet.in_port = port
                case ToController():
                    pass
                case _:
                    packet.frame = _changed(packet.frame, action)


def _matches(match: Match, in_port: int, frame: Frame) -> bool:
    """Whether a rule applies (OpenFlow's prerequisites are the switch's business)."""
    exact = (
        (match.in_port, in_port),
        (match.eth_src, frame.eth_src),
        (match.eth_type, frame.eth_type),
        (match.ip_proto, frame.ip_proto),
        (match.ip_dscp, frame.dscp),
        (match.udp_src, frame.udp_src),
        (match.icmpv6_type, frame.icmpv6_type),
        (match.arp_sha, frame.arp_sha),
    )
    return (
        all(wanted is None or wanted == found for wanted, found in exact)
        and _vlan_matches(match.vlan, frame.vlan)
        and (match.eth_dst is None or _mac_matches(match.eth_dst, frame.eth_dst))
        and _bits_match(match.udp_dst, frame.udp_dst)
        and _bits_match(match.tcp_dst, frame.tcp_dst)
        and _prefix_matches(match.arp_spa, frame.arp_spa)
        and _prefix_matches(match.arp_tpa, frame.arp_tpa)
        and _prefix_matches(match.ipv4_src, frame.ipv4_src)
        and _prefix_matches(match.ipv4_dst, frame.ipv4_dst)
    )


def _does(rule: FlowRule) -> tuple[object, ...]:
    return rule.actions, rule.goto, rule.meter


def _changed(frame: Frame, action: Action) -> Frame:
    if isinstance(action, PushTag):
        assert frame.vlan is None, "pushes a second tag"
        return replace(frame, vlan=action.vlan, pcp=0)
    if isinstance(action, SetDscp):
        assert frame.dscp is not None, "sets the DSCP of what has none"
        return replace(frame, dscp=action.dscp)
    assert frame.vlan is not None, f"{action} without a tag"
    match action:
        case PopTag():
            return replace(frame, vlan=None, pcp=None)
        case SetVlan(vlan):
            return replace(frame, vlan=vlan)
        case SetPriority(pcp):
            return replace(frame, pcp=pcp)
    raise AssertionError(f"unknown action {action}")


def _vlan_matches(wanted: int | None, found: int | None) -> bool:
    if wanted is None:
        return True
    if wanted == UNTAGGED:
        return found is None
    return found is not None and wanted in (ANY_VLAN, found)


def _mac(text: str) -> int:
    return int(text.replace(":", ""), 16)


def _mac_matches(wanted: str, found: str) -> bool:
    if wanted == found:
        return True
    if "/" not in wanted:
        return False
    address, _, mask = wanted.partition("/")
    return _mac(found) & _mac(mask) == _mac(address)


def _bits_match(wanted: tuple[int, int] | None, found: int | None) -> bool:
    return wanted is None or (found is not None and found & wanted[1] == wanted[0])


def _prefix_matches(wanted: str | None, found: str | None) -> bool:
    return wanted is None or (found is not None and IPv4Address(found) in IPv4Network(wanted))
