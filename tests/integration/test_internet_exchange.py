"""An internet exchange on FRR: the peering LAN carries what goes to the cloud, transit only while that fails
(P5, V2)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.integration.labs import UclabCommand

pytestmark = [pytest.mark.root, pytest.mark.req("P5", "V2")]

CLOUD = "198.18.10.1"
"""The cloud's border router in the topology's data centre."""
MOVED_S = 20.0
"""Detection by BFD takes 0.3 s; a session that comes back, some seconds."""


@pytest.fixture(scope="module")
def uclab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UclabCommand]:
    """The command with `internet-exchange` up under the name `ix`."""
    command = UclabCommand(tmp_path_factory.mktemp("ix"))
    command("up", "internet-exchange", "--name", "ix", "--out", str(command.folder / "ix"))
    yield command
    command("down", "--name", "ix", status=None)


def sent_by(uclab: UclabCommand, interface: str) -> int:
    """Packets that the company's border router sent by an interface so far (`/proc/net/dev`: the tenth
    figure)."""
    table = uclab("exec", "--name", "ix", "corp", "cat", "/proc/net/dev").stdout
    [row] = [row for row in table.splitlines() if row.strip().startswith(f"{interface}:")]
    return int(row.partition(":")[2].split()[9])


def ask_the_cloud(uclab: UclabCommand) -> tuple[int, int]:
    """Ping the cloud 40 times from a PC of the company; packets that took the exchange, and transit. Both
    ways have some BGP and BFD besides."""
    before = sent_by(uclab, "ix1"), sent_by(uclab, "inet")
    uclab("exec", "--name", "ix", "pc1", "ping", "-c", "40", "-i", "0.01", "-W", "2", CLOUD)
    return sent_by(uclab, "ix1") - before[0], sent_by(uclab, "inet") - before[1]


def wait_for(uclab: UclabCommand, gateway: str) -> None:
    """Until the border router sends to the cloud by that interface."""
    deadline, way = time.monotonic() + MOVED_S, ""
    while time.monotonic() < deadline:
        way = uclab("exec", "--name", "ix", "corp", "ip", "route", "get", CLOUD, status=None).stdout
        if f"dev {gateway} " in way:
            return
    pytest.fail(f"the way to the cloud did not move to {gateway} within {MOVED_S:g} s: {way}")


def test_traffic_takes_the_peering_and_transit_only_while_that_is_cut(uclab: UclabCommand) -> None:
    # given all members at the exchange, then the peering LAN carries what goes to the cloud
    wait_for(uclab, "ix1")
    peering, transit = ask_the_cloud(uclab)
    assert peering >= 40
    # when the company's cable to it is cut, then transit carries it
    uclab("fail", "--name", "ix", "corp-ix1")
    wait_for(uclab, "inet")
    _, other = ask_the_cloud(uclab)
    assert other >= 40 > transit
    # when it is plugged in again, then the peering is preferred again
    uclab("heal", "--name", "ix", "corp-ix1")
    wait_for(uclab, "ix1")
    peering, _ = ask_the_cloud(uclab)
    assert peering >= 40
