"""The planned firewall and router filter, translate and mark on a real kernel as they are planned to."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.timeout(60)]

PROJECT = Path(__file__).resolve().parents[2]
TRANSIT_ROUTER = "192.168.31.254"
"""The router's address towards the firewall."""
ROUTER = "203.0.113.2"
"""The site's public address: what the cloud sees of all its phones."""


@cache
def seen(*fault: str) -> dict[str, Any]:
    """What the scene measures, in network, mount and PID namespaces of its own."""
    command = [
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        sys.executable,
    ]
    command += ["-m", "tests.integration.plan_filter_scene", *fault]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


@pytest.mark.req("N1.1", "N1.2", "N1.3", "N2", "C8")
def test_media_passes_both_ways_translated_and_marked_again_on_return() -> None:
    # given a phone that sends media EF, and a cloud whose answers lost their marking on the way
    media = seen()["media"]
    # then the cloud sees the router's address, and the phone gets its answer as EF
    assert media == {"there": [ROUTER, 46], "back": ["198.18.10.12", 46]}


@pytest.mark.req("N2", "C8")
def test_answer_to_best_effort_is_best_effort_whatever_the_internet_marked_it() -> None:
    answer = seen()["media marked best effort, answer marked EF"]
    assert answer == {"there": [ROUTER, 0], "back": ["198.19.0.6", 0]}


@pytest.mark.req("N1.2", "N1.3")
def test_only_answers_come_in() -> None:
    assert seen()["answer from another port"]["there"] is not None
    assert seen()["answer from another port"]["back"] is None
    assert seen()["unasked"] is False


@pytest.mark.req("N1.3", "C7", "L4.1")
def test_zones_do_not_see_each_other() -> None:
    assert (seen()["phone to pc"], seen()["pc to phone"]) == (False, False)
    assert seen()["counters"]["between_zones"] == 2


@pytest.mark.req("N1.1", "N1.2", "N1.3", "V6")
def test_phone_reaches_what_it_needs_and_nothing_else() -> None:
    assert seen()["phone asks for a name"]["back"] is not None
    assert seen()["phone to SIP over TLS"] is True
    assert seen()["phone to plain SIP"] is False
    assert seen()["phone to the internet"]["there"] is None
    assert seen()["phone asks somebody else for a name"]["there"] is None
    assert seen()["pc to the web"] is True


@pytest.mark.req("N1.1", "N1.3")
def test_wrong_sender_is_dropped_and_counted() -> None:
    assert seen()["spoofed"] is False
    assert seen()["counters"]["spoofed"] >= 1


@pytest.mark.req("N1.3", "N2")
def test_every_hop_of_the_way_answers() -> None:
    # given firewall and router between a host and the outside, when packets' time is up on their way
    # then each of the two says so, to PC and phone
    assert seen()["hops of a PC"] == ["192.168.17.1", TRANSIT_ROUTER]
    assert seen()["hops of a phone"] == ["192.168.16.1", TRANSIT_ROUTER]


@pytest.mark.req("N1.3", "N2")
def test_a_phone_learns_that_the_line_takes_shorter_packets() -> None:
    # given a line of 1492 bytes, when a phone sends a whole Ethernet packet that may not be cut
    teller, path_mtu = seen()["too long for the line"]
    # then its router's "fragmentation needed" reaches it, so that the next one fits (RFC 1191)
    assert (teller, path_mtu) == (TRANSIT_ROUTER, 1492)


@pytest.mark.req("N1.3")
def test_the_routers_address_opens_nothing_but_errors_about_known_connections() -> None:
    assert seen()["false errors"] is False


@pytest.mark.req("N1.2", "N1.3")
def test_without_the_rule_for_media_in_one_direction_is_silent() -> None:
    media = seen("media-rule-missing")["media"]
    assert media == {"there": [ROUTER, 46], "back": None}


@pytest.mark.req("C7")
def test_firewall_of_the_drill_lets_neighbours_talk() -> None:
    assert (seen("media-direct")["phone to pc"], seen("media-direct")["pc to phone"]) == (True, True)


@pytest.mark.req("C8")
def test_router_of_the_drill_clears_the_marking_towards_the_phone() -> None:
    media = seen("dscp-cleared")["media"]
    assert media == {"there": [ROUTER, 46], "back": ["198.18.10.12", 0]}
