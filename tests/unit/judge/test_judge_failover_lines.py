"""Which line is to take over, and who must register elsewhere, follows from plan and incident."""

from __future__ import annotations

import pytest

from testbed.plans import shipped_plan
from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.failover.outcomes import line_wanted, orphaned
from uclab.plan.traffic.incidents import planned_incidents
from uclab.records.run import Incident

pytestmark = pytest.mark.req("V2", "P1.2", "P1.3", "P2.2", "P2.3")


def network(topology: str) -> PlannedNetwork:
    return PlannedNetwork(shipped_plan(topology))


def incident(of: PlannedNetwork, name: str) -> Incident:
    """The plan's incident of that name, as if it had happened."""
    (planned,) = (one for one in planned_incidents(of.plan) if one.name == name)
    return Incident(
        planned.name,
        planned.subject,
        planned.parts,
        planned.how,
        planned.survivable,
        1,
        0,
        1,
        2,
        (),
        0,
        10,
        planned.flaps,
    )


@pytest.mark.parametrize(
    ("topology", "name", "site", "line"),
    [
        ("smb-dual-wan", "circuit-down", "shop", "wan2"),
        ("smb-dual-wan", "circuit-black-holed", "shop", "wan2"),
        ("smb-dual-wan", "isp-lost", "shop", "wan2"),
        ("smb-dual-wan", "circuit-flaps", "shop", "wan2"),
        ("smb-dual-wan", "dns-lost", "shop", "wan1"),
        ("smb-dual-wan", "router-killed", "shop", None),
        ("smb-dual-wan", "brown-out", "shop", None),
        ("small-office", "circuit-down", "office", None),
        ("cloudconnect-simplex-ott", "circuit-down", "office", "wan1"),
        ("cloudconnect-georedundant-ott", "circuit-down", "hq", "cc2"),
        ("cloudconnect-georedundant-ott", "datacentre-lost", "hq", "cc2"),
        ("cloudconnect-georedundant-ott", "circuits-down", "hq", "wan1"),
        ("hub-and-spoke", "circuit-down", "hub", "wan1"),
        ("hub-and-spoke", "circuit-down", "branch1", "mpls1"),
    ],
)
def test_the_first_line_that_is_left_is_wanted(topology: str, name: str, site: str, line: str | None) -> None:
    of = network(topology)
    assert line_wanted(of, incident(of, name), site) == line


def test_phones_must_go_where_another_session_controller_is_left() -> None:
    two, one = network("cloudconnect-georedundant"), network("cloudconnect-simplex-ott")
    assert orphaned(two, incident(two, "datacentre-lost")) == {"hq"}
    assert orphaned(two, incident(two, "circuit-down")) == set()
    assert orphaned(one, incident(one, "datacentre-lost")) == set()
