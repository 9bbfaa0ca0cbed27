"""The controller carries out what the planner plans: every reference topology, every fault, every path."""

from __future__ import annotations

import pytest

from controllers.fabric import compile_fabric
from testbed.fabrics import hosts
from testbed.fake_fabric import FakeFabric
from testbed.plans import shipped_plan
from uclab.model.load import reference_topologies
from uclab.plan.faults.catalogue import FAULTS
from uclab.plan.schema.plan import Plan

PLANS = {name: shipped_plan(name) for name in reference_topologies()}
plans = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())


@plans
def test_every_fault_leaves_a_fabric_that_compiles(plan: Plan) -> None:
    for fault in FAULTS.values():
        try:
            faulted = fault.apply(plan, None)
        except KeyError:  # nothing there that the fault fits
            continue
        for fabric in faulted.fabrics:
            assert compile_fabric(fabric).tables


@pytest.mark.req("W10", "V4.3")
@plans
def test_frames_to_the_gateway_take_the_way_that_the_plan_says(plan: Plan) -> None:
    for fabric in plan.fabrics:
        fake = FakeFabric(fabric, compile_fabric(fabric).tables)
        senders = {host.mac: host for host in hosts(fabric)}
        gateways = {v.id: mac for v in fabric.vlans for mac in _macs_of(plan, v.gateway)}
        planned = [path for path in plan.paths if _mac(plan, path.endpoint) in senders]
        assert planned
        for path in planned:
            sender = senders[_mac(plan, path.endpoint)]
            (delivery,) = fake.send(sender.port, sender.frame(gateways[sender.vlan])).deliveries
            passed = [*map(str, delivery.way), str(delivery.port)]
            taps = [hop.tap for hop in path.hops]
            assert [tap for tap in taps if tap in passed] == passed


def _mac(plan: Plan, endpoint: str) -> str:
    return plan.node(plan.endpoint(endpoint).node).interfaces[0].mac


def _macs_of(plan: Plan, address: str) -> list[str]:
    return [
        interface.mac
        for node in plan.nodes
        for interface in node.interfaces
        if any(own.partition("/")[0] == address for own in interface.addresses)
    ]
