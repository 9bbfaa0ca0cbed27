"""Campaigns in labs: what many users meet, and each way in which that fails."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.labs import UclabCommand, on_request

pytestmark = [pytest.mark.root, pytest.mark.req("D11"), pytest.mark.timeout(400)]


def _campaign(folder: Path, *arguments: str, status: int, topology: str = "small-office") -> dict[str, Any]:
    """The results of a campaign."""
    UclabCommand(folder)("campaign", topology, *arguments, "--out", str(folder / "out"), status=status)
    return dict(json.loads((folder / "out" / "results.json").read_text()))


def _failed(results: dict[str, Any]) -> set[str]:
    return {one["id"] for one in results["findings"] if one["verdict"] == "fail"}


def _finding(results: dict[str, Any], name: str) -> dict[str, Any]:
    return next(dict(one) for one in results["findings"] if one["id"] == name)


@pytest.mark.req("C3", "C4")
def test_a_busy_hour_passes(tmp_path: Path) -> None:
    # given sixteen users on two load generators, when they have a busy hour of 25 s
    results = _campaign(
        tmp_path, "--users", "16", "--workers", "2", "--spawn-rate", "16", "--duration", "25", status=0
    )
    # then all of what campaigns are judged by was seen, and held
    ids = {one["id"] for one in results["findings"]}
    judged = ("generators", "registered", "established", "heard", "quality", "srtp")
    assert {f"load.{name}" for name in judged} <= ids
    assert results["verdict"] == "pass"
    # and there were calls from the telephone network and to it, over the real trunk, heard at both ends
    kinds = {one["subject"] for one in results["findings"] if one["id"] == "load.established"}
    assert "pstn" in kinds
    assert any(kind.endswith("-outside") for kind in kinds)
    sides = _legs(tmp_path / "out", "pstn")
    assert {side["role"] for side in sides} == {"caller", "callee"}
    assert all(side["heard"] for side in sides if side["status"] == 200)
    # and who was called there saw a direct number of the caller's, vouched for by the session controller
    direct = {side["peer"] for side in sides if side["role"] == "callee"}
    assert all(number.startswith("sip:+493052700") for number in direct), direct
    # and locust's own reports are there, with the names of RFC 6076's measurements
    folder = tmp_path / "out" / "campaign"
    assert (folder / "locust.html").stat().st_size > 10_000
    with (folder / "locust_stats.csv").open() as table:
        names = {row["Name"]: int(row["Failure Count"]) for row in csv.DictReader(table)}
    assert {"REGISTER", "INVITE", "BYE"} <= set(names)
    assert names["Aggregated"] == 0
    # and each cloud function's use of the processor is on record
    groups = {json.loads(line)["group"] for line in (folder / "usage.jsonl").read_text().splitlines()}
    assert {"fra1-sbc kamailio", "fra1-sbc rtpengine", "load generators", "switches"} <= groups
    # and what the queues at both ends of the line sent, second by second: voice is told from signalling
    uses = [json.loads(line) for line in (folder / "queues.jsonl").read_text().splitlines()]
    assert {use["tap"] for use in uses} == {"edge:wan1", "isp1:edge"}
    most = {one["name"]: 0.0 for one in uses[0]["classes"]}
    for use in uses:
        for one in use["classes"]:
            most[one["name"]] = max(most[one["name"]], one["sent_kbps"])
    assert most["voice"] > 80
    assert most["signalling"] > 1
    assert "queue of edge:wan1" in (tmp_path / "out" / "report.html").read_text()


def _legs(folder: Path, generator: str) -> list[dict[str, Any]]:
    """The sides of calls that a load generator had."""
    lines = (folder / "campaign" / f"{generator}.legs.jsonl").read_text().splitlines()
    return [dict(json.loads(line)) for line in lines]


@pytest.mark.req("C3", "C4", "C9.1")
@pytest.mark.parametrize(
    ("fault", "outside"),
    [
        # the session controllers look for the telephone network by another name
        ("trunk-refused", "478 Unresolvable destination"),
        # somebody else answers in its place: nothing of that reaches the caller, not even a 200
        pytest.param("trunk-impostor", "408 Request Timeout", marks=on_request),
    ],
)
def test_a_trunk_without_trust_fails_for_calls_over_it_alone(
    fault: str, outside: str, tmp_path: Path
) -> None:
    results = _campaign(
        tmp_path,
        *("--users", "12", "--spawn-rate", "12", "--duration", "20", "--fault", fault),
        status=1,
    )
    # then calls in and out of it fail, and calls within are placed and heard
    calls = {one["subject"]: one for one in results["findings"] if one["id"] == "load.established"}
    failed = {kind: one["observed"] for kind, one in calls.items() if one["verdict"] == "fail"}
    assert "403 Not The Trunk Peer" in failed.pop("pstn")
    assert failed
    assert all(kind.endswith("-outside") and outside in words for kind, words in failed.items())
    heard = {one["subject"]: one["verdict"] for one in results["findings"] if one["id"] == "load.heard"}
    assert heard == {"voice": "pass", "voice over the trunk": "not-shown"}


@pytest.mark.parametrize(
    ("fault", "finding", "words", "users"),
    [
        pytest.param("registrar-throttled", "load.registered", "503", "24", marks=on_request),
        pytest.param("relay-out-of-ports", "load.established", "503 No Media Relay", "16", marks=on_request),
        pytest.param("passwords-wrong", "load.registered", "(700001)", "12", marks=on_request),
    ],
)
def test_a_fault_that_load_brings_to_light(
    fault: str, finding: str, words: str, users: str, tmp_path: Path
) -> None:
    profile = "busy-hour" if finding == "load.established" else "monday-morning"
    results = _campaign(
        tmp_path,
        *("--users", users, "--spawn-rate", "24", "--duration", "20", "--profile", profile, "--fault", fault),
        status=1,
    )
    assert finding in _failed(results)
    failed = [one for one in results["findings"] if (one["id"], one["verdict"]) == (finding, "fail")]
    assert any(words in one["observed"] for one in failed), failed


BUSY = '''
from campaigns import user_classes


class Busy(user_classes.ContactCentreAgent):
    """One call after the other, and nobody else is there."""
'''


@on_request
@pytest.mark.req("C8", "Q2")
def test_a_line_too_small_fails_as_bad_voice_of_its_router(tmp_path: Path) -> None:
    # given a company that has bought a line of one megabit, and agents who are all on the telephone
    file = tmp_path / "busy.py"
    file.write_text(BUSY)
    # when they talk to each other
    results = _campaign(
        tmp_path,
        *("--profile", str(file), "--users", "14", "--spawn-rate", "7", "--duration", "20"),
        *("--fault", "line-too-small"),
        status=1,
    )
    # then voice fails and nothing else does, with the router that has no room for it
    assert "load.quality" in _failed(results) <= {"load.quality", "load.heard"}
    finding = _finding(results, "load.quality")
    assert finding["blame"] == "edge"
    assert "packets lost between edge:lan and edge:wan1" in finding["observed"]
    # and its queue is seen to drop
    lines = (tmp_path / "out" / "campaign" / "queues.jsonl").read_text().splitlines()
    uses = [json.loads(line) for line in lines]
    dropped = {(use["tap"], one["name"]): 0 for use in uses for one in use["classes"]}
    for use in uses:
        for one in use["classes"]:
            dropped[use["tap"], one["name"]] += one["dropped"]
    assert dropped["edge:wan1", "voice"] > 100


@on_request
@pytest.mark.req("C9.4")
def test_media_that_a_provider_alters_does_not_authenticate(tmp_path: Path) -> None:
    results = _campaign(
        tmp_path,
        *("--users", "10", "--spawn-rate", "10", "--duration", "20", "--fault", "media-altered"),
        status=1,
    )
    assert _failed(results) == {"load.srtp", "load.heard"}
    finding = _finding(results, "load.srtp")
    assert finding["blame"] == "isp1"
    assert "correct up to isp1:inet" in finding["observed"]


SILENT = '''
from campaigns import user_classes


class Caller(user_classes.ContactCentreAgent):
    """Calls the one user who never answers."""

    fixed_count = 3

    def colleague(self) -> str:
        return self.place.pool.colleagues[-1]


class Silent(user_classes.RegisteredOnly):
    """Lets it ring."""

    def called(self, call) -> None:
        call.ring()
'''


@on_request
def test_a_peer_that_never_answers_ends_in_bounded_time(tmp_path: Path) -> None:
    # given a locustfile of a user's own in which nobody answers
    file = tmp_path / "silent.py"
    file.write_text(SILENT)
    # when it is run for less time than a call may ring
    began = time.monotonic()
    results = _campaign(
        tmp_path, "--profile", str(file), "--users", "6", "--spawn-rate", "6", "--duration", "45", status=1
    )
    # then the calls end as what they were, and the campaign in time
    assert "load.established" in _failed(results)
    assert "408" in _finding(results, "load.established")["observed"]
    assert time.monotonic() - began < 300


def test_a_generator_killed_in_the_middle_is_named(tmp_path: Path) -> None:
    # given a campaign on two generators
    command = UclabCommand(tmp_path)
    process = command.start(
        *("campaign", "small-office", "--profile", "monday-morning", "--users", "8", "--workers", "2"),
        *("--spawn-rate", "8", "--duration", "20", "--out", str(tmp_path / "out")),
    )
    # when one of them is killed after its users have registered
    notes = tmp_path / "out" / "campaign" / "load2.accounts.jsonl"
    until = time.monotonic() + 120
    while not (notes.exists() and notes.read_text()):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(_worker(tmp_path / "out" / "campaign" / "load2.json"), signal.SIGKILL)
    # then the campaign goes on to its end, and the finding names the generator
    process.communicate(timeout=200)
    assert process.returncode == 1
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert _finding(results, "load.generators")["blame"] == "load2"


def _worker(pool: Path) -> int:
    """The process whose users come from a pool."""
    wanted = f"UCLAB_POOL={pool}\0".encode()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if wanted in Path(f"/proc/{entry}/environ").read_bytes():
                return int(entry)
        except OSError:
            continue
    raise AssertionError(f"nobody has the pool {pool}")


@on_request
def test_ctrl_c_ends_a_campaign_early_and_keeps_what_there_is(tmp_path: Path) -> None:
    command = UclabCommand(tmp_path)
    process = command.start(
        *("campaign", "small-office", "--profile", "monday-morning", "--users", "4", "--spawn-rate", "4"),
        *("--duration", "3000", "--out", str(tmp_path / "out")),
    )
    notes = tmp_path / "out" / "campaign" / "load1.accounts.jsonl"
    until = time.monotonic() + 120
    while not (notes.exists() and notes.read_text().count("\n") >= 1):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=200)
    assert process.returncode != 0  # less than was asked for has no good end
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    incomplete = [one["observed"] for one in results["findings"] if one["id"] == "scenario.complete"]
    assert any("interrupted" in words for words in incomplete)
    assert (tmp_path / "out" / "campaign" / "locust.html").exists()


@on_request
@pytest.mark.req("V2")
def test_phones_come_back_after_a_line_has_failed(tmp_path: Path) -> None:
    # given a shop with two lines, when the preferred one fails under its phones and comes back
    _campaign(
        tmp_path,
        *("--profile", "wan-failover", "--users", "10", "--spawn-rate", "10", "--duration", "90"),
        status=0,
        topology="smb-dual-wan",
    )
    # then everybody re-registers
    lines = (tmp_path / "out" / "campaign" / "load1.accounts.jsonl").read_text().splitlines()
    again = {json.loads(line)["user"] for line in lines[10:] if json.loads(line)["status"] == 200}
    assert len(again) == 10
