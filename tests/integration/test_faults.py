"""Every verdict can fail: each test breaks one thing and sees exactly the right finding fail, with the
culprit named."""

from __future__ import annotations

import json
import os
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
    "wifi-naive-map": "ap1",
    "wifi-station-unmarked": "wifi1",
    "mpls-map-shifted": "mpls1-edge1",
    "service-tag-unmarked": "metro1-edge1",
    "labels-shared": "mpls1-edge1",
    "prefix-leaked": "edge",
    "filter-missing": "fra1-cc",
    "circuit-opened": "sdx1-1",
    "overlay-unmarked": "edge",
    "steering-stuck": "sdwan-controller",
    "dscp-cleared-by-isp": "isp1",
    "sip-alg": "edge",
    "backup-preferred": "edge",
    "wan-balanced-per-packet": "edge",
    "asymmetric-routing": None,
    "exchange-clears-dscp": "ix1",
    "failback-flaps": "edge",
    "connection-flood": "web",
    "half-open-flood": "web",
    "password-guessing": "web",
}
"""Fault, and the device, hop or port that the findings must blame; None where captures cannot tell."""
TOPOLOGIES = {
    "wifi-naive-map": "wifi-office",
    "wifi-station-unmarked": "wifi-office",
    "mpls-map-shifted": "mpls-branch",
    "service-tag-unmarked": "evpl-point-to-point",
    "labels-shared": "mpls-branch",
    "prefix-leaked": "cloudconnect-simplex-ott",
    "filter-missing": "cloudconnect-simplex-ott",
    "circuit-opened": "sdn-circuits",
    "overlay-unmarked": "sd-wan",
    "steering-stuck": "sd-wan",
    "backup-preferred": "smb-dual-wan",
    "wan-balanced-per-packet": "smb-dual-wan",
    "asymmetric-routing": "smb-dual-wan",
    "exchange-clears-dscp": "internet-exchange",
    "failback-flaps": "smb-dual-wan",
}
"""Where `small-office` has nothing that the fault fits."""
ON_REQUEST = {
    "dscp-cleared-by-isp",
    "media-direct",
    "wifi-station-unmarked",
    "mpls-map-shifted",
    "service-tag-unmarked",
    "prefix-leaked",
    "steering-stuck",
    "wan-balanced-per-packet",
    "asymmetric-routing",
    "exchange-clears-dscp",
    "failback-flaps",
    "half-open-flood",
    "password-guessing",
}
"""Tried by `make drills`, for the time they take: others of their kind are tried every time."""
TRIED = set(CULPRITS) - (set() if os.environ.get("UCLAB_ALL_FAULTS") else ON_REQUEST)
NEEDS_MORE = {"circuit-too-narrow"}
"""Tried by hand: phones take their time where not even one call fits."""


def test_every_fault_has_its_drill() -> None:
    assert {*CULPRITS, *NEEDS_MORE} == set(FAULTS)


@pytest.mark.parametrize("fault", sorted(TRIED))
def test_fault_breaks_its_findings_and_no_others(fault: str, tmp_path: Path) -> None:
    # given a lab with one deliberate fault, when it is run and judged against the clean plan
    known = FAULTS[fault]
    incidents = [word for name in known.incidents for word in ("--incident", name)]
    done = UclabCommand(tmp_path)(
        "run",
        TOPOLOGIES.get(fault, "small-office"),
        "--fault",
        fault,
        "--scenario",
        known.scenario,
        *incidents,
        "--out",
        str(tmp_path / "out"),
        status=None,
    )
    # then a verdict fails,
    assert done.returncode == 1, done.stdout + done.stderr
    findings = json.loads((tmp_path / "out" / "results.json").read_text())["findings"]
    failed = [finding for finding in findings if finding["verdict"] == "fail"]
    # and exactly the findings that this fault must break,
    assert known.is_caught_by({finding["id"] for finding in failed}), done.stdout
    # and the culprit is named
    assert CULPRITS[fault] in {None, *(finding["blame"] for finding in failed)}, failed
