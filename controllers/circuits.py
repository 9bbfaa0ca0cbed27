"""Private circuits across an exchange's switches: what each switch is to hold (W5).

A circuit joins a VLAN of one customer port to a VLAN of another. Between switches it runs under a VLAN id of
its own, so that whatever ids the customers use, no two circuits meet. Policy, marking and rate are applied
where a frame comes in; what no rule names is dropped there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network

from controllers.fabric import Tables
from controllers.flows import FlowRule, FlowTable, MeterRule, RateUnit, Table
from controllers.ingress_filter import ARP, IPV4
from uclab.plan.lan.spanning_trees import PortRef, Trunk, is_edge_port, shortest_path, trunks_between
from uclab.plan.schema.flows import Match, output, set_dscp, set_pcp, set_vlan
from uclab.plan.schema.plan import SiteFabric

LOWEST_TAG, HIGHEST_TAG = 2, 4094
"""VLAN ids between switches (IEEE 802.1Q: 0 and 4095 are reserved, 1 is many bridges' default)."""
RULE = 50
"""Priority of all rules: none of two circuits can match the same frame."""


class CircuitRefused(Exception):
    """The circuit cannot be made; the message names the object and the way out."""


@dataclass(frozen=True)
class End:
    """Where a customer hands frames over: a port, a VLAN (1..4094), and the prefixes that live behind it."""

    port: PortRef
    vlan: int
    prefixes: tuple[IPv4Network, ...]

    def __str__(self) -> str:
        return f"{self.port} VLAN {self.vlan}"


@dataclass(frozen=True)
class Circuit:
    """A private circuit and its policy. IPv4 passes from the prefixes of one end to those of the other."""

    name: str
    a: End
    b: End
    rate_kbps: int
    """In each direction, at the entrance."""
    pcp: int | None = 0
    """802.1p priority that all its frames get, 0..7; None keeps the sender's."""
    dscp: int | None = None
    """What all its packets are marked with, 0..63; None keeps the sender's mark."""
    allowed_dscp: frozenset[int] | None = None
    """Marks with which packets may come in; None is any."""

    @property
    def directions(self) -> tuple[tuple[End, End], tuple[End, End]]:
        """From where to where."""
        return (self.a, self.b), (self.b, self.a)


class Exchange:
    """The circuits of an exchange. Each change is checked; what is refused changes nothing."""

    def __init__(self, fabric: SiteFabric) -> None:
        self._fabric = fabric
        self._dpids = {s.name: s.dpid for s in fabric.switches if s.controlled}
        self._trunks = trunks_between(fabric.switches)
        self._customer_ports = {
            PortRef(s.name, p.number)
            for s in fabric.switches
            if s.controlled
            for p in s.ports
            if is_edge_port(p, fabric.switches)
        }
        self._circuits: dict[str, Circuit] = {}
        self._tags: dict[str, int] = {}
        self._free_tags = list(range(LOWEST_TAG, HIGHEST_TAG + 1))
        self._owners: dict[tuple[PortRef, int], str] = {}

    @property
    def circuits(self) -> Mapping[str, Circuit]:
        """By name."""
        return dict(self._circuits)

    def put(self, circuit: Circuit) -> None:
        """Create a circuit, or change the one of that name. Raises `CircuitRefused`."""
        for end in (circuit.a, circuit.b):
            self._check(circuit, end)
        if circuit.a.port == circuit.b.port:
            raise CircuitRefused(
                f"circuit `{circuit.name}`: both ends are at {circuit.a.port}; use two ports"
            )
        self._path(circuit.a, circuit.b)
        if circuit.name in self._tags:
            self._release(self._circuits[circuit.name])
        elif self._free_tags:
            self._tags[circuit.name] = heapq.heappop(self._free_tags)
        else:
            count = HIGHEST_TAG - LOWEST_TAG + 1
            raise CircuitRefused(f"all {count} VLAN ids are in use; remove a circuit first")
        self._circuits[circuit.name] = circuit
        self._owners |= {(end.port, end.vlan): circuit.name for end in (circuit.a, circuit.b)}

    def remove(self, name: str) -> None:
        """Remove a circuit. Raises `KeyError` where there is none."""
        self._release(self._circuits.pop(name))
        heapq.heappush(self._free_tags, self._tags.pop(name))

    def tables(self) -> Tables:
        """What every switch is to hold for the present circuits."""
        rules: dict[int, set[FlowRule]] = {dpid: set() for dpid in self._dpids.values()}
        meters: dict[int, set[MeterRule]] = {dpid: set() for dpid in self._dpids.values()}
        for name, circuit in self._circuits.items():
            tag = self._tags[name]
            for number, (start, goal) in enumerate(circuit.directions):
                meter = MeterRule(2 * tag + number, circuit.rate_kbps, RateUnit.KBIT_PER_SECOND)
                meters[self._dpids[start.port.switch]].add(meter)
                for switch, rule in self._rules(circuit, start, goal, tag, meter.id):
                    rules[self._dpids[switch]].add(rule)
        return {
            dpid: FlowTable(frozenset(rules[dpid]), frozenset(), frozenset(meters[dpid])) for dpid in rules
        }

    def _rules(
        self, circuit: Circuit, start: End, goal: End, tag: int, meter: int
    ) -> Iterator[tuple[str, FlowRule]]:
        here, path = start.port.switch, self._path(start, goal)
        exits = [*_exits(path, here), goal.port]
        vlans = [tag] * len(path) + [goal.vlan]
        for allowed in admitted(circuit, start, goal):
            marks = () if circuit.dscp is None or allowed.eth_type != IPV4 else (set_dscp(circuit.dscp),)
            priority = () if circuit.pcp is None else (set_pcp(circuit.pcp),)
            actions = (set_vlan(vlans[0]), *priority, *marks)
            yield (
                here,
                FlowRule(Table.PORTS, RULE, allowed, (*actions, output(exits[0].port)), meter=meter),
            )
        for trunk, left, out, vlan in zip(path, exits, exits[1:], vlans[1:], strict=False):
            match = Match(in_port=trunk.other_end(left.switch).port, vlan=tag)
            yield out.switch, FlowRule(Table.PORTS, RULE, match, (set_vlan(vlan), output(out.port)))

    def _path(self, start: End, goal: End) -> tuple[Trunk, ...]:
        path = shortest_path(self._trunks, start.port.switch, goal.port.switch)
        if path is None:
            raise CircuitRefused(
                f"no cables lead from {start.port.switch} to {goal.port.switch}; add a trunk"
            )
        return path

    def _check(self, circuit: Circuit, end: End) -> None:
        if end.port not in self._customer_ports:
            known = ", ".join(map(str, sorted(self._customer_ports)))
            raise CircuitRefused(
                f"circuit `{circuit.name}`: {end.port} is no customer port; there are: {known}"
            )
        if not end.prefixes:
            raise CircuitRefused(
                f"circuit `{circuit.name}`: nothing may pass at {end}; give it `prefixes: [...]`"
            )
        owner = self._owners.get((end.port, end.vlan), circuit.name)
        if owner != circuit.name:
            raise CircuitRefused(
                f"circuit `{circuit.name}`: {end} belongs to circuit `{owner}`; take another VLAN"
            )

    def _release(self, circuit: Circuit) -> None:
        for end in (circuit.a, circuit.b):
            del self._owners[end.port, end.vlan]


def admitted(circuit: Circuit, start: End, goal: End) -> Iterator[Match]:
    """All that may come in at an end: IPv4 by the policy, and the ARP that goes with it."""
    for source in start.prefixes:
        for target in goal.prefixes:
            entrance = Match(start.port.port, start.vlan)
            yield replace(entrance, eth_type=ARP, arp_spa=str(source), arp_tpa=str(target))
            packets = replace(entrance, eth_type=IPV4, ipv4_src=str(source), ipv4_dst=str(target))
            for dscp in _each(circuit.allowed_dscp):
                yield replace(packets, ip_dscp=dscp)


def _each(allowed: frozenset[int] | None) -> Iterable[int | None]:
    return (None,) if allowed is None else sorted(allowed)


def _exits(path: tuple[Trunk, ...], at: str) -> Iterator[PortRef]:
    for trunk in path:
        yield trunk.end_at(at)
        at = trunk.other_end(at).switch
