"""The number of calls that a line carries, computed and counted in a lab; and what makes them differ."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.labs import UclabCommand, on_request
from uclab.cli.status import NOT_SHOWN

pytestmark = [
    pytest.mark.root,
    pytest.mark.quiet,
    pytest.mark.req("B4"),
    pytest.mark.req("C8"),
    pytest.mark.req("Q2"),
    pytest.mark.req("D11"),
    pytest.mark.timeout(400),
]


def _measured(folder: Path, *arguments: str, status: int) -> dict[str, Any]:
    """What `uclab capacity small-office --measure --json` prints of its one line."""
    out = ("--out", str(folder / "out"))
    done = UclabCommand(folder)(
        "capacity", "small-office", "--measure", "--json", *out, *arguments, status=status
    )
    (found,) = json.loads(done.stdout)["measured"]
    return dict(found)


@on_request
def test_as_many_calls_hold_as_were_computed(tmp_path: Path) -> None:
    # given a line of 2 Mbit/s that bulk overloads, when calls are placed until voice violates the policy's
    # limits
    found = _measured(tmp_path, status=0)
    # then the number is the computed one, in the direction that is narrow, and the queue of voice gave way
    assert found["verdict"] == "pass", found
    up, down = found["ways"]
    assert (up["way"], up["computed"], up["measured"], up["bound"]) == ("up", 18, 18, "exactly")
    assert down["measured"] >= down["computed"]
    assert (up["gave_way"], up["next"]) == ("voice", "signalling")
    assert up["dropped"]["default"] > 0


@on_request
@pytest.mark.parametrize(
    ("fault", "finding", "words"),
    [
        ("line-too-small", "capacity.measured", "18 computed"),
        ("relay-out-of-ports", "capacity.admitted", "503 No Media Relay"),
    ],
)
def test_what_carries_fewer_is_found(fault: str, finding: str, words: str, tmp_path: Path) -> None:
    found = _measured(tmp_path, "--way", "up", "--fault", fault, status=1)
    failed = {one["id"]: one["observed"] for one in found["not_held"] if one["verdict"] == "fail"}
    assert set(failed) == {finding}
    assert words in failed[finding]


@on_request
def test_ctrl_c_ends_a_measurement_early_and_keeps_what_there_is(tmp_path: Path) -> None:
    command = UclabCommand(tmp_path)
    process = command.start("capacity", "small-office", "--measure", "--out", str(tmp_path / "out"))
    placed = tmp_path / "out" / "campaign" / "callers.admissions.jsonl"
    until = time.monotonic() + 120
    while not (placed.exists() and placed.read_text().count("\n") >= 15):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=200)
    # then it is judged, and shows nothing
    assert process.returncode == NOT_SHOWN
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    found = next(one for one in results["findings"] if one["id"] == "capacity.measured")
    assert found["verdict"] == "not-shown"
