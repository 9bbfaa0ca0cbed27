"""Every incident of every shipped topology happens in a lab, to live calls, and is restored (V2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.labs import on_request
from uclab.model.load import reference_topologies
from uclab.plan.traffic.incidents import planned_incidents
from uclab.scenarios.failover import Pace, failover
from uclab.scenarios.types import Options, ScenarioProgress
from uclab.testing import LabUnderTest

pytestmark = [pytest.mark.root, pytest.mark.req("V2"), pytest.mark.timeout(900)]

BRIEF = Pace(quiet_s=0.5, failed_s=4.0, healed_s=1.0, hold_after_s=2.0, spare_s=1.0, settle_s=4.0)
"""Long enough that everything is broken and restored; what callers noticed is judged elsewhere."""


@on_request
@pytest.mark.parametrize("topology", reference_topologies())
def test_every_incident_happens_and_is_restored(topology: str, tmp_path: Path) -> None:
    # given a shipped topology
    lab = LabUnderTest(topology, (), tmp_path / f"{topology}-run"[:40])
    try:
        # when each of its incidents happens in turn
        failover(lab.client, lab.plan, _ignored, Options(), BRIEF)
        # then each has broken what it was to break, in the way in which it was to, and nothing is left broken
        told = [event for event in _events(lab.run_dir) if event["kind"] in ("failed-on-purpose", "healed")]
        for incident in planned_incidents(lab.plan):
            for part in incident.parts:
                mine = [event["kind"] for event in told if event["source"] == part]
                assert "failed-on-purpose" in mine, f"{incident.name}: {part} was never broken"
                assert mine[-1] == "healed", f"{incident.name}: {part} was left broken"
        records = json.loads((lab.run_dir / "incidents.json").read_text())
        assert [record["name"] for record in records] == [one.name for one in planned_incidents(lab.plan)]
        assert lab.client.state()["failed"] == []
    finally:
        lab.close()


def _events(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]


def _ignored(_: ScenarioProgress) -> None:
    """Nobody watches."""
