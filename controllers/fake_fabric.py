"""A fabric of tables without switches: where does this frame come out, with which tag and which marking?

Carries frames through the tables of all switches as OpenFlow 1.3 has it: highest priority first, groups by
the liveness of their ports, meters taken as never full. Finds what must never happen: a frame that runs in
a circle, and two rules of one priority that both match.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from controllers.fabric import Tables
from controllers.fake_lookup import FabricFault, Frame, Lookup
from controllers.flows import (
    Action,
    FlowTable,
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

__all__ = ["Delivery", "FabricFault", "FakeFabric", "Frame", "Outcome"]

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
                    live = (b for b in self._lookup.groups[number].buckets if b.watch_port not in self.down)
                    if (bucket := next(live, None)) is not None:
                        yield from self._apply(bucket.actions, _Packet(packet.in_port, packet.frame))
                case SetInPort(port):
                    packet.in_port = port
                case ToController():
                    pass
                case _:
                    packet.frame = _changed(packet.frame, action)


@lru_cache(maxsize=1 << 16)
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
