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
from uclab.model.load import load_topology

pytestmark = [pytest.mark.root, pytest.mark.req("W6", "V2", "Q1")]

CALL_S = 36
RULES = load_topology("sd-wan").policy.sd_wan
BROWN_OUT = "loss=30"
"""Of the first line, in both directions, per cent; its link stays up."""


@pytest.fixture(scope="module")
def uclab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UclabCommand]:
    """The command with `sd-wan` up."""
    command = UclabCommand(tmp_path_factory.mktemp("sdwan"))
    command("up", "sd-wan", "--name", "overlay", "--out", str(command.folder / "run"))
    yield command
    command("down", "--name", "overlay", status=None)


def voice_path(uclab: UclabCommand) -> str:
    """The path that the controller has chosen for voice."""
    return str(uclab.json("sdwan", "--name", "overlay")["branch"]["choice"]["voice"])


def seconds_until(wanted: Callable[[], bool], within_s: float) -> float:
    """How long it took until something was so."""
    began = time.monotonic()
    while not wanted():
        assert time.monotonic() - began < within_s, f"not so after {within_s:g} s"
        time.sleep(0.1)
    return time.monotonic() - began


def test_a_brown_out_moves_voice_within_the_policys_limit_and_it_returns_after_hysteresis(
    uclab: UclabCommand,
) -> None:
    assert RULES is not None
    run = uclab.folder / "run"
    # given a call over the preferred path, which carries its class's DSCP outside
    said: list[Any] = []
    call = threading.Thread(
        target=lambda: said.append(
            uclab.json("call", "desk1", "desk2", "--seconds", str(CALL_S), "--name", "overlay")
        )
    )
    call.start()
    assert voice_path(uclab) == "wan1"
    time.sleep(3)  # of speech before it begins
    # when the line loses packets, its link still up
    began = time.time()
    uclab("fail", "edge-isp1", "--brown-out", BROWN_OUT, "--name", "overlay")
    # then voice leaves it, at the latest when the window has filled and the policy's time has passed
    seconds_until(lambda: voice_path(uclab) == "wan2", RULES.window_s + RULES.leave_after_s + 3)
    uclab("heal", "edge-isp1", "--name", "overlay")
    healed = time.time()
    # and comes back no sooner than the policy says
    seconds_until(lambda: voice_path(uclab) == "wan1", RULES.return_after_s + RULES.window_s + 5)
    assert time.time() - healed >= RULES.return_after_s
    call.join()
    moves = [e for e in events(run, "path-changed") if e["class"] == "voice"]
    assert [(move["from"], move["to"]) for move in moves] == [("wan1", "wan2"), ("wan2", "wan1")]
    assert "loss" in moves[0]["why"]
    assert moves[0]["time"] - began < RULES.window_s + RULES.leave_after_s + 1
    # and the call lived: both sides heard each other to the end
    assert said[0]["established"]
    assert said[0]["forward"]["heard"]
    assert said[0]["backward"]["heard"]
    uclab("down", "--name", "overlay")
    findings = {(f.id, f.verdict) for f in judge_again(run).judgement.findings}
    assert {("sdwan.steering", "pass"), ("qos.overlay", "pass"), ("sdwan.sealed", "pass")} <= findings


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    """Events of a kind: their detail, and when."""
    every = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [json.loads(e["detail"]) | {"time": e["time"]} for e in every if e["kind"] == kind]
