"""Every verdict can fail: each test breaks one thing and sees exactly the right finding fail, with the
culprit named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.labs import UclabCommand
from uclab.plan.faults.catalogue import FAULTS

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
    "rtcp-unmarked": "fra1-sbc",
    "sip-alg": "edge",
    "backup-preferred": "edge",
    "wan-balanced-per-packet": "edge",
    "asymmetric-routing": None,
    "exchange-clears-dscp": "ix1",
    "failback-flaps": "edge",
    "connection-flood": "web",
    "half-open-flood": "web",
    "password-guessing": "web",
    "media-injected": "web",
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
SHARED = (
    ("rtp-plain", "dscp-cleared", "port-wrongly-trusted", "rtcp-unmarked", "password-guessing"),
    ("queues-removed", "phone-in-data-vlan"),
    ("media-rule-missing", "foreign-mac", "connection-flood"),
)
"""Faults of one site that share a lab: what each breaks is told apart. `make drills` tries each alone."""
ON_REQUEST = {
    "foreign-certificate",
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
    "filter-missing",
    "labels-shared",
    "circuit-opened",
    "backup-preferred",
    "half-open-flood",
    "media-injected",
}
"""Tried by `make drills`, for the time they take: others of their kind are tried every time."""
EVERY = bool(os.environ.get("UCLAB_ALL_FAULTS"))
ALONE = set(CULPRITS) - (set() if EVERY else ON_REQUEST.union(*SHARED))
NEEDS_MORE = {"circuit-too-narrow"}
"""Tried by hand: phones take their time where not even one call fits."""


FLOODS = {"connection-flood", "half-open-flood"}
"""They take a processor for themselves."""


def _tried(*faults: str) -> Any:
    return pytest.param(faults, id="+".join(faults), marks=[pytest.mark.quiet] if FLOODS & {*faults} else [])


def test_every_fault_has_its_drill() -> None:
    assert {*CULPRITS, *NEEDS_MORE} == set(FAULTS)


@pytest.mark.parametrize(
    "faults", [_tried(*faults) for faults in (*SHARED, *((one,) for one in sorted(ALONE)))]
)
def test_faults_break_their_findings_and_no_others(faults: tuple[str, ...], tmp_path: Path) -> None:
    # given a lab with deliberate faults, when it is run and judged against the clean plan
    known = [FAULTS[fault] for fault in faults]
    done = UclabCommand(tmp_path)(
        "run",
        TOPOLOGIES.get(faults[0], "small-office"),
        *(word for fault in faults for word in ("--fault", fault)),
        "--scenario",
        known[0].scenario,
        *(word for name in known[0].incidents for word in ("--incident", name)),
        "--out",
        str(tmp_path / "out"),
        status=None,
    )
    # then a verdict fails,
    assert done.returncode == 1, done.stdout + done.stderr
    findings = json.loads((tmp_path / "out" / "results.json").read_text())["findings"]
    failed = [finding for finding in findings if finding["verdict"] == "fail"]
    # and exactly the findings that these faults must break,
    ids = {finding["id"] for finding in failed}
    must = {finding for fault in known for finding in fault.breaks}
    may = {finding for fault in known for finding in fault.may_break}
    assert must <= ids <= must | may, done.stdout
    # and each device at fault is named by what its fault breaks
    for fault in known:
        blamed = {finding["blame"] for finding in failed if finding["id"] in fault.breaks}
        assert CULPRITS[fault.name] in {None, *blamed}, failed
