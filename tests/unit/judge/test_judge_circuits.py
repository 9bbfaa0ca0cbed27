"""What the judge says of frames at an exchange: allowed ones hold, and each that may not pass is found."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from testbed.plans import shipped_plan
from tests.unit.judge.routing_world import Tapped, udp_frame
from uclab.judge.checks.circuits import check_circuits
from uclab.judge.result.judgement import Finding
from uclab.plan.schema.plan import Plan

pytestmark = pytest.mark.req("W5")

NEAR, FAR = "sdx1-1:1", "sdx1-3:1"
THERE, BACK = f"north-cc1 {NEAR} → {FAR}", f"north-cc1 {FAR} → {NEAR}"
SITE, CLOUD = "203.0.113.129", "198.18.10.11"


@cache
def plan() -> Plan:
    return shipped_plan("sdn-circuits")


def mac_of(device: str, interface: str) -> str:
    return plan().node(device).interface(interface).mac


def from_site(
    src: str = SITE, dst: str = CLOUD, dscp: int = 46, vlan: int = 101, kind: int = 0x0800
) -> bytes:
    return udp_frame(mac_of("edge", "cc1"), src, dst, dscp, vlan, kind)


def from_cloud() -> bytes:
    return udp_frame(mac_of("fra1-cc", "edge"), CLOUD, SITE, 46, 101)


def right_world(folder: Path) -> Tapped:
    world = Tapped(plan(), folder)
    for tap in (NEAR, FAR):
        world.see(tap, from_site())
        world.see(tap, from_cloud())
    return world


def found(world: Tapped) -> dict[str, Finding]:
    return {f.subject: f for f in check_circuits(world.evidence())}


def test_circuit_that_carries_what_it_should_holds_and_an_unused_one_is_not_shown(tmp_path: Path) -> None:
    findings = found(right_world(tmp_path))
    assert (findings[THERE].verdict, findings[BACK].verdict) == ("pass", "pass")
    assert {f.verdict for name, f in findings.items() if name.startswith("south")} == {"not-shown"}


def test_what_ends_at_the_entrance_is_counted_and_no_error(tmp_path: Path) -> None:
    world = right_world(tmp_path)
    world.see(NEAR, from_site(dscp=10))
    finding = found(world)[THERE]
    assert finding.verdict == "pass"
    assert finding.observed == "1 frames, all allowed; 1 others were dropped at the ingress"


FORBIDDEN = {
    "marking": (from_site(dscp=10), "marking AF11 is not allowed"),
    "source": (from_site(src="10.20.110.11"), "source 10.20.110.11 does not belong at sdx1-1:1"),
    "target": (from_site(dst="198.18.99.1"), "target 198.18.99.1 does not belong at sdx1-3:1"),
    "IPv6": (from_site(kind=0x86DD), "no IPv4 (EtherType 0x86dd)"),
}


@pytest.mark.parametrize(("frame", "reason"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_forbidden_frame_that_comes_out_is_blamed_on_the_switch_that_let_it_in(
    tmp_path: Path, frame: bytes, reason: str
) -> None:
    world = right_world(tmp_path)
    world.see(FAR, frame)
    finding = found(world)[THERE]
    assert (finding.verdict, finding.blame) == ("fail", "sdx1-1")
    assert finding.observed == f"1 frames came out at {FAR}: {reason}"
    assert found(world)[BACK].verdict == "pass"


def test_frame_of_one_customer_at_another_outside_of_every_circuit_is_found(tmp_path: Path) -> None:
    world = right_world(tmp_path)
    world.see("sdx1-2:1", from_site(vlan=999))
    finding = found(world)["customer port sdx1-2:1"]
    assert (finding.verdict, finding.blame) == ("fail", "sdx1-2")


def test_frame_in_another_customers_circuit_is_found(tmp_path: Path) -> None:
    world = right_world(tmp_path)
    world.see("sdx1-2:1", from_site(vlan=102))
    assert found(world)[f"south-cc2 {FAR} → sdx1-2:1"].verdict == "fail"
