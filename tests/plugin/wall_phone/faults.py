"""What can be wrong with a wall phone."""

from dataclasses import replace

from uclab.plan.resolve.plan_edits import with_endpoint
from uclab.plan.schema.fault import pick, registered
from uclab.plan.schema.plan import Plan


@registered("wall-phone-codec", "a wall phone speaks mu-law", "wall-phone.codec", blames="wall1")
def speaks_mu_law(plan: Plan, target: str | None) -> Plan:
    """`target` is a wall phone."""
    phones = {one.name: one for one in plan.endpoints if one.kind == "wall-phone"}
    return with_endpoint(plan, replace(pick(phones, target, "wall phone"), codecs=("PCMU",)))
