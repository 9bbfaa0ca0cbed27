"""The trust boundary and the tags' priorities (C8, Q1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.fabric import compile_fabric
from controllers.ingress_filter import IPV4, UDP
from controllers.marking import TCP, port_masks
from testbed.fabrics import DATA, POLICY, ROOMS, VOICE, Host, hierarchy, hosts
from testbed.fake_fabric import FakeFabric
from uclab.plan.lan.spanning_trees import PortRef
from uclab.plan.schema.flow_simulation import Frame
from uclab.plan.schema.plan import MarkingRule, SiteFabric

FABRIC = hierarchy(2, 2, 2)
CLOUD_ADDRESS, ELSEWHERE = "198.18.10.5", "192.0.2.1"


def host(vlan: int, switch: str) -> Host:
    return next(h for h in hosts(FABRIC) if h.vlan == vlan and h.port.switch.startswith(switch))


PHONE, PC = host(VOICE, "acc"), host(DATA, "acc")


def on_the_wire(sender: Host, fabric: SiteFabric = FABRIC, target: str = "fw-sw", **fields: Any) -> Frame:
    """The frame as it comes out elsewhere; where tagged, with the priority that it had on the trunk."""
    receiver = host(sender.vlan, target)
    fake = FakeFabric(fabric, compile_fabric(fabric).tables)
    sent = sender.frame(receiver.mac, **{"eth_type": IPV4, **fields})
    (delivery,) = fake.send(sender.port, sent).deliveries
    return delivery.frame


def trusting(where: PortRef) -> SiteFabric:
    """The same fabric with one more trusted port."""
    switch = next(s for s in FABRIC.switches if s.name == where.switch)
    ports = tuple(replace(p, trust_dscp=True) if p.number == where.port else p for p in switch.ports)
    switches = tuple(replace(s, ports=ports) if s is switch else s for s in FABRIC.switches)
    return replace(FABRIC, switches=switches)


def udp(port: int, dscp: int, to: str = CLOUD_ADDRESS) -> dict[str, Any]:
    return {"ip_proto": UDP, "udp_dst": port, "dscp": dscp, "ipv4_dst": to}


def tcp(port: int, dscp: int, to: str = CLOUD_ADDRESS) -> dict[str, Any]:
    return {"ip_proto": TCP, "tcp_dst": port, "dscp": dscp, "ipv4_dst": to}


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_port_masks_cover_exactly_the_range(a: int, b: int) -> None:
    first, last = sorted((a, b))
    masks = list(port_masks(first, last))
    assert sum(0x10000 - mask for _, mask in masks) == last - first + 1
    for probe in {first, last, max(first - 1, 0), min(last + 1, 65535), (first + last) // 2}:
        covered = [value for value, mask in masks if probe & mask == value]
        assert len(covered) == (first <= probe <= last)


@pytest.mark.req("C8")
@pytest.mark.parametrize(
    ("packet", "dscp"),
    [
        (udp(30000, 46), 46),
        (tcp(5096, 26), 26),
        (udp(30000, 34), 34),
        (udp(30000, 0), 46),
        (udp(7777, 40), 46),
        (udp(7777, 48), 0),
        (udp(7777, 40, ELSEWHERE), 0),
        (udp(7777, 46, ELSEWHERE), 46),
    ],
    ids=[
        "media passes",
        "signalling passes",
        "a class's mark passes whatever the port",
        "unmarked media is marked by its port",
        "CS5 towards the cloud is the audio class",
        "beyond the policy becomes the default",
        "CS5 elsewhere becomes the default",
        "a class's mark passes wherever it goes",
    ],
)
def test_a_phone_in_the_voice_vlan_is_trusted_within_the_policy(packet: dict[str, Any], dscp: int) -> None:
    assert on_the_wire(PHONE, **packet).dscp == dscp


@pytest.mark.req("C8")
@pytest.mark.parametrize(
    ("packet", "dscp"),
    [
        (udp(7777, 46), 0),
        (udp(30000, 0), 46),
        (udp(20000, 34), 46),
        (udp(19999, 46), 34),
        (udp(65000, 46), 0),
        (udp(30000, 46, ELSEWHERE), 0),
        (udp(8850, 0, ELSEWHERE), 34),
        (tcp(5097, 46), 26),
        (tcp(636, 0, ELSEWHERE), 18),
        ({"dscp": 46, "ip_proto": 1, "ipv4_dst": CLOUD_ADDRESS}, 0),
    ],
    ids=[
        "a mark alone is not believed",
        "media by its port",
        "first port of the range, another mark",
        "last port of the range before",
        "first port behind the range",
        "media ports count towards the cloud only",
        "a rule for any destination",
        "signalling by its port",
        "directory anywhere",
        "neither UDP nor TCP",
    ],
)
def test_anything_else_is_marked_by_the_ordered_rules(packet: dict[str, Any], dscp: int) -> None:
    assert on_the_wire(PC, **packet).dscp == dscp


@pytest.mark.req("C8")
def test_the_first_of_two_matching_rules_wins() -> None:
    rules = (MarkingRule("first", 18, udp_ports=((30000, 30000),)), *POLICY.rules)
    fabric = replace(FABRIC, policy=replace(POLICY, rules=rules))
    assert on_the_wire(PC, fabric, **udp(30000, 0)).dscp == 18
    assert on_the_wire(PC, fabric, **udp(30001, 0)).dscp == 46


def test_an_untrusted_port_gets_only_the_classes_open_to_it() -> None:
    fabric = replace(FABRIC, policy=replace(POLICY, untrusted_classes=("signalling",)))
    assert on_the_wire(PC, fabric, **udp(30000, 46)).dscp == 0
    assert on_the_wire(PC, fabric, **tcp(5097, 0)).dscp == 26


@pytest.mark.req("C8")
def test_a_wrongly_trusted_access_port_lets_marks_through() -> None:
    """What the drill `port-wrongly-trusted` does to the plan reaches the packets."""
    room = host(ROOMS, "acc")
    assert on_the_wire(room, **udp(7777, 46)).dscp == 0
    assert on_the_wire(room, trusting(room.port), **udp(7777, 46)).dscp == 46


@pytest.mark.req("Q1.2")
@pytest.mark.parametrize(("dscp", "pcp"), [(46, 5), (34, 4), (26, 3), (18, 2), (0, 0)])
def test_the_tag_on_the_wire_has_the_priority_of_the_dscp(dscp: int, pcp: int) -> None:
    # a phone port is tagged, so what arrives there still has the priority that it had on the trunks
    assert on_the_wire(PHONE, target="acc2", **udp(7777, dscp, ELSEWHERE)).pcp == pcp


@pytest.mark.req("Q1.2")
def test_a_priority_that_the_sender_wrote_is_replaced() -> None:
    assert on_the_wire(PHONE, target="acc2", pcp=7, **udp(30000, 46)).pcp == 5
    assert on_the_wire(PHONE, target="acc2", pcp=7, eth_type=0x9999, dscp=None).pcp == 0
