"""What happens in a lab: each scenario drives a running lab over its API and leaves records for the judge."""

from uclab.scenarios.failover import asked_of_failover, failover
from uclab.scenarios.reference import asked_of_reference, reference
from uclab.scenarios.types import Options, Scenario, ScenarioProgress

SCENARIOS: dict[str, Scenario] = {
    "reference": Scenario(reference, asked_of_reference),
    "failover": Scenario(failover, asked_of_failover, checks="failover", breaks=True),
}

__all__ = ["SCENARIOS", "Options", "Scenario", "ScenarioProgress"]
