"""What a switch is told, free of any controller library: a pipeline of flow rules, groups, meters, and
changes of them.

Matches and actions are those of all flows (`uclab.plan.schema.flows`). Actions are applied at once, in order;
`goto` then continues in a later table. A frame that no rule matches is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import TypeVar

from uclab.plan.schema.flows import FlowAction, Match


class Table(IntEnum):
    """The pipeline. Frames from edge ports pass all of it, frames from trunks enter at `PRIORITY`."""

    PORTS = 0
    """Which VLAN is it? Access, phone and trunk ports; reserved multicast is filtered."""
    SECURITY = 1
    """Layer-2 port control (N3): may this MAC address send in this VLAN at this port?"""
    FILTER = 2
    """Frames that an endpoint has no business sending: DHCP answers, forged ARP, router advertisements."""
    TRUSTED = 3
    """Trust boundary, trusted side: the policy's own marks pass, others go by its ordered rules."""
    UNTRUSTED = 4
    """Trust boundary, other side: marked by the policy's ordered rules, whatever the sender wrote."""
    PRIORITY = 5
    """DSCP to 802.1p (Q1)."""
    FORWARD = 6
    """Where does this MAC address live in this VLAN?"""
    FLOOD = 7
    """Broadcast and multicast along the VLAN's tree."""


class Purpose(IntEnum):
    """Why a rule is there; carried in the flow's cookie, so that a report of the switch can be understood."""

    FORWARDING = 0
    PORT_SECURITY = 1
    VLAN_FILTER = 2
    ARP_FILTER = 3
    FRAME_FILTER = 4


def to_group(number: int) -> FlowAction:
    """Send by a group; what its buckets change does not outlive them."""
    return FlowAction("group", number)


def to_controller(max_len: int) -> FlowAction:
    """Report the beginning of the frame to the controller."""
    return FlowAction("controller", max_len)


def set_in_port(port: int) -> FlowAction:
    """Treat the frame as if it had come in there (Open vSwitch; a frame never leaves by its `in_port`)."""
    return FlowAction("set-in-port", port)


@dataclass(frozen=True)
class RuleKey:
    """What makes two rules the same rule: one replaces the other (OpenFlow 1.3 section 6.4)."""

    table: Table
    priority: int
    match: Match


@dataclass(frozen=True)
class FlowRule:
    """A rule of the switch's pipeline. Without timeouts: forwarding survives the controller."""

    table: Table
    priority: int
    match: Match
    actions: tuple[FlowAction, ...] = ()
    goto: Table | None = None
    meter: int | None = None
    purpose: Purpose = Purpose.FORWARDING

    @cached_property
    def key(self) -> RuleKey:
        """Its place in the table."""
        return RuleKey(self.table, self.priority, self.match)


@dataclass(frozen=True)
class Bucket:
    """One way out of a fast-failover group: taken while the watched port is live and none before it is."""

    watch_port: int
    actions: tuple[FlowAction, ...]


@dataclass(frozen=True)
class GroupRule:
    """A fast-failover group (OpenFlow 1.3 section 5.6.1): the switch itself picks the first live bucket."""

    id: int
    buckets: tuple[Bucket, ...]

    @property
    def key(self) -> int:
        """Its place among the groups."""
        return self.id


class RateUnit(IntEnum):
    """What a meter counts."""

    PACKETS_PER_SECOND = 0
    KBIT_PER_SECOND = 1


@dataclass(frozen=True)
class MeterRule:
    """Drops what comes faster than `rate`."""

    id: int
    rate: int
    unit: RateUnit = RateUnit.PACKETS_PER_SECOND

    @property
    def key(self) -> int:
        """Its place among the meters."""
        return self.id


Entry = TypeVar("Entry", FlowRule, GroupRule, MeterRule)


@dataclass(frozen=True)
class FlowTable:
    """Everything that one switch is to hold."""

    rules: frozenset[FlowRule] = frozenset()
    groups: frozenset[GroupRule] = frozenset()
    meters: frozenset[MeterRule] = frozenset()


@dataclass(frozen=True)
class Change:
    """How to get a switch from one table to another; additions replace what has the same place."""

    set_rules: tuple[FlowRule, ...] = ()
    delete_rules: tuple[FlowRule, ...] = ()
    add_groups: tuple[GroupRule, ...] = ()
    modify_groups: tuple[GroupRule, ...] = ()
    delete_groups: tuple[GroupRule, ...] = ()
    add_meters: tuple[MeterRule, ...] = ()
    modify_meters: tuple[MeterRule, ...] = ()
    delete_meters: tuple[MeterRule, ...] = ()
    size: int = field(init=False)
    """Number of messages."""

    def __post_init__(self) -> None:
        parts = (getattr(self, name) for name in Change.__dataclass_fields__ if name != "size")
        object.__setattr__(self, "size", sum(len(part) for part in parts))


def _by_key(entries: Iterable[Entry]) -> dict[object, Entry]:
    found: dict[object, Entry] = {}
    for entry in entries:
        if found.setdefault(entry.key, entry) != entry:
            raise ValueError(f"two different rules in one place: {entry} and {found[entry.key]}")
    return found


def _split(
    old: Iterable[Entry], new: Iterable[Entry]
) -> tuple[tuple[Entry, ...], tuple[Entry, ...], tuple[Entry, ...]]:
    before, after = _by_key(old), _by_key(new)
    added = tuple(entry for key, entry in after.items() if key not in before)
    modified = tuple(entry for key, entry in after.items() if key in before and before[key] != entry)
    deleted = tuple(entry for key, entry in before.items() if key not in after)
    return added, modified, deleted


def difference(old: FlowTable, new: FlowTable) -> Change:
    """Only what must change between two tables of one switch."""
    added, modified, deleted = _split(old.rules, new.rules)
    groups, meters = _split(old.groups, new.groups), _split(old.meters, new.meters)
    return Change(added + modified, deleted, *groups, *meters)
