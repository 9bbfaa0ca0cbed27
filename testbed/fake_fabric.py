"""A fabric of tables without switches: where does this frame come out, with which tag and which marking?

Carries frames through the tables of all switches as OpenFlow 1.3 has it: highest priority first, groups by
the liveness of their ports, meters taken as never full. Finds what must never happen: a frame that runs in
a circle, and two rules of one priority that both match.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from controllers.fabric import Tables
from controllers.flows import FlowRule, FlowTable, Purpose, Table
from uclab.plan.lan.spanning_trees import PortRef, trunks_between
from uclab.plan.schema.flow_simulation import Check, Frame, Tag, changed, check_of
from uclab.plan.schema.flows import CUSTOMER_TAG, IPV4, FlowAction
from uclab.plan.schema.plan import SiteFabric


class FabricFault(Exception):
    """The tables do something that a fabric must never do."""


def ethernet(
    eth_src: str,
    eth_dst: str,
    vlan: int | None = None,
    pcp: int | None = None,
    eth_type: int = IPV4,
    dscp: int | None = 0,
    **fields: Any,
) -> Frame:
    """A frame with one customer's tag, or none."""
    tags = () if vlan is None else (Tag(CUSTOMER_TAG, vlan, pcp or 0),)
    return Frame(eth_type, dscp, tags, eth_src=eth_src, eth_dst=eth_dst, **fields)


MOST_HOPS = 64
"""A frame that passes more switches is looping."""


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


@dataclass(frozen=True)
class _Candidate:
    """A rule made ready for trying."""

    rule: FlowRule
    matches: Check
    """Whether the rule applies to a frame of its port."""


class Lookup:
    """A switch's tables made ready for looking up; what was found is kept, as many fabrics share tables."""

    def __init__(self, flow_table: FlowTable) -> None:
        self.groups = {group.id: group for group in flow_table.groups}
        self._rules: dict[Table, list[_Candidate]] = {table: [] for table in Table}
        for rule in sorted(flow_table.rules, key=lambda rule: -rule.priority):
            self._rules[rule.table].append(_Candidate(rule, check_of(rule.match)))
        self._of_port: dict[tuple[Table, int], list[_Candidate]] = {}
        self._found: dict[tuple[Table, int, Frame], FlowRule | None] = {}

    def rule_for(self, table: Table, in_port: int, frame: Frame) -> FlowRule | None:
        """The rule for a frame. Raises `FabricFault` where two of the highest priority disagree."""
        key = (table, in_port, frame)
        if key not in self._found:
            self._found[key] = self._search(*key)
        return self._found[key]

    def _search(self, table: Table, in_port: int, frame: Frame) -> FlowRule | None:
        first: FlowRule | None = None
        for candidate in self._candidates(table, in_port):
            rule = candidate.rule
            if first is not None and rule.priority < first.priority:
                break
            if candidate.matches(frame):
                if first is not None and _does(rule) != _does(first):
                    raise FabricFault(f"both match {frame}: {first} and {rule}")
                first = first or rule
        return first

    def _candidates(self, table: Table, in_port: int) -> list[_Candidate]:
        """Rules of a table that frames of this port may meet, highest priority first."""
        key = (table, in_port)
        if key not in self._of_port:
            self._of_port[key] = [c for c in self._rules[table] if c.rule.match.in_port in (None, in_port)]
        return self._of_port[key]


def _does(rule: FlowRule) -> tuple[object, ...]:
    return rule.actions, rule.goto, rule.meter


_lookup = lru_cache(maxsize=512)(Lookup)


@dataclass
class _Packet:
    """A frame on its way through one switch's pipeline."""

    in_port: int
    frame: Frame


class _FakeSwitch:
    def __init__(self, name: str, table: FlowTable) -> None:
        self.name = name
        self.down: frozenset[int] = frozenset()
        self._lookup = _lookup(table)

    def receive(self, port: PortRef, frame: Frame, outcome: Outcome) -> Iterator[tuple[int, Frame]]:
        """The (port, frame) pairs that the switch sends for a frame."""
        if port.port in self.down:
            return
        packet = _Packet(port.port, frame)
        at: Table | None = Table.PORTS
        while at is not None:
            rule = self._lookup.rule_for(at, packet.in_port, packet.frame)
            if rule is None:
                return
            if any(action.kind == "controller" for action in rule.actions):
                outcome.reports.append((port, rule.purpose))
            yield from self._apply(rule.actions, packet)
            if rule.goto is not None and rule.goto <= at:
                raise FabricFault(f"{self.name}: {rule} goes back")
            at = rule.goto

    def _apply(self, actions: tuple[FlowAction, ...], packet: _Packet) -> Iterator[tuple[int, Frame]]:
        for action in actions:
            match action.kind:
                case "output":
                    if action.value != packet.in_port:
                        yield action.value, packet.frame
                case "group":
                    buckets = self._lookup.groups[action.value].buckets
                    live = (bucket for bucket in buckets if bucket.watch_port not in self.down)
                    if (bucket := next(live, None)) is not None:
                        yield from self._apply(bucket.actions, _Packet(packet.in_port, packet.frame))
                case "set-in-port":
                    packet.in_port = action.value
                case "controller":
                    pass
                case _:
                    assert action.kind != "push-vlan" or not packet.frame.tags, "pushes a second tag"
                    packet.frame = changed(packet.frame, action)
