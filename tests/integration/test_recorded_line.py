"""A recording that a profile names, played in a lab and heard on its line; then a brown-out on top of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.integration.labs import UclabCommand, lab_of_module
from uclab.model.load import reference_directory

pytestmark = [pytest.mark.root, pytest.mark.req("W4.1", "W8")]

PROFILE = """
profile: recorded
title: A recorded line
source: made up
up: {rate_kbps: 5000, delay_ms: 10}
down: {rate_kbps: 5000, delay_ms: 10}
trace: recorded.csv
trace_loop: false
"""
RECORDING = """time_s,direction,delay_ms,jitter_ms,loss_pct,rate_kbps
0,both,20,,,
4,up,120,,,4000
6,down,70,,,
600,both,20,,,5000
"""


SITE = (
    (reference_directory() / "satellite-leo.yaml")
    .read_text()
    .replace("profile: satellite-leo", "profile: recorded")
    .replace("topology: satellite-leo", "topology: recorded-line")
)
FILES = {"site.yaml": SITE, "profiles/recorded.yaml": PROFILE, "profiles/recorded.csv": RECORDING}
uclab = lab_of_module("site.yaml", "rec", FILES)


def changes(uclab: UclabCommand) -> list[dict[str, Any]]:
    """What the lab said of its line."""
    events = [json.loads(text) for text in (uclab.folder / "rec" / "events.jsonl").read_text().splitlines()]
    return [json.loads(event["detail"]) for event in events if event["kind"] == "line-changed"]


def round_trip_ms(uclab: UclabCommand) -> float:
    """Least round trip between a PC and the provider; not from the router itself, where ping takes the time
    at which an answer arrived, before the line's delay."""
    done = uclab("exec", "--name", "rec", "pc1", "--", "ping", "-c", "10", "-i", "0.1", "203.0.113.1")
    found = re.search(r"= ([0-9.]+)/", done.stdout)
    assert found, done.stdout
    return float(found[1])


def test_a_recording_is_heard_on_the_line(uclab: UclabCommand) -> None:
    # given a lab that is up, whose recording has said all it says in its first 6 s
    uclab.wait_for_event("rec", "timetable-started")
    while len(changes(uclab)) < 4:
        uclab.wait_for_event("rec", "line-changed")
    # then the line is the recorded one: 120 ms up, 70 ms down
    assert 190 <= round_trip_ms(uclab) < 195
    assert [(change["sender"], change["delay_ms"], change["rate_kbps"]) for change in changes(uclab)] == [
        ("edge", 20.0, 4850), ("leosat", 20.0, 5000), ("edge", 120.0, 3880), ("leosat", 70.0, 5000),
    ]  # fmt: skip
    # and a brown-out comes on top, and ends
    uclab("fail", "--name", "rec", "edge-leosat", "--brown-out", "delay=+50", "--leaving", "edge")
    assert 240 <= round_trip_ms(uclab) < 245
    lines = uclab.json("inspect", "edge-leosat", "--name", "rec")["lines"]
    assert [(line["sender"], line["delay_ms"]) for line in lines] == [("edge", 170.0), ("leosat", 70.0)]
    uclab("heal", "--name", "rec", "edge-leosat")
    assert 190 <= round_trip_ms(uclab) < 195
