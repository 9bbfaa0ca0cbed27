"""A topology, read and planned once: what everything else begins with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from uclab.model.load import LoadedTopology, load_topology
from uclab.plan.capacity.calls_per_line import capacity
from uclab.plan.capacity.line_capacity import Capacity
from uclab.plan.planner import make_plan
from uclab.plan.schema.plan import Plan


@dataclass(frozen=True)
class PlannedTopology:
    """A topology, read and planned once, with what else follows from both."""

    loaded: LoadedTopology
    plan: Plan

    @cached_property
    def capacity(self) -> Capacity:
        """Need and room of each WAN line, in kbit/s and in calls."""
        return capacity(self.loaded, self.plan)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed in the topology and its policy, but will not do what is hoped of it:
        contradictions that can be built, and lines that are too small."""
        return (*(str(warning) for warning in self.loaded.warnings), *self.capacity.shortage)


def planned(topology: str) -> PlannedTopology:
    """A topology by path or name, with its plan. Raises `TopologyError`."""
    loaded = load_topology(topology)
    return PlannedTopology(loaded, make_plan(loaded))


def plan_of(topology: str) -> Plan:
    """The plan of a topology by path or name. Raises `TopologyError`."""
    return planned(topology).plan
