"""What a campaign, or a measurement of capacity, leaves in its run directory for the judge."""

from __future__ import annotations

from pathlib import Path

from uclab.access.private_files import write_private
from uclab.access.record_files import write_record
from uclab.plan.load.record import CampaignRecord
from uclab.plan.schema.codec import plan_to_json
from uclab.plan.schema.plan import Plan


def write_campaign(folder: Path, record: CampaignRecord) -> None:
    """What was wanted, and how it ended."""
    write_record(folder / "campaign.json", record)


def write_judged(run_dir: Path, plan: Plan) -> None:
    """The plan that the captures are held against: before anything happens, so that a campaign that was
    killed is judged by it, too."""
    write_private(run_dir, "plan.json", plan_to_json(plan))
