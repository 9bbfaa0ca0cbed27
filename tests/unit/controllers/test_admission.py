"""What edge ports let in: VLANs, MAC addresses, frame filters (N3, L1, L2)."""

from __future__ import annotations

import pytest

from controllers.fabric import compile_fabric
from controllers.flows import Purpose
from controllers.ingress_filter import ARP, ICMPV6, IPV4, IPV6, UDP
from testbed.fabrics import DATA, ROOMS, VOICE, Host, hierarchy, hosts
from testbed.fake_fabric import FakeFabric, Outcome

BROADCAST = "ff:ff:ff:ff:ff:ff"
FABRIC = hierarchy(2, 2, 3)
FAKE = FakeFabric(FABRIC, compile_fabric(FABRIC).tables)
PHONE, PC, ROOM = (
    next(h for h in hosts(FABRIC) if h.vlan == vlan and h.port.switch.startswith("acc"))
    for vlan in (VOICE, DATA, ROOMS)
)
GATEWAY = next(h for h in hosts(FABRIC) if h.vlan == DATA and h.port.switch == "fw-sw")


def send(sender: Host, eth_dst: str, **fields: object) -> Outcome:
    return FAKE.send(sender.port, sender.frame(eth_dst, **fields))


@pytest.mark.req("N3.3")
def test_a_foreign_mac_is_dropped_and_reported_with_its_port() -> None:
    outcome = send(PC, GATEWAY.mac, eth_src="02:de:ad:be:ef:01")
    assert outcome.deliveries == []
    assert outcome.reports == [(PC.port, Purpose.PORT_SECURITY)]


@pytest.mark.req("N3.3")
def test_a_known_mac_at_another_port_is_foreign_there() -> None:
    elsewhere = next(
        h for h in hosts(FABRIC) if h.vlan == DATA and h.port.switch not in (PC.port.switch, "fw-sw")
    )
    assert send(PC, GATEWAY.mac, eth_src=elsewhere.mac).reports == [(PC.port, Purpose.PORT_SECURITY)]


@pytest.mark.req("N3.2", "N3.3", "L1")
def test_a_phone_may_not_send_in_the_data_vlan_nor_a_pc_in_the_voice_vlan() -> None:
    assert PHONE.port == PC.port
    assert send(PHONE, GATEWAY.mac, vlan=None, pcp=None).reports == [(PHONE.port, Purpose.PORT_SECURITY)]
    assert send(PC, GATEWAY.mac, vlan=VOICE, pcp=5).reports == [(PC.port, Purpose.PORT_SECURITY)]


@pytest.mark.req("W10", "L2")
def test_a_tag_on_an_access_port_or_of_another_vlan_is_dropped_and_reported() -> None:
    for sender, vlan in ((ROOM, ROOMS), (ROOM, DATA), (PHONE, ROOMS), (PHONE, 4094)):
        outcome = send(sender, BROADCAST, vlan=vlan, pcp=0)
        assert outcome.deliveries == []
        assert outcome.reports == [(sender.port, Purpose.VLAN_FILTER)]


@pytest.mark.req("N3.3")
@pytest.mark.parametrize(
    "group", ["01:80:c2:00:00:00", "01:80:c2:00:00:0e", "01:00:0c:cc:cc:cc", "01:00:0c:cc:cc:cd"]
)
def test_spanning_tree_and_discovery_frames_are_never_forwarded(group: str) -> None:
    assert send(PC, group, eth_type=0x88CC, dscp=None).deliveries == []


@pytest.mark.req("N3.4")
def test_dhcp_answers_come_from_the_gateway_only() -> None:
    answer = {"eth_type": IPV4, "ip_proto": UDP, "udp_src": 67, "udp_dst": 68}
    forged = send(PC, BROADCAST, **answer)
    assert forged.deliveries == []
    assert forged.reports == [(PC.port, Purpose.FRAME_FILTER)]
    assert PC.port in send(GATEWAY, BROADCAST, **answer).ports


@pytest.mark.req("N3.4")
def test_router_advertisements_come_from_the_gateway_only() -> None:
    advertisement = {"eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": 134}
    assert send(PC, "33:33:00:00:00:01", **advertisement).reports == [(PC.port, Purpose.FRAME_FILTER)]
    assert PC.port in send(GATEWAY, "33:33:00:00:00:01", **advertisement).ports


@pytest.mark.req("N3.4")
def test_arp_with_a_forged_sender_is_dropped_and_reported() -> None:
    honest = send(PC, BROADCAST, eth_type=ARP, dscp=None, arp_sha=PC.mac, arp_spa="10.10.120.7")
    assert GATEWAY.port in honest.ports
    forged = send(PC, BROADCAST, eth_type=ARP, dscp=None, arp_sha=GATEWAY.mac, arp_spa="10.10.120.7")
    assert (forged.deliveries, forged.reports) == ([], [(PC.port, Purpose.ARP_FILTER)])


@pytest.mark.req("N3.4")
def test_nobody_but_the_gateway_claims_its_address() -> None:
    claim = {"eth_type": ARP, "dscp": None, "arp_spa": f"10.10.{DATA}.1"}
    assert send(PC, BROADCAST, arp_sha=PC.mac, **claim).reports == [(PC.port, Purpose.ARP_FILTER)]
    assert PC.port in send(GATEWAY, BROADCAST, arp_sha=GATEWAY.mac, **claim).ports


def test_edge_ports_have_a_limit_on_broadcast() -> None:
    tables = compile_fabric(FABRIC).tables
    switch = next(s for s in FABRIC.switches if s.name == PC.port.switch)
    limited = {
        r.match.in_port: r.meter for r in tables[switch.dpid].rules if r.table == 6 and r.meter is not None
    }
    meters = {meter.id for meter in tables[switch.dpid].meters}
    assert limited[PC.port.port] in meters
