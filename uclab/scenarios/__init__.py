"""What happens in a lab: each scenario drives a running lab over its API and leaves records for the judge."""

from uclab.scenarios.failover import failover
from uclab.scenarios.reference import reference
from uclab.scenarios.types import Options, Scenario, Step

SCENARIOS: dict[str, Scenario] = {
    "reference": Scenario(reference),
    "failover": Scenario(failover, checks="failover", breaks=True),
}

__all__ = ["SCENARIOS", "Options", "Scenario", "Step"]
