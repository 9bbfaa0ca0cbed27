"""From one set of tables to another without a loop, a duplicate or a gap on the way.

Switches change one after the other, so for moments some hold the old tables and some the new. Each stage of
a transition is a whole state of the fabric, and any mixture of a stage with the next one forwards without
loops:

1. make: all that is new and that nothing leads to yet (bypasses, groups); flooding only along the links of
   both trees, which are a forest;
2. flooding along the whole new tree, and unicast turned, nearest to each destination first: a switch is
   turned only after the switch that it will send to;
3. break: what nothing leads to any more.

The next stage begins when all switches have acknowledged the present one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controllers.fabric import CompiledFabric, Tables
from controllers.flows import FlowRule, FlowTable, RuleKey, Table
from controllers.forwarding import Trees, distances_from, flood_rules


def transition(old: CompiledFabric, new: CompiledFabric) -> Iterator[Tables]:
    """The stages from `old` to `new`, the last of them `new.tables`; none that changes nothing."""
    present = old.tables
    for stage in _stages(old, new):
        if stage != present:
            yield stage
        present = stage


def _stages(old: CompiledFabric, new: CompiledFabric) -> Iterator[Tables]:
    switches = [_SwitchTransition.between(old, new, name) for name in new.layout.switches]
    yield {switch.dpid: switch.made() for switch in switches}
    for distance in range(1, max(switch.farthest for switch in switches) + 1):
        yield {switch.dpid: switch.turned(distance) for switch in switches}
    yield new.tables


@dataclass(frozen=True)
class _SwitchTransition:
    """One switch's part. Rules are kept by their key, so that a later mapping in a union takes precedence."""

    dpid: int
    old: FlowTable
    new: FlowTable
    between_trees: frozenset[FlowRule]
    """Flooding along the links of both trees."""
    distance: Mapping[RuleKey, int]
    """Of each new unicast rule to where its address lives, in hops along the new tree."""

    @classmethod
    def between(cls, old: CompiledFabric, new: CompiledFabric, switch: str) -> _SwitchTransition:
        dpid = new.layout.switches[switch].dpid
        forest: Trees = {vlan: tree & new.trees[vlan] for vlan, tree in old.trees.items()}
        flooding = flood_rules(new.layout, switch, forest, {**old.bypasses, **new.bypasses})
        away = {vlan: distances_from(tree, switch) for vlan, tree in new.trees.items()}
        homes = {(vlan, mac): home.switch for (vlan, mac), home in new.layout.hosts.items()}
        distance = {}
        for rule in new.tables[dpid].rules:
            vlan, mac = rule.match.vlan, rule.match.eth_dst
            if rule.table is Table.FORWARD and vlan is not None and mac is not None:
                distance[rule.key] = away[vlan][homes[vlan, mac]]
        return cls(dpid, old.tables[dpid], new.tables[dpid], frozenset(flooding), distance)

    @property
    def farthest(self) -> int:
        """Distance of the farthest address whose rule changes."""
        changed = (rule.key for rule in self.new.rules - self.old.rules)
        return max((self.distance.get(key, 1) for key in changed), default=1)

    def made(self) -> FlowTable:
        """Old forwarding, narrowed flooding, and beside it all that is new."""
        before = {rule.key: rule for rule in self.old.rules}
        added = {
            rule.key: rule
            for rule in self.new.rules
            if rule.key not in before and rule.table not in (Table.FORWARD, Table.FLOOD)
        }
        narrowed = {rule.key: rule for rule in self.between_trees}
        old_groups = {group.id: group for group in self.old.groups}
        groups = {group.id: group for group in self.new.groups} | old_groups
        rules = before | added | narrowed
        return FlowTable(frozenset(rules.values()), frozenset(groups.values()), self.new.meters)

    def turned(self, distance: int) -> FlowTable:
        """New forwarding towards addresses at most so many hops away; what is old only is still there."""
        after = {rule.key: rule for rule in self.new.rules if self.distance.get(rule.key, 0) <= distance}
        old_groups = {group.id: group for group in self.old.groups}
        groups = old_groups | {group.id: group for group in self.new.groups}
        rules = {rule.key: rule for rule in self.old.rules} | after
        return FlowTable(frozenset(rules.values()), frozenset(groups.values()), self.new.meters)
