"""The main job of the product on its reference topology: everything holds, and the evidence is there."""

from __future__ import annotations

import json
import stat
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cloud_core.containers import SERVICE_ID
from tests.integration.labs import UclabCommand
from uclab.plan.schema.codec import from_data, plan_from_json
from uclab.records.captures import FILE as TIMES_FILE
from uclab.records.captures import CaptureTime
from uclab.records.host_pressure import FILE as PRESSURE_FILE
from uclab.records.host_pressure import HostSample

pytestmark = [
    pytest.mark.root,
    pytest.mark.quiet,
    pytest.mark.req("B1", "C1.1", "C1.2", "C1.4", "C2.3", "C3", "C4", "C7", "C8", "C9.1", "C9.2", "C9.4"),
    pytest.mark.req("D1", "D2", "D3", "D4", "D5", "D6", "L1", "L2", "Q1.1", "Q1.2", "V7.1", "V7.4"),
]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence of one run of `enterprise-hq`."""
    folder = tmp_path_factory.mktemp("reference")
    done = UclabCommand(folder)("run", "enterprise-hq", "--out", str(folder / "out"), status=None)
    assert done.returncode in (0, 1, 4), done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def results(run_dir: Path) -> dict[str, Any]:
    """Its `results.json`."""
    return dict(json.loads((run_dir / "results.json").read_text()))


def test_every_finding_holds(results: dict[str, Any]) -> None:
    broken = [finding for finding in results["findings"] if finding["verdict"] != "pass"]
    # a machine too slow for it shows less, and says so; it never makes anything fail
    assert all(finding["verdict"] == "not-shown" for finding in broken)
    dropped = any(finding["id"] == "capture.complete" for finding in broken)
    assert not broken or dropped or results["too_busy"]


def test_the_run_tells_when_each_capture_ran_and_how_the_machine_served_it(run_dir: Path) -> None:
    times = [
        from_data(CaptureTime, json.loads(line)) for line in (run_dir / TIMES_FILE).read_text().splitlines()
    ]
    captures = {path.stem for path in (run_dir / "captures").glob("*.pcapng")}
    for what in ("ready", "stopping", "ended"):
        assert {one.namespace for one in times if one.what == what} == captures
    samples = [
        from_data(HostSample, json.loads(line)) for line in (run_dir / PRESSURE_FILE).read_text().splitlines()
    ]
    # from before the first capture to the end, without a break
    assert samples[0].begin < min(one.time for one in times)
    assert all(abs(one.end - following.begin) < 0.01 for one, following in pairwise(samples))
    assert {one.node for sample in samples for one in sample.waited} <= {"", *captures, *nodes_of(run_dir)}


def nodes_of(run_dir: Path) -> set[str]:
    """All namespaces of the run's plan."""
    plan = plan_from_json((run_dir / "plan.json").read_text())
    return {node.name for node in plan.nodes} | {switch.engine for switch in plan.switches}


def test_nobody_else_can_read_the_run(run_dir: Path) -> None:
    # passwords, keys and recordings are in it; the containers' group has no members
    for path in (run_dir, *run_dir.rglob("*")):
        seen = path.lstat()
        assert not seen.st_mode & stat.S_IRWXO, path
        assert not seen.st_mode & stat.S_IRWXG or seen.st_gid == SERVICE_ID, path


def test_every_family_of_findings_is_there(results: dict[str, Any]) -> None:
    wanted = {
        "signalling.tls",
        "signalling.certificate",
        "signalling.registered",
        "message.delivered",
        "message.private",
        "media.srtp",
        "media.keys",
        "privacy.readable",
        "hub.media",
        "hub.signalling",
        "qos.dscp",
        "qos.pcp",
        "qos.trust",
        "path.as-planned",
        "signalling.untouched",
        "quality.voice",
        "quality.overload",
        "vlan.voice",
        "vlan.port-control",
        "audio.heard",
        "lab.isolation",
    }
    assert {finding["id"] for finding in results["findings"]} >= wanted


def test_each_kind_of_call_was_established(results: dict[str, Any]) -> None:
    kinds = {call["kind"] for call in results["calls"] if call["established"]}
    assert kinds == {
        "desk-desk",
        "desk-soft",
        "desk-pstn",
        "pstn-desk",
        "hold-transfer",
        "transferred",
        "overload",
    }
    assert sum(call["kind"] == "overload" for call in results["calls"]) == 4


def test_walks_name_every_hop_from_phone_to_cloud_and_back(results: dict[str, Any]) -> None:
    for walk in results["walks"]:
        devices = [hop["tap"].partition(":")[0] for hop in walk["hops"]]
        assert {"fw", "edge", "isp1", "fra1-sbc"} <= set(devices), walk["call"]


def test_reports_are_written_and_self_contained(run_dir: Path) -> None:
    page = (run_dir / "report.html").read_text()
    assert "<svg" in page
    assert 'src="http' not in page
    suite = ElementTree.parse(run_dir / "junit.xml").getroot()
    assert suite.get("failures") == "0"
    assert int(suite.get("tests", "0")) > 50


def test_judging_again_says_the_same(run_dir: Path, results: dict[str, Any]) -> None:
    again = json.loads(UclabCommand(run_dir)("judge", str(run_dir), "--json", status=None).stdout)
    assert again["findings"] == results["findings"]
