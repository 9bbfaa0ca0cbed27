"""From a site's plan to the tables of its switches: the controller's core, a pure function (D2, N3, V4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controllers.bypass import Bypasses, plan_bypasses
from controllers.fabric_topology import FabricTopology, lay_out
from controllers.flows import FlowTable
from controllers.forwarding import Trees, bypass_groups, bypass_rules, flood_rules, forward_rules
from controllers.ingress_filter import admission_meters, admission_rules
from controllers.marking import marking_rules, priority_rules
from uclab.plan.lan.spanning_trees import PortRef, spanning_tree
from uclab.plan.schema.plan import SiteFabric

Tables = Mapping[int, FlowTable]
"""Tables by datapath id."""


@dataclass(frozen=True)
class CompiledFabric:
    """What all switches are to hold, and the decisions it was made of."""

    layout: FabricTopology
    ports_down: frozenset[PortRef]
    trees: Trees
    bypasses: Bypasses
    tables: Tables

    @property
    def unprotected(self) -> tuple[str, ...]:
        """Tree links whose failure would cut something off until the controller acts, or for good."""
        links = {trunk for tree in self.trees.values() for trunk in tree}
        covered = {hop.exit for hop in self.bypasses}
        return tuple(sorted(f"{t.a}-{t.b}" for t in links if not {t.a, t.b} <= covered))


def compile_fabric(
    fabric: SiteFabric,
    ports_down: frozenset[PortRef] = frozenset(),
    previous: Bypasses | None = None,
) -> CompiledFabric:
    """The tables of every switch of the site; the trees avoid trunks that have an end in `ports_down`.

    `previous` are the bypasses that switches hold at present: they keep their tags. Raises `FabricError`.
    """
    layout = lay_out(fabric)
    trees = {vlan: spanning_tree(layout.trunks, fabric.root_order, vlan, ports_down) for vlan in layout.vlans}
    bypasses = plan_bypasses(layout, trees, ports_down, previous or {})
    tables = {s.dpid: _table(layout, name, trees, bypasses) for name, s in layout.switches.items()}
    return CompiledFabric(layout, ports_down, trees, bypasses, tables)


def _table(layout: FabricTopology, switch: str, trees: Trees, bypasses: Bypasses) -> FlowTable:
    policy = layout.fabric.policy
    rules = {
        *admission_rules(layout, switch),
        *priority_rules(policy),
        *forward_rules(layout, switch, trees, bypasses),
        *flood_rules(layout, switch, trees, bypasses),
        *bypass_rules(switch, bypasses),
    }
    if layout.edge_ports[switch]:
        rules.update(marking_rules(policy))
    return FlowTable(
        frozenset(rules),
        frozenset(bypass_groups(switch, bypasses)),
        frozenset(admission_meters(layout, switch)),
    )
