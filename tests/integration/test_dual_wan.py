"""Two lines in order of preference: traffic moves to the second when the first is cut, and back when it is
healed."""

from __future__ import annotations

import json
import time

import pytest

from tests.integration.labs import UclabCommand, lab_of_module, on_request

pytestmark = [pytest.mark.root, pytest.mark.req("V2", "W9")]

HOLD_DOWN_S = 3.0
"""`return_after_s`, as it is where the topology says nothing."""
CLOUD = "198.18.20.1"
"""The cloud's router in the topology's data centre."""
PINGS, PING_BYTES = 20, 1428
"""Large ones: all of the router's own questions by a line (28 bytes each) are nothing beside them."""
PINGED = PINGS * PING_BYTES
PHONES = {"desk1", "desk2", "desk3", "desk4", "soft1", "soft2"}


uclab = lab_of_module("smb-dual-wan", "dual")


def counted(uclab: UclabCommand, line: str) -> int:
    """Bytes that the router sent by a line so far (`/proc/net/dev`: the ninth figure)."""
    table = uclab("exec", "--name", "dual", "edge", "cat", "/proc/net/dev").stdout
    [row] = [row for row in table.splitlines() if row.strip().startswith(f"{line}:")]
    return int(row.partition(":")[2].split()[8])


def ask_the_cloud(uclab: UclabCommand) -> tuple[int, int]:
    """Ping the cloud from a PC, all of which must come back; the bytes that each line took."""
    before = counted(uclab, "wan1"), counted(uclab, "wan2")
    uclab(
        "exec",
        "--name",
        "dual",
        "pc1",
        "ping",
        "-c",
        str(PINGS),
        "-s",
        "1400",
        "-i",
        "0.05",
        "-W",
        "2",
        CLOUD,
    )
    return counted(uclab, "wan1") - before[0], counted(uclab, "wan2") - before[1]


def test_the_second_line_carries_all_only_while_the_first_is_cut(uclab: UclabCommand) -> None:
    # given both lines up, then the preferred one carries what leaves
    first, second = ask_the_cloud(uclab)
    assert first >= PINGED > second
    # when the preferred line is cut, then the other carries it
    uclab("fail", "--name", "dual", "edge-isp1")
    first, second = ask_the_cloud(uclab)
    assert first == 0
    assert second >= PINGED
    # when it is healed, then it is preferred again, once it has stayed for a while
    began = time.time()
    uclab("heal", "--name", "dual", "edge-isp1")
    assert told(uclab, "edge", "path-good", began) - began >= HOLD_DOWN_S
    first, second = ask_the_cloud(uclab)
    assert first >= PINGED > second


def told(uclab: UclabCommand, source: str, kind: str, since: float) -> float:
    """When that was told; waits for it."""
    file = uclab.folder / "dual" / "events.jsonl"
    deadline = time.monotonic() + 15.0
    while time.monotonic() < deadline:
        for line in file.read_text().splitlines():
            event = json.loads(line)
            if (event["source"], event["kind"]) == (source, kind) and event["time"] > since:
                return float(event["time"])
        time.sleep(0.05)
    raise AssertionError(f"{source} did not tell of {kind}")


@on_request
@pytest.mark.req("N5")
def test_a_line_that_is_up_but_leads_nowhere_is_left_and_taken_again(uclab: UclabCommand) -> None:
    # given a first line that black-holes everything, its carrier on, then the router notices and takes the
    # other
    for way in (("edge-isp1", "--black-hole"), ("isp1-inet",)):
        began = time.time()
        uclab("fail", "--name", "dual", *way)
        broken = told(uclab, way[0], "failed-on-purpose", began)
        assert told(uclab, "edge", "path-lost", began) - broken < 2.0
        first, second = ask_the_cloud(uclab)
        assert second >= PINGED > first
        # when it leads somewhere again, then it is taken once it has stayed for a while
        began = time.time()
        uclab("heal", "--name", "dual", way[0])
        assert told(uclab, "edge", "path-good", began) - began >= HOLD_DOWN_S
        first, second = ask_the_cloud(uclab)
        assert first >= PINGED > second


def registered_anew(uclab: UclabCommand, began: float) -> dict[str, float]:
    """Seconds from `began` until each phone had told of a new registration; waits for all of them."""
    file = uclab.folder / "dual" / "events.jsonl"
    deadline = time.monotonic() + 30.0
    found: dict[str, float] = {}
    while time.monotonic() < deadline and len(found) < len(PHONES):
        for line in file.read_text().splitlines():
            event = json.loads(line)
            if event["kind"] == "registered" and event["source"] in PHONES and event["time"] > began:
                found.setdefault(event["source"], event["time"] - began)
        time.sleep(0.05)
    assert set(found) == PHONES, found
    return found


def test_phones_re_register_within_ten_seconds_of_a_change_of_address(uclab: UclabCommand) -> None:
    for verb in ("fail", "heal"):
        # given phones that are registered by the one line, when traffic moves to the other
        began = time.time()
        uclab(verb, "--name", "dual", "edge-isp1")
        began = told(uclab, "edge", "path-lost" if verb == "fail" else "path-good", began)
        # then they register from its address, and are called by it
        took = registered_anew(uclab, began)
        assert max(took.values()) < 10.0, took
        call = uclab.json("call", "--name", "dual", "soft1", "desk4", "--seconds", "2")
        assert call["caller_to_callee"]["heard"]
        assert call["callee_to_caller"]["heard"]
