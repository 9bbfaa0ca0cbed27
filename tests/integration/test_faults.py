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

pytestmark = [pytest.mark.root, pytest.mark.req("B5")]

SHARED = (
    ("rtp-plain", "dscp-cleared", "port-wrongly-trusted", "rtcp-unmarked", "password-guessing"),
    ("queues-removed", "phone-in-data-vlan"),
    ("media-rule-missing", "foreign-mac"),
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
    "connection-flood",
    "half-open-flood",
    "media-injected",
}
"""Tried by `make drills`, for the time they take: others of their kind are tried every time."""
EVERY = bool(os.environ.get("UCLAB_ALL_FAULTS"))
NEEDS_MORE = {"circuit-too-narrow"}
"""Tried by hand: phones take their time where not even one call fits."""
ALONE = set(FAULTS) - NEEDS_MORE - (set() if EVERY else ON_REQUEST.union(*SHARED))
FLOODS = {"connection-flood", "half-open-flood"}
"""They take a processor for themselves."""


def _tried(*faults: str) -> Any:
    return pytest.param(faults, id="+".join(faults), marks=[pytest.mark.quiet] if FLOODS & {*faults} else [])


@pytest.mark.parametrize(
    "faults", [_tried(*faults) for faults in (*SHARED, *((one,) for one in sorted(ALONE)))]
)
def test_faults_break_their_findings_and_no_others(faults: tuple[str, ...], tmp_path: Path) -> None:
    # given a lab with deliberate faults, when it is run and judged against the clean plan
    known = [FAULTS[fault] for fault in faults]
    must = {finding for fault in known for finding in fault.breaks}
    may = {finding for fault in known for finding in fault.may_break}

    def failed() -> list[dict[str, Any]]:
        results = tmp_path / "out" / "results.json"
        findings = json.loads(results.read_text())["findings"] if results.exists() else []
        return [finding for finding in findings if finding["verdict"] == "fail"]

    def caught() -> bool:
        return must <= {finding["id"] for finding in failed()} <= must | may

    done = UclabCommand(tmp_path)(
        "run",
        known[0].topology,
        *(word for fault in faults for word in ("--fault", fault)),
        "--scenario",
        known[0].scenario,
        *(word for name in known[0].incidents for word in ("--incident", name)),
        "--out",
        str(tmp_path / "out"),
        status=None,
        wanted=caught,
    )
    # then a verdict fails,
    assert done.returncode == 1, done.stdout + done.stderr
    # and exactly the findings that these faults must break,
    ids = {finding["id"] for finding in failed()}
    assert must <= ids <= must | may, done.stdout
    # and each culprit is named by what its fault breaks
    for fault in known:
        blamed = {finding["blame"] for finding in failed() if finding["id"] in fault.breaks}
        assert fault.blames in {None, *blamed}, failed()
