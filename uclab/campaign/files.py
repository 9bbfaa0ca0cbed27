"""What a campaign, or a measurement of capacity, leaves in its run directory for the judge."""

from __future__ import annotations

import json
from pathlib import Path

from uclab import api
from uclab.access.private_files import write_private
from uclab.plan.codec import plan_to_json, to_data
from uclab.plan.load_record import CampaignRecord
from uclab.plan.records import ScenarioRecord
from uclab.plan.types import Plan


def write_campaign(folder: Path, record: CampaignRecord) -> None:
    """What was wanted, and how it ended."""
    write_private(folder, "campaign.json", json.dumps(to_data(record), indent=1) + "\n")


def write_judged(run_dir: Path, plan: Plan, scenario: ScenarioRecord) -> None:
    """The plan that the captures are held against, and the checks that they are judged by."""
    write_private(run_dir, "plan.json", plan_to_json(plan))
    api.record_scenario(run_dir, scenario)
