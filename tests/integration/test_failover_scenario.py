"""Calls live through a cut of the preferred line: what callers noticed is measured, and its reasons told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.labs import UclabCommand

pytestmark = [pytest.mark.root, pytest.mark.quiet, pytest.mark.req("V2", "W9")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failover")


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    """`smb-dual-wan`, its first line black-holing everything during calls, then cut, then coming and
    going."""
    command = UclabCommand(folder)
    incidents = ("--incident", "circuit-black-holed", "--incident", "circuit-flaps")
    options = ("--scenario", "failover", *incidents, "--out", str(folder / "run"))
    command("run", "smb-dual-wan", *options, status=None)
    return dict(json.loads((folder / "run" / "results.json").read_text()))


def test_all_endpoints_have_a_live_call_when_the_line_is_cut(results: dict[str, Any]) -> None:
    for name, incident in zip(("circuit-black-holed", "circuit-flaps"), results["incidents"], strict=True):
        assert (incident["incident"], incident["subject"]) == (name, "edge-isp1")
        (once,) = incident["rounds"]
        assert (once["calls_placed"], once["calls_live"], once["calls_wanted"]) == (6, 6, 10)


def test_the_second_line_takes_over_at_once_and_its_calls_are_good(results: dict[str, Any]) -> None:
    for incident in results["incidents"]:
        (once,) = incident["rounds"]
        (lines,) = once["lines"]
        assert lines["wanted"] == lines["out"] == ["wan1", "wan2", "wan1"]
        assert once["new_address"]
        assert incident["detection_ms"]["median"] < 1000
        assert incident["gap_ms"]["out"]["median"] < 1000
    assert verdicts(results, "failover.detection") == {"pass"}
    assert verdicts(results, "failover.quality") == {"pass"}


def test_every_call_has_a_fate_and_both_directions_over_time(results: dict[str, Any]) -> None:
    for call in (call for incident in results["incidents"] for call in incident["rounds"][0]["calls"]):
        assert call["why"] or call["fate"] in ("kept", "re-established", "probe")
        assert {line for line, _, _ in call["caller_to_callee"]["lines"]} == {"wan1", "wan2"}
        assert max(mos for mos in call["caller_to_callee"]["mos"] if mos is not None) > 4


@pytest.mark.req("N5")
def test_a_line_that_comes_and_goes_is_taken_again_once(results: dict[str, Any]) -> None:
    assert verdicts(results, "failover.failback") == {"pass"}
    words = {f["observed"] for f in results["findings"] if f["subject"].endswith("edge-isp1: shop")}
    assert "failback to wan1 once, which failed 3 more times after the first restoration" in words


def test_encryption_and_marking_pass_meanwhile(results: dict[str, Any]) -> None:
    for name in ("media.srtp", "media.keys", "privacy.readable", "qos.dscp", "qos.pcp", "hub.media"):
        assert verdicts(results, name) == {"pass"}, name


def test_the_report_draws_the_calls_with_their_lines(results: dict[str, Any], folder: Path) -> None:
    page = (folder / "run" / "report.html").read_text()
    assert 'id="failover"' in page
    assert "Calls during circuit-flaps edge-isp1" in page


def verdicts(results: dict[str, Any], name: str) -> set[str]:
    """The verdicts of all findings of that id."""
    return {finding["verdict"] for finding in results["findings"] if finding["id"] == name}
