"""OSPF between a site's router and its firewall: what they learn carries traffic, goes with a cut cable and
comes back (N2, V2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.process_tree import every_process, look
from testbed.switches import wait_for
from tests.integration.labs import UclabCommand, kill, lab_of_module

pytestmark = [pytest.mark.root, pytest.mark.req("N2", "V2")]

CLOUD = "198.18.10.11"
"""The session controller in the topology's data centre."""
BACK_S = 10.0
"""A hello takes up to a second, and both ends must have said what they know."""

uclab = lab_of_module("cross-connect", "xc")


def learned(uclab: UclabCommand, router: str) -> set[str]:
    """What a router has by OSPF."""
    said = uclab("exec", "--name", "xc", router, "ip", "route", "show", "proto", "ospf").stdout
    return {line.split()[0] for line in said.splitlines()}


def reached(uclab: UclabCommand) -> bool:
    """Whether the cloud answers a PC of the site."""
    ping = ("ping", "-c", "3", "-i", "0.1", "-W", "2", CLOUD)
    return uclab("exec", "--name", "xc", "pc1", *ping, status=None).returncode == 0


def test_routers_learn_from_each_other_and_again_after_a_cut(uclab: UclabCommand) -> None:
    # given a lab that is up, then either end has what only the other can have told it
    assert learned(uclab, "fw") == {"default"}
    assert learned(uclab, "edge") == {"10.40.10.0/24", "10.40.20.0/24"}
    assert reached(uclab)
    # when the cable between them is cut, then they forget it
    uclab("fail", "--name", "xc", "fw-edge")
    wait_for("firewall without a way out", lambda: learned(uclab, "fw") == set(), BACK_S)
    assert not reached(uclab)
    # when it is restored, then they learn it again
    uclab("heal", "--name", "xc", "fw-edge")
    wait_for("the way out to be back", lambda: reached(uclab), BACK_S)
    assert learned(uclab, "edge") == {"10.40.10.0/24", "10.40.20.0/24"}


@pytest.mark.req("D3")
def test_routing_daemon_that_died_comes_back_with_all_that_its_router_had_learned(
    uclab: UclabCommand,
) -> None:
    # given a lab that is up
    assert learned(uclab, "fw") == {"default"}
    own = f"{uclab.folder.parent.name}/{uclab.folder.name}/xc/routing/fw/run "
    # when the firewall's OSPF daemon is killed under it
    victims = [
        process.pid
        for pid, _ in every_process()
        if (process := look(pid)) is not None
        and process.command.startswith("/usr/lib/frr/ospfd ")
        and own in Path(f"/proc/{pid}/mountinfo").read_text()
    ]
    (victim,) = victims
    kill(victim)
    # then that is told, and the router's daemons are restarted, as the policy says
    died = uclab.wait_for_event("xc", "process-died", source="fw-ospfd")
    back = uclab.wait_for_event("xc", "restarted", source="fw")
    assert back["time"] > died["time"]
    assert back["detail"].endswith("start 1 of 3")
    # and it has the routes again, and nothing is dead
    assert learned(uclab, "fw") == {"default"}
    wait_for("the way back to be there again", lambda: reached(uclab), BACK_S)
    assert uclab.json("inspect", "--name", "xc")["phase"] == "up"
