"""All deliberate faults: each breaks one thing in a plan, and exactly the findings named in `breaks` must
then fail.

The lab is brought up by the faulted plan; the judge holds the captures against the clean one. A fault's
target is a device (a phone for faults of phones, a router for faults of routers); without one the first
that fits is taken.
"""

from __future__ import annotations

from uclab.plan.schema.fault import FAULTS, Fault
from uclab.plan.schema.plan import Plan

__all__ = ["FAULTS", "Fault", "fitting"]


def fitting(plan: Plan) -> tuple[str, ...]:
    """The faults that the plan has something for, by name."""
    return tuple(name for name in sorted(FAULTS) if _fits(FAULTS[name], plan))


def _fits(fault: Fault, plan: Plan) -> bool:
    try:
        fault.apply(plan, None)
    except KeyError:
        return False
    return True
