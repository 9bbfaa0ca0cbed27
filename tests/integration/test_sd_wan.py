"""A brown-out of the preferred underlay during a call: voice goes over the other one, and comes back (W6)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.labs import UclabCommand
from uclab.api import judge_again
from uclab.lab.client import CallOrder, LabClient
from uclab.lab.directory import LABS_VARIABLE, find_lab
from uclab.model.load import load_topology, reference_directory
from uclab.records.run import CallRecord

pytestmark = [pytest.mark.root, pytest.mark.quiet, pytest.mark.req("W6", "V2", "V3", "Q1.5")]

CALL_S = 26
LOSS_PCT = 30
RULES = load_topology("sd-wan").policy.sd_wan
ON_A_BUSY_MACHINE_S = 8.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run directory of `sd-wan`, which is up; its second line does not lose in bursts as LTE does, which
    would make voice leave it too."""
    command = UclabCommand(tmp_path_factory.mktemp("sdwan"))
    calm = (reference_directory() / "sd-wan.yaml").read_text().replace("mobile-4g", "business-internet-10")
    (command.folder / "sd-wan.yaml").write_text(calm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LABS_VARIABLE, command.environment[LABS_VARIABLE])
        command("up", "./sd-wan.yaml", "--name", "overlay", "--out", str(command.folder / "run"))
        yield command.folder / "run"
        command("down", "--name", "overlay", status=None)


def client() -> LabClient:
    return LabClient(find_lab("overlay"))


def voice_path(lab: LabClient) -> str:
    """The path that the controller has chosen for voice."""
    return str(lab.overlays()["branch"]["choice"]["voice"])


def wait(wanted: Callable[[], bool], within_s: float) -> None:
    """Until something is so."""
    began = time.monotonic()
    while not wanted():
        assert time.monotonic() - began < within_s, f"not so after {within_s:g} s"
        time.sleep(0.05)


def events(run: Path, kind: str) -> list[tuple[float, str]]:
    """When there were events of a kind, and their details."""
    every = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [(event["time"], event["detail"]) for event in every if event["kind"] == kind]


def moves_of_voice(run: Path) -> list[tuple[float, dict[str, Any]]]:
    every = [(at, json.loads(detail)) for at, detail in events(run, "path-changed")]
    return [(at, move) for at, move in every if move["class"] == "voice"]


def test_a_brown_out_moves_voice_within_the_policys_limit_and_it_returns_after_hysteresis(run: Path) -> None:
    assert RULES is not None
    lab = client()
    # given a call over the preferred path
    said: list[CallRecord] = []
    order = CallOrder("brown-out", "desk1", "desk2", seconds=CALL_S)
    call = threading.Thread(target=lambda: said.append(client().call(order)))
    call.start()
    wait(lambda: bool(events(run, "call-established")), ON_A_BUSY_MACHINE_S)
    assert voice_path(lab) == "wan1"
    # when the line loses packets in both directions, its link still up
    lab.fail("edge-isp1", "brown-out", loss=LOSS_PCT)
    # then voice leaves it, at the latest when the window has filled and the policy's time has passed
    limit_s = RULES.window_s + RULES.leave_after_s
    wait(lambda: voice_path(lab) == "wan2", limit_s + ON_A_BUSY_MACHINE_S)
    # and comes back when the line is healed, no sooner than the policy says
    lab.heal("edge-isp1")
    wait(lambda: voice_path(lab) == "wan1", RULES.return_after_s + RULES.window_s + ON_A_BUSY_MACHINE_S)
    call.join()
    (left, there), (returned, back) = moves_of_voice(run)
    assert (there["from"], there["to"], back["from"], back["to"]) == ("wan1", "wan2", "wan2", "wan1")
    assert "loss" in there["why"]
    assert left - events(run, "failed-on-purpose")[0][0] < limit_s + 1
    assert returned - events(run, "healed")[0][0] >= RULES.return_after_s
    # and the call lived: both sides heard each other to the end
    [record] = said
    assert record.established
    assert record.caller_to_callee is not None
    assert record.callee_to_caller is not None
    assert record.caller_to_callee.heard
    assert record.callee_to_caller.heard
    # and that is what the captures show
    lab.down()
    findings = judge_again(run).judgement.findings
    its = {f.id: f.verdict for f in findings if f.id in ("sdwan.steering", "qos.overlay", "sdwan.sealed")}
    assert its == {"sdwan.steering": "pass", "qos.overlay": "pass", "sdwan.sealed": "pass"}
