"""A site with nothing but a satellite: calls work over either, only the high one fails on delay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.labs import UclabCommand, on_request

pytestmark = [pytest.mark.root, pytest.mark.quiet, pytest.mark.req("W8"), pytest.mark.timeout(300)]


LOST = ("flow-failed", "registration-failed")


def _run(folder: Path, topology: str) -> dict[str, Any]:
    """The results of a run in which something violates the policy's limits, or is not shown to keep them."""
    done = UclabCommand(folder)("run", topology, "--out", str(folder / "out"), status=None)
    assert done.returncode in (1, 4), done.stdout + done.stderr
    results = dict(json.loads((folder / "out" / "results.json").read_text()))
    # a call may find no way while the line is overloaded: its one queue holds a second and loses half
    assert all(call["established"] for call in results["calls"] if call["kind"] != "overload")
    # encryption, the way of calls and marking hold over a satellite as over any other line
    failed = [finding for finding in results["findings"] if finding["verdict"] == "fail"]
    beside = {(finding["id"], finding["subject"]) for finding in failed if "quality." not in finding["id"]}
    # but for a voice that nobody understands while the line is overloaded, and phones that then lose their
    # registration: its one queue has no place of its own for signalling
    calls = json.loads((folder / "out" / "calls.json").read_text())
    overloaded_at = min(call["started_at"] for call in calls if call["kind"] == "overload")
    events = [json.loads(line) for line in (folder / "out" / "events.jsonl").read_text().splitlines()]
    assert all(event["time"] > overloaded_at for event in events if event["kind"] in LOST)
    told = {finding for finding in beside if finding[0] != "signalling.registered"}
    assert {finding for finding in told if not finding[1].startswith("overload")} == set()
    assert {finding[0] for finding in told} <= {"audio.heard", "call.established"}
    return results


@on_request
def test_a_geostationary_line_carries_calls_and_fails_on_delay(tmp_path: Path) -> None:
    # given a site whose only line goes over a geostationary satellite
    # when the reference calls are placed over it
    results = _run(tmp_path, "satellite-geo")
    # then no direction of any call holds the policy, because of a delay that no line so high can avoid; what
    # the line loses is another matter
    quality = [
        finding
        for finding in results["findings"]
        if finding["id"].startswith("quality.") and "delay" in finding["observed"]
    ]
    assert {finding["verdict"] for finding in quality} == {"fail"}
    measured = [
        delay for call in results["calls"] for delay in call["delay_ms"].values() if delay is not None
    ]
    assert measured
    assert all(delay > 240 for delay in measured)
    # and the finding names the device in front of which the time went
    assert {"geosat", "edge"} & {finding["blame"] for finding in quality}


def test_a_low_orbit_line_holds_delay_and_jitter_and_loses_in_bursts(tmp_path: Path) -> None:
    # given the same site with a low-orbit satellite
    # when the reference calls are placed over it
    results = _run(tmp_path, "satellite-leo")
    # then voice keeps the policy's delay and jitter while the line has room; its loss at handovers is more
    # than the policy allows
    for call in (call for call in results["calls"] if call["kind"] != "overload"):
        assert all(delay is not None and delay < 150 for delay in call["delay_ms"].values())
        assert all(jitter is not None and jitter < 30 for jitter in call["jitter_ms"].values())
    assert any(loss > 1 for call in results["calls"] for loss in call["loss_pct"].values())
