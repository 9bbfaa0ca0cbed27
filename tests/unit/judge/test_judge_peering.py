"""What the judge says of BGP and BFD on private circuits: right sessions hold, and each mistake is found."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from testbed.plans import shipped_plan
from tests.unit.judge.routing_world import Tapped, bfd_control, bgp_open, bgp_update
from uclab.judge.checks.peering import check_peering
from uclab.judge.result.judgement import Finding
from uclab.plan.schema.plan import Plan

pytestmark = pytest.mark.req("P3")

TAP, INNER = "cc1-ntu:2", "fra1-cc:br"
SITE, CLOUD = "203.0.113.128/28", "198.18.10.0/24"
LEAKED = "10.20.0.0/16"


@cache
def plan() -> Plan:
    return shipped_plan("cloudconnect-simplex-ott")


def address(device: str, interface: str) -> str:
    return plan().node(device).interface(interface).addresses[0].partition("/")[0]


def right_world(folder: Path, **changes: object) -> Tapped:
    """The site's router and the peering router as planned; `changes` break one thing."""
    said: dict[str, object] = {
        "site_asn": 65010, "site_prefixes": (SITE,), "passed_on": (SITE,), "vlan": 101, "interval_ms": 100,
        "bfd": True, "open": True,
    } | changes  # fmt: skip
    world = Tapped(plan(), folder)
    site, cloud = address("edge", "cc1"), address("fra1-cc", "edge")
    vlan: int = said["vlan"]  # type: ignore[assignment]
    if said["open"]:
        world.say(TAP, site, cloud, bgp_open(said["site_asn"], site), vlan)  # type: ignore[arg-type]
        world.say(TAP, cloud, site, bgp_open(64500, cloud), vlan)
    if prefixes := said["site_prefixes"]:
        world.say(TAP, site, cloud, bgp_update(65010, site, *prefixes), vlan)  # type: ignore[misc]
    world.say(TAP, cloud, site, bgp_update(64500, cloud, CLOUD), vlan)
    if said["bfd"]:
        interval: int = said["interval_ms"]  # type: ignore[assignment]
        for sender, hearer in ((site, cloud), (cloud, site)):
            world.say(TAP, sender, hearer, bfd_control(1000, 3), vlan, by_bfd=True)
            for _ in range(3):
                world.say(TAP, sender, hearer, bfd_control(interval, 3), vlan, by_bfd=True)
    border, own = address("fra1-br", "fra1-cc"), address("fra1-cc", "br")
    if passed := said["passed_on"]:
        world.say(INNER, own, border, bgp_update(65010, own, *passed), None)  # type: ignore[misc]
    world.say(INNER, border, own, bgp_update(64500, border, CLOUD), None)
    return world


def found(world: Tapped) -> dict[tuple[str, str], Finding]:
    return {(f.id, f.subject): f for f in check_peering(world.evidence())}


def failed(world: Tapped) -> set[str]:
    return {f.id for f in found(world).values() if f.verdict == "fail"}


def test_right_sessions_hold_on_both_sides(tmp_path: Path) -> None:
    findings = found(right_world(tmp_path))
    assert {key: f.verdict for key, f in findings.items()} == {
        ("peering.prefixes", "edge → fra1-cc"): "pass",
        ("peering.prefixes", "fra1-cc → edge"): "pass",
        ("peering.session", "edge → fra1-cc"): "pass",
        ("peering.session", "fra1-cc → edge"): "pass",
        ("peering.accepted", "fra1-cc"): "pass",
    }
    assert findings["peering.session", "edge → fra1-cc"].observed == "AS 65010, BFD every 100 ms x 3"
    assert findings["peering.prefixes", "edge → fra1-cc"].evidence.packets == (3,)


def test_leaked_prefix_is_blamed_on_the_sites_router(tmp_path: Path) -> None:
    world = right_world(tmp_path, site_prefixes=(SITE, LEAKED))
    finding = found(world)["peering.prefixes", "edge → fra1-cc"]
    assert (finding.verdict, finding.blame, finding.observed) == ("fail", "edge", f"announced {LEAKED}")
    assert failed(world) == {"peering.prefixes"}


def test_part_of_an_allowed_prefix_is_a_leak_too(tmp_path: Path) -> None:
    assert failed(right_world(tmp_path, site_prefixes=("203.0.113.128/29",))) == {"peering.prefixes"}


def test_leaked_prefix_that_gets_into_the_cloud_is_blamed_on_the_peering_router(tmp_path: Path) -> None:
    world = right_world(tmp_path, site_prefixes=(SITE, LEAKED), passed_on=(SITE, LEAKED))
    assert failed(world) == {"peering.prefixes", "peering.accepted"}
    assert found(world)["peering.accepted", "fra1-cc"].blame == "fra1-cc"


BROKEN: dict[str, tuple[dict[str, object], str]] = {
    "AS number": ({"site_asn": 65099}, "identifies itself as AS 65099"),
    "VLAN": ({"vlan": 102}, "VLAN 102 at cc1-ntu:2"),
    "untagged": ({"vlan": None}, "no tag at cc1-ntu:2"),
    "slow BFD": ({"interval_ms": 300}, "AS 65010, BFD every 300 ms x 3"),
    "no BFD": ({"bfd": False}, "no BFD was seen"),
}


@pytest.mark.req("P1.1")
@pytest.mark.parametrize(("changes", "observed"), BROKEN.values(), ids=BROKEN.keys())
def test_session_that_is_not_as_agreed_fails(
    tmp_path: Path, changes: dict[str, object], observed: str
) -> None:
    world = right_world(tmp_path, **changes)
    finding = found(world)["peering.session", "edge → fra1-cc"]
    assert (finding.verdict, finding.blame, finding.observed) == ("fail", "edge", observed)
    assert failed(world) == {"peering.session"}


UNSEEN: dict[str, tuple[Callable[[Path], Tapped], str, str]] = {
    "no announcement": (
        lambda folder: right_world(folder, site_prefixes=()), "peering.prefixes", "edge → fra1-cc"
    ),
    "nothing passed on": (
        lambda folder: right_world(folder, passed_on=()), "peering.accepted", "fra1-cc"
    ),
    "no session": (lambda folder: right_world(folder, open=False), "peering.session", "edge → fra1-cc"),
    "no capture": (lambda folder: Tapped(plan(), folder), "peering.session", "fra1-cc → edge"),
}  # fmt: skip


@pytest.mark.parametrize(("build", "finding", "subject"), UNSEEN.values(), ids=UNSEEN.keys())
def test_what_was_not_seen_is_not_shown(
    tmp_path: Path, build: Callable[[Path], Tapped], finding: str, subject: str
) -> None:
    assert found(build(tmp_path))[finding, subject].verdict == "not-shown"


@pytest.mark.req("P4")
def test_peering_router_that_prefers_another_data_centre_has_nothing_to_pass_on(tmp_path: Path) -> None:
    # given two data centres, the first of which the site prefers
    two = shipped_plan("cloudconnect-georedundant")
    world = Tapped(two, tmp_path)
    border, own = (
        two.node(device).interface(interface).addresses[0].partition("/")[0]
        for device, interface in (("fra2-br", "fra2-cc"), ("fra2-cc", "br"))
    )
    # when the second one's peering router is only told of the site's prefix
    world.say("fra2-cc:br", border, own, bgp_update(65010, border, SITE), None)
    findings = {f.subject: f for f in check_peering(world.evidence()) if f.id == "peering.accepted"}
    # then that is as it should be, but a preferred one must have been heard to pass it on
    assert findings["fra2-cc"].verdict == "pass"
    assert findings["fra1-cc"].verdict == "not-shown"


def test_plan_without_circuits_has_nothing_to_say(tmp_path: Path) -> None:
    world = Tapped(shipped_plan("small-office"), tmp_path)
    assert list(check_peering(world.evidence())) == []


def test_withdrawn_prefix_is_no_announcement(tmp_path: Path) -> None:
    world = right_world(tmp_path)
    site, cloud = address("edge", "cc1"), address("fra1-cc", "edge")
    world.say(TAP, site, cloud, bgp_update(65010, site, withdrawn=(LEAKED,)), 101)
    assert failed(world) == set()
