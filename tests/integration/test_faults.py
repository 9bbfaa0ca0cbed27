"""Every verdict can fail: each test breaks one thing and sees exactly the right finding fail, with the
culprit named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.labs import UclabCommand
from uclab.plan.faults import FAULTS

pytestmark = pytest.mark.root

CULPRITS = {
    "rtp-plain": "desk1",
    "foreign-certificate": "fra1-sbc",
    "verification-off": "desk1",
    "dscp-cleared": "edge",
    "port-wrongly-trusted": "sw1:5",
    "queues-removed": "edge",
    "phone-in-data-vlan": "desk1",
    "media-direct": "fw",
    "media-rule-missing": "fw",
    "foreign-mac": "sw1:1",
}
"""Fault on `small-office`, and the device, hop or port that the findings must blame."""


PRIVATE = {
    "prefix-leaked": ("cloudconnect-simplex-ott", "edge"),
    "filter-missing": ("cloudconnect-simplex-ott", "fra1-cc"),
    "circuit-opened": ("sdn-circuits", "sdx1-1"),
}
"""Faults of private circuits: topology and culprit."""
NEEDS_MORE = {"circuit-too-narrow"}
"""Tried by hand: phones take their time where not even one call fits."""


def test_every_fault_has_its_drill() -> None:
    assert {*CULPRITS, *PRIVATE, *NEEDS_MORE} == set(FAULTS)


@pytest.mark.parametrize("fault", sorted(CULPRITS))
def test_fault_breaks_its_findings_and_no_others(fault: str, tmp_path: Path) -> None:
    check("small-office", fault, CULPRITS[fault], tmp_path)


@pytest.mark.req("P3", "W5")
@pytest.mark.parametrize("fault", sorted(PRIVATE))
def test_fault_of_private_circuits_breaks_its_findings_and_no_others(fault: str, tmp_path: Path) -> None:
    topology, culprit = PRIVATE[fault]
    check(topology, fault, culprit, tmp_path)


def check(topology: str, fault: str, culprit: str, folder: Path) -> None:
    # given a lab with one deliberate fault, when it is run and judged against the clean plan
    done = UclabCommand(folder)("run", topology, "--fault", fault, "--out", str(folder / "out"), status=None)
    # then a verdict fails,
    assert done.returncode == 1, done.stdout + done.stderr
    findings = json.loads((folder / "out" / "results.json").read_text())["findings"]
    failed = [finding for finding in findings if finding["verdict"] == "fail"]
    # and exactly the findings that this fault must break,
    assert FAULTS[fault].is_caught_by({finding["id"] for finding in failed}), done.stdout
    # and the culprit is named
    assert culprit in {finding["blame"] for finding in failed}, failed
