"""A site with nothing but a satellite: calls work over either kind, only the low orbit holds the policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.labs import UclabCommand

pytestmark = [pytest.mark.root, pytest.mark.req("W8"), pytest.mark.timeout(300)]


def _run(folder: Path, topology: str, status: int) -> dict[str, Any]:
    """The results of a run that has to end with that exit status."""
    UclabCommand(folder)("run", topology, "--out", str(folder / "out"), status=status)
    return dict(json.loads((folder / "out" / "results.json").read_text()))


def test_a_geostationary_line_carries_calls_and_fails_on_delay(tmp_path: Path) -> None:
    # given a site whose only line goes over a geostationary satellite
    # when the reference calls are placed over it
    results = _run(tmp_path, "satellite-geo", status=1)
    # then all of them are established
    assert all(call["established"] for call in results["calls"])
    # and what fails is the quality of voice, each time because of a delay that no line so high can avoid
    broken = [finding for finding in results["findings"] if finding["verdict"] != "pass"]
    assert {finding["id"] for finding in broken} == {"quality.voice", "quality.overload"}
    assert not [f for f in results["findings"] if f["id"].startswith("quality.") and f["verdict"] == "pass"]
    assert all(delay > 240 for call in results["calls"] for delay in call["delay_ms"].values())
    # and the finding names the device in front of which the time went
    quality = [finding for finding in broken if finding["id"] == "quality.voice"]
    assert {"geosat", "edge"} & {finding["blame"] for finding in quality}


def test_a_low_orbit_line_holds_the_policy(tmp_path: Path) -> None:
    # given the same site with a low-orbit satellite
    # when the reference calls are placed over it
    results = _run(tmp_path, "satellite-leo", status=0)
    # then voice keeps delay, loss and jitter of the policy
    quality = [finding for finding in results["findings"] if finding["id"].startswith("quality.")]
    assert quality
    assert {finding["verdict"] for finding in quality} == {"pass"}
