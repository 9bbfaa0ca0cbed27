"""What happens in a lab: each scenario drives a running lab over its API and leaves records for the judge."""

from uclab.scenarios.reference import reference
from uclab.scenarios.types import Scenario, Step

SCENARIOS: dict[str, Scenario] = {"reference": reference}

__all__ = ["SCENARIOS", "Scenario", "Step", "reference"]
