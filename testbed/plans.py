"""Plans of the shipped topologies, each made once: a plan is frozen, so all who look at it may share it."""

from __future__ import annotations

from functools import cache

from uclab.model.load import load_topology
from uclab.plan.planner import make_plan
from uclab.plan.schema.plan import Plan


@cache
def shipped_plan(name: str) -> Plan:
    """The plan of a topology of `topologies/`."""
    return make_plan(load_topology(name))
