"""An internet exchange on FRR: the peering LAN carries what goes to the cloud, transit only while that fails
(P5, V2)."""

from __future__ import annotations

import time

import pytest

from tests.integration.labs import UclabCommand, lab_of_module

pytestmark = [pytest.mark.root, pytest.mark.req("P5", "V2")]

CLOUD = "198.18.10.11"
"""The session controller in the topology's data centre."""
HOPS = 4
"""Firewall, the company's edge, its border router; then the cloud's router, or the transit."""
PEERING, TRANSIT = "198.18.250.5", "198.19."
"""Who answers there: the cloud's border router on the peering LAN, or the internet's core."""
MOVED_S = 30.0
"""Detection by BFD takes 0.3 s; a session that comes back, some seconds."""


uclab = lab_of_module("internet-exchange", "ix")


def wait_for_way(uclab: UclabCommand, router: str) -> None:
    """Until packets of a PC of the company pass that router on their way to the cloud, and come back."""
    deadline, said = time.monotonic() + MOVED_S, ""
    while f"From {router}" not in said:
        assert time.monotonic() < deadline, f"not by {router} within {MOVED_S:g} s: {said}"
        ping = ("ping", "-c", "1", "-W", "1", "-t", str(HOPS), CLOUD)
        said = uclab("exec", "--name", "ix", "pc1", *ping, status=None).stdout
    uclab("exec", "--name", "ix", "pc1", "ping", "-c", "20", "-i", "0.02", "-W", "2", CLOUD)


def test_traffic_takes_the_peering_and_transit_only_while_that_is_cut(uclab: UclabCommand) -> None:
    # given all members at the exchange, then what goes to the cloud takes the peering LAN
    wait_for_way(uclab, PEERING)
    # when the company's cable to it is cut, then transit
    uclab("fail", "--name", "ix", "corp-ix1")
    wait_for_way(uclab, TRANSIT)
    # when it is plugged in again, then the peering is preferred again
    uclab("heal", "--name", "ix", "corp-ix1")
    wait_for_way(uclab, PEERING)
