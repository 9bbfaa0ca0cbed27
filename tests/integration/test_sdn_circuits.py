"""Private circuits on demand: changed while people talk, removed and made again, refused where they cannot be
(W5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.switches import wait_for
from tests.integration.labs import UclabCommand, lab_of_module

pytestmark = [pytest.mark.root, pytest.mark.quiet, pytest.mark.req("W5", "V3")]

CLOUD = "198.18.10.1"
"""The border router's address in the data centre."""
WITHIN_MS = 1000
MOVED_S = 20.0


uclab = lab_of_module("sdn-circuits", "sdx")


def changed(uclab: UclabCommand, *order: str) -> dict[str, Any]:
    """Order something of the exchange; it must have been done in under a second."""
    done: dict[str, Any] = uclab.json("circuit", *order, "--name", "sdx")
    assert done["took_ms"] < WITHIN_MS, done
    return done


def sent(uclab: UclabCommand) -> dict[str, int]:
    """Packets that the northern router sent so far by each line (`/proc/net/dev`: the tenth figure)."""
    table = uclab("exec", "--name", "sdx", "edge", "cat", "/proc/net/dev").stdout
    rows = [row.split(":") for row in table.splitlines() if ":" in row]
    return {name.strip(): int(figures.split()[9]) for name, figures in rows}


def line_used(uclab: UclabCommand) -> str | None:
    """The line that takes what a PC asks the cloud; None where no answer comes."""
    before = sent(uclab)
    pings = ("ping", "-c", "40", "-i", "0.02", "-W", "1", CLOUD)
    asked = uclab("exec", "--name", "sdx", "pc1", *pings, status=None)
    after = sent(uclab)
    used = {line: after[line] - before[line] for line in ("cc1", "wan1")}
    return max(used, key=lambda line: used[line]) if asked.returncode == 0 else None


def test_rate_and_qos_level_change_during_a_call_and_nobody_notices(uclab: UclabCommand) -> None:
    # given the circuits of the topology
    listed = uclab.json("circuit", "list", "--name", "sdx")["sdx1"]
    assert set(listed["circuits"]) == {"north-cc1", "south-cc2"}
    # when rate and QoS level of one are changed during a call across both
    calling = uclab.start("call", "desk1", "sdesk1", "--seconds", "8", "--name", "sdx", "--json")
    changed(uclab, "change", "north-cc1", "--rate", "5000", "--pcp", "5")
    changed(uclab, "change", "north-cc1", "--rate", "2000", "--pcp", "6", "--dscp", "46")
    done = changed(uclab, "change", "north-cc1", "--rate", "11000", "--pcp", "keep", "--dscp", "keep")
    assert done["circuit"]["rate_kbps"] == 11000
    said, complaint = calling.communicate(timeout=60)
    # then both sides heard each other all along
    assert calling.returncode == 0, complaint
    call = json.loads(said)
    assert call["caller_to_callee"]["heard"]
    assert call["callee_to_caller"]["heard"]


@pytest.mark.req("V2")
def test_removed_circuit_gives_way_to_the_backup_and_takes_over_again_when_made_again(
    uclab: UclabCommand,
) -> None:
    assert line_used(uclab) == "cc1"
    changed(uclab, "remove", "north-cc1")
    wait_for("the internet line to take over", lambda: line_used(uclab) == "wan1", MOVED_S)
    changed(uclab, "create", "north-cc1")
    wait_for("the circuit to take over again", lambda: line_used(uclab) == "cc1", MOVED_S)


WRONG = {
    "unknown circuit": (("remove", "c9"), "no circuit `c9`; there are: north-cc1, south-cc2"),
    "unknown port": (
        ("create", "c9", "--from", "west", "--to", "fra1", "--vlan", "300", "--rate", "1000"),
        "no customer port `west`; there are: north-cc1 (sdx1-1/1)",
    ),
    "VLAN taken": (
        ("create", "c9", "--from", "north-cc1", "--to", "fra1", "--vlan", "101", "--rate", "1000"),
        "belongs to circuit `north-cc1`; take another VLAN",
    ),
}


@pytest.mark.parametrize(("order", "said"), WRONG.values(), ids=WRONG.keys())
def test_order_that_cannot_be_is_refused_with_a_way_out(
    uclab: UclabCommand, order: tuple[str, ...], said: str
) -> None:
    before = uclab.json("circuit", "list", "--name", "sdx")
    refused = uclab("circuit", *order, "--name", "sdx", status=2)
    assert said in " ".join(refused.stderr.replace("│", " ").split())
    assert uclab.json("circuit", "list", "--name", "sdx") == before
