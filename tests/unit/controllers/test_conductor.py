"""The controller's decisions over time, with a simulated set of switches instead of sockets."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from controllers.fabric import compile_fabric
from controllers.fabric_controller import FabricController, Order, Replace, Update
from controllers.flows import Change, FlowTable
from testbed.fabrics import enterprise, hierarchy
from uclab.plan.lan.spanning_trees import Trunk
from uclab.plan.schema.plan import SiteFabric
from uclab.records.run import Event


class Switches:
    """Carries orders out on tables and acknowledges them when told to."""

    def __init__(self, fabric: SiteFabric) -> None:
        self.fabric = fabric
        self.now = 1000.0
        self.conductor = FabricController(fabric, clock=lambda: self.now)
        self.tables: dict[int, FlowTable] = {}
        self.events: list[Event] = []
        self.unacknowledged: list[int] = []
        self.messages = 0

    def carry_out(self, orders: Iterable[Order]) -> None:
        for order in orders:
            if isinstance(order, Event):
                self.events.append(order)
                continue
            if isinstance(order, Replace):
                self.tables[order.dpid] = order.table
            else:
                self.tables[order.dpid] = applied(self.tables[order.dpid], order.change)
                self.messages += order.change.size
            self.unacknowledged.append(order.dpid)

    def connect(self, dpid: int) -> None:
        ports = next(s for s in self.fabric.switches if s.dpid == dpid).ports
        self.carry_out(self.conductor.connected(dpid, [port.number for port in ports]))

    def connect_all(self) -> None:
        for switch in self.fabric.switches:
            self.connect(switch.dpid)
        self.settle()

    def settle(self) -> None:
        while self.unacknowledged:
            self.carry_out(self.conductor.acknowledged(self.unacknowledged.pop(0)))

    def set_trunk(self, trunk: Trunk, live: bool) -> None:
        dpids = {switch.name: switch.dpid for switch in self.fabric.switches}
        for end in (trunk.a, trunk.b):
            self.carry_out(self.conductor.port_changed(dpids[end.switch], end.port, live))

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def applied(table: FlowTable, change: Change) -> FlowTable:
    """The table after the change, as a switch would have it."""
    rules = {rule.key: rule for rule in table.rules} | {rule.key: rule for rule in change.set_rules}
    for rule in change.delete_rules:
        del rules[rule.key]
    groups = {group.id: group for group in (*table.groups, *change.add_groups, *change.modify_groups)}
    for group in change.delete_groups:
        del groups[group.id]
    return FlowTable(frozenset(rules.values()), frozenset(groups.values()), table.meters)


@pytest.fixture
def switches() -> Switches:
    return Switches(enterprise())


def tree_link(switches: Switches) -> Trunk:
    return min(next(iter(switches.conductor.compiled.trees.values())), key=lambda trunk: trunk.a)


def test_the_fabric_is_ready_when_the_last_switch_has_acknowledged(switches: Switches) -> None:
    for switch in switches.fabric.switches:
        switches.connect(switch.dpid)
    while len(switches.unacknowledged) > 1:
        switches.carry_out(switches.conductor.acknowledged(switches.unacknowledged.pop(0)))
    assert "fabric-ready" not in switches.kinds()
    switches.settle()
    assert switches.kinds().count("fabric-ready") == 1
    assert switches.tables == compile_fabric(switches.fabric).tables


@pytest.mark.req("V4.3")
def test_a_lost_trunk_leads_to_new_trees_by_few_messages(switches: Switches) -> None:
    switches.connect_all()
    lost = tree_link(switches)
    switches.set_trunk(lost, live=False)
    switches.settle()
    compiled = switches.conductor.compiled
    assert all(lost not in tree for tree in compiled.trees.values())
    assert switches.tables == compiled.tables
    assert switches.kinds()[-1] == "fabric-converged"
    assert switches.messages < sum(len(table.rules) for table in switches.tables.values()) / 2


@pytest.mark.req("V4.3")
def test_a_returned_trunk_leads_back_to_the_first_trees(switches: Switches) -> None:
    switches.connect_all()
    lost, before = tree_link(switches), switches.conductor.compiled.trees
    for live in (False, True):
        switches.set_trunk(lost, live)
        switches.settle()
    assert switches.conductor.compiled.trees == before
    assert switches.kinds().count("fabric-converged") == 2


def test_news_during_a_change_are_acted_on_after_it(switches: Switches) -> None:
    switches.connect_all()
    lost = tree_link(switches)
    switches.set_trunk(lost, live=False)
    switches.set_trunk(lost, live=True)
    switches.settle()
    assert lost in switches.conductor.compiled.trees[110]
    assert switches.tables == switches.conductor.compiled.tables


def test_nothing_changes_while_a_switch_is_away(switches: Switches) -> None:
    # given a switch whose control connection is lost
    switches.connect_all()
    away = switches.fabric.switches[-1].dpid
    switches.carry_out(switches.conductor.disconnected(away))
    # when a trunk is lost, nothing is sent
    switches.set_trunk(tree_link(switches), live=False)
    assert switches.unacknowledged == []
    # then all is made up for when it is back, beginning with its own table
    switches.connect(away)
    switches.settle()
    assert switches.tables == switches.conductor.compiled.tables
    assert switches.kinds()[-1] == "fabric-converged"


def test_a_switch_that_returns_in_the_middle_of_a_change_gets_the_present_stage(switches: Switches) -> None:
    switches.connect_all()
    switches.set_trunk(tree_link(switches), live=False)
    dpid = switches.unacknowledged.pop(0)
    switches.carry_out(switches.conductor.disconnected(dpid))
    switches.tables.pop(dpid)
    switches.connect(dpid)
    switches.settle()
    assert switches.tables == switches.conductor.compiled.tables


def test_a_refused_rule_is_told_once_and_the_fabric_is_not_ready(switches: Switches) -> None:
    first = switches.fabric.switches[0].dpid
    for switch in switches.fabric.switches:
        switches.connect(switch.dpid)
    for _ in range(3):
        switches.carry_out(switches.conductor.rejected(first, "error type 6 for group 7"))
    switches.settle()
    assert switches.kinds().count("flow-rejected") == 1
    assert "fabric-ready" not in switches.kinds()


def test_links_of_edge_ports_are_told_but_change_nothing(switches: Switches) -> None:
    switches.connect_all()
    access = next(s for s in switches.fabric.switches if s.name == "acc1")
    switches.carry_out(switches.conductor.port_changed(access.dpid, 1, False))
    assert (switches.events[-1].source, switches.events[-1].kind) == ("acc1:1", "link-down")
    assert switches.unacknowledged == []


def test_a_link_without_a_way_around_is_named() -> None:
    switches = Switches(hierarchy(1, 0, 1))
    switches.connect_all()
    assert "no bypass for acc1:3-core1:1" in switches.events[-1].detail


def test_ports_outside_the_plan_are_ignored(switches: Switches) -> None:
    switches.connect_all()
    assert switches.conductor.port_changed(1, 0xFFFFFFFE, False) == []


def test_an_update_is_only_the_difference() -> None:
    switches = Switches(enterprise())
    switches.connect_all()
    orders = switches.conductor.port_changed(5, 1, False)
    assert not any(isinstance(order, Update) for order in orders)
