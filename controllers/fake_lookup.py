"""Which rule of a switch's tables a frame meets: highest priority first, as OpenFlow 1.3 has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network
from operator import attrgetter
from typing import Any

from controllers.flows import ANY_VLAN, UNTAGGED, FlowRule, FlowTable, Table


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

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(vars(self).values()))

    def __hash__(self) -> int:
        """Worked out once: frames are looked up at every table of every switch."""
        return self._hash


class FabricFault(Exception):
    """The tables do something that a fabric must never do."""


Check = Callable[[Frame], bool]


@dataclass(frozen=True)
class _Candidate:
    """A rule made ready for trying: the fields that must be equal in one go, then what needs arithmetic."""

    rule: FlowRule
    fields: Check
    checks: tuple[Check, ...]

    def matches(self, frame: Frame) -> bool:
        """Whether the rule applies to a frame of its port."""
        return self.fields(frame) and all(check(frame) for check in self.checks)


class Lookup:
    """A switch's tables made ready for looking up; what was found is kept, as many fabrics share tables."""

    def __init__(self, flow_table: FlowTable) -> None:
        self.groups = {group.id: group for group in flow_table.groups}
        self._rules: dict[Table, list[_Candidate]] = {table: [] for table in Table}
        for rule in sorted(flow_table.rules, key=lambda rule: -rule.priority):
            self._rules[rule.table].append(_candidate(rule))
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


def _candidate(rule: FlowRule) -> _Candidate:
    """What must hold of a frame for a rule to apply (OpenFlow's prerequisites are the switch's business)."""
    match = rule.match
    wanted: dict[str, Any] = {
        "eth_src": match.eth_src,
        "eth_type": match.eth_type,
        "ip_proto": match.ip_proto,
        "dscp": match.ip_dscp,
        "udp_src": match.udp_src,
        "icmpv6_type": match.icmpv6_type,
        "arp_sha": match.arp_sha,
    }
    exact = {name: value for name, value in wanted.items() if value is not None}
    checks: list[Check] = []
    if match.vlan == UNTAGGED:
        exact["vlan"] = None
    elif match.vlan == ANY_VLAN:
        checks.append(lambda frame: frame.vlan is not None)
    elif match.vlan is not None:
        exact["vlan"] = match.vlan
    if (mac := match.eth_dst) is not None:
        if "/" in mac:
            checks.append(lambda frame: _mac_matches(mac, frame.eth_dst))
        else:
            exact["eth_dst"] = mac
    if (udp := match.udp_dst) is not None:
        checks.append(lambda frame: _bits_match(udp, frame.udp_dst))
    if (tcp := match.tcp_dst) is not None:
        checks.append(lambda frame: _bits_match(tcp, frame.tcp_dst))
    prefixes = ("arp_spa", "arp_tpa", "ipv4_src", "ipv4_dst")
    checks += [
        _prefix_check(name, prefix) for name in prefixes if (prefix := getattr(match, name)) is not None
    ]
    return _Candidate(rule, _equal(exact), tuple(checks))


def _equal(exact: dict[str, Any]) -> Check:
    """Whether all these fields of a frame have these values."""
    if not exact:
        return lambda _: True
    read = attrgetter(*exact)
    values = tuple(exact.values()) if len(exact) > 1 else next(iter(exact.values()))
    return lambda frame: bool(read(frame) == values)


def _prefix_check(name: str, prefix: str) -> Check:
    """Whether an address of a frame is in a network."""
    network, read = IPv4Network(prefix), attrgetter(name)
    return lambda frame: read(frame) is not None and IPv4Address(read(frame)) in network


def _does(rule: FlowRule) -> tuple[object, ...]:
    return rule.actions, rule.goto, rule.meter


@lru_cache(maxsize=4096)
def _mac(text: str) -> int:
    return int(text.replace(":", ""), 16)


def _mac_matches(wanted: str, found: str) -> bool:
    """Whether a MAC address has the bits of `address/mask`."""
    address, _, mask = wanted.partition("/")
    return _mac(found) & _mac(mask) == _mac(address)


def _bits_match(wanted: tuple[int, int], found: int | None) -> bool:
    return found is not None and found & wanted[1] == wanted[0]
