"""What the reference site is planned to be."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Interface, IPv4Network

import pytest

from controllers.fabric import compile_fabric
from controllers.ingress_filter import IPV4, UDP
from testbed.fake_fabric import FakeFabric, ethernet
from uclab.kinds.endpoint_kind import ENDPOINT_KINDS
from uclab.kinds.user_agent import USER_AGENTS, UserAgent
from uclab.model.load import LoadedTopology, load_topology
from uclab.plan.lan.endpoints import direct_number, tones
from uclab.plan.lan.spanning_trees import PortRef
from uclab.plan.planner import make_plan
from uclab.plan.resolve.addresses import highest_free
from uclab.plan.resolve.names import port_interface
from uclab.plan.resolve.plan_edits import port_towards
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.plan import NodeKind, Plan, PortMode, SwitchRole
from uclab.plan.traffic.calls import missing_kinds, reference_calls, rounds


@cache
def loaded(name: str = "enterprise-hq") -> LoadedTopology:
    return load_topology(name)


@cache
def plan(name: str = "enterprise-hq") -> Plan:
    return make_plan(loaded(name))


@pytest.mark.req("L1", "L2")
def test_phone_port_carries_voice_tagged_and_the_pc_untagged() -> None:
    _, port = port_towards(plan(), "desk1")
    assert (port.mode, port.vlan, port.tagged, port.trust_dscp) == (PortMode.PHONE, 120, (110,), True)
    macs = [(110, plan().node("desk1").interfaces[0].mac), (120, plan().node("pc1").interfaces[0].mac)]
    assert list(port.allowed) == macs


def in_the_data_vlan(phone: str) -> LoadedTopology:
    """The small office with a phone that got no voice VLAN."""
    office = loaded("small-office")
    (site,) = office.topology.sites
    endpoints = tuple(e.model_copy(update={"vlan": "data"}) if e.name == phone else e for e in site.endpoints)
    sites = (site.model_copy(update={"endpoints": endpoints}),)
    return replace(office, topology=office.topology.model_copy(update={"sites": sites}))


@pytest.mark.req("L1", "C8", "N3.2")
def test_a_phone_in_its_pcs_vlan_is_trusted_no_more_than_the_pc() -> None:
    # given a phone that is in the data VLAN with the PC behind it
    shared = make_plan(in_the_data_vlan("desk1"))
    # when the plan is made, then both send untagged through one access port that believes no mark
    switch, port = port_towards(shared, "desk1")
    assert (port.mode, port.tagged, port.trust_dscp) == (PortMode.ACCESS, (), False)
    assert len(port.allowed) == 2
    assert {vlan for vlan, _ in port.allowed} == {port.vlan}
    # and what either sends is marked by its ports alone: bulk with EF is best effort, voice is EF
    (fabric,) = shared.fabrics
    fake = FakeFabric(fabric, compile_fabric(fabric).tables)
    gateway = shared.node("fw").interface("data").mac
    cloud = shared.session_controllers[0].media_address
    for name, to, udp_port, before, after in (
        ("pc1", "198.19.0.6", 5201, 46, 0),
        ("pc1", cloud, 53_000, 0, 46),
        ("desk1", cloud, 30_000, 46, 46),
    ):
        frame = ethernet(
            shared.node(name).interfaces[0].mac, gateway, eth_type=IPV4, ip_proto=UDP, udp_dst=udp_port,
            dscp=before, ipv4_dst=to,
        )  # fmt: skip
        (delivery,) = fake.send(PortRef(switch.name, port.number), frame).deliveries
        assert delivery.frame.dscp == after, (name, to)


@pytest.mark.req("C9.1")
def test_softclients_are_played_by_who_can_do_what_the_policy_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    def softclients(office: LoadedTopology) -> set[tuple[str, str | None]]:
        made = make_plan(office)
        soft = [e for e in made.endpoints if e.kind == "softclient"]
        return {(e.driver, made.node(e.node).nftables) for e in soft}

    # given a program with an older TLS and shorter names, which marks by itself: it plays them
    old = UserAgent("old", "nowhere:make", "1.2", 127, marks=True)
    soft = replace(ENDPOINT_KINDS["softclient"], user_agents=("old", "baresip"))
    monkeypatch.setitem(USER_AGENTS._declared, "old", old)
    monkeypatch.setitem(ENDPOINT_KINDS._declared, "softclient", soft)
    office = loaded("small-office")
    assert softclients(office) == {("old", None)}
    # when the policy asks for TLS 1.3, or the cloud's host names are longer than it takes
    strict = office.policy.signalling.model_copy(update={"min_tls_version": "1.3"})
    cloud = office.topology.cloud
    long_names = office.topology.model_copy(
        update={"cloud": cloud.model_copy(update={"domain": f"{'a' * 60}.{'b' * 60}.test"})}
    )
    for harder in (
        replace(office, policy=office.policy.model_copy(update={"signalling": strict})),
        replace(office, topology=long_names),
    ):
        # then baresip plays them, and their device marks for it, by the port that softclients use
        ((driver, rules),) = softclients(harder)
        assert driver == "baresip"
        assert rules is not None
        assert "tcp dport 5097" in rules


@pytest.mark.parametrize(
    "taken",
    [(), ("10.128.0.0/9",), ("10.255.255.252/30", "10.128.0.0/9"), ("10.0.0.0/8",), ("10.255.255.253/32",)],
)
def test_room_for_the_transit_link_is_found_at_once_in_the_largest_prefix(taken: tuple[str, ...]) -> None:
    # given the largest private prefix, half of it or all of it taken by VLANs
    whole, networks = IPv4Network("10.0.0.0/8"), [IPv4Network(one) for one in taken]
    # when the highest free /30 is looked for, then no search through four million is needed
    began = time.process_time()
    found = highest_free(whole, 30, networks)
    assert time.process_time() - began < 0.1
    # and it is right
    if whole in networks:
        assert found is None
    else:
        assert found is not None
        assert not any(found.overlaps(network) for network in networks)
        assert not taken or taken == ("10.255.255.253/32",) or found == IPv4Network("10.127.255.252/30")


@pytest.mark.req("L2", "C8")
def test_softclient_port_is_in_the_data_vlan_and_not_trusted() -> None:
    _, port = port_towards(plan(), "soft1")
    assert (port.mode, port.vlan, port.tagged, port.trust_dscp) == (PortMode.ACCESS, 120, (), False)


@pytest.mark.req("L4.1")
def test_older_voip_stands_in_a_vlan_and_subnet_of_its_own() -> None:
    [vlan] = [vlan for vlan in plan().vlans if vlan.role == "foreign-voip"]
    [older] = [node for node in plan().nodes if node.site == "hq" and node.kind is NodeKind.SERVER]
    assert IPv4Interface(older.interfaces[0].addresses[0]).network == IPv4Network(vlan.subnet)
    _, port = port_towards(plan(), older.name)
    assert (port.mode, port.vlan) == (PortMode.ACCESS, vlan.id)


@pytest.mark.req("N3.1")
def test_uplinks_come_behind_the_endpoint_ports_and_in_the_order_of_the_file() -> None:
    [acc2] = [switch for switch in plan().switches if switch.name == "acc2"]
    assert [(p.number, p.peer) for p in acc2.ports if p.mode is PortMode.TRUNK] == [
        (25, "dist2"),
        (26, "dist1"),
    ]


@pytest.mark.req("N1.3")
def test_firewall_has_an_interface_for_each_zone_behind_its_own_port_module() -> None:
    wall = plan().node("fw")
    assert [i.zone for i in wall.interfaces] == ["voice", "data", "rooms", "management", "legacy-voip", "wan"]
    [module] = [switch for switch in plan().switches if switch.role is SwitchRole.EDGE]
    zones = [port for port in module.ports if port.mode is PortMode.ACCESS]
    assert [port.vlan for port in zones] == [vlan.id for vlan in plan().vlans]
    assert [port.allowed[0][1] for port in zones] == [i.mac for i in wall.interfaces[:-1]]


@pytest.mark.req("N2", "C8")
def test_router_queues_voice_apart_below_the_rate_of_the_line() -> None:
    [queue] = plan().node("edge").queues
    assert queue.rate_kbps == 9700
    voice = next(c for c in queue.classes if 46 in c.dscps)
    assert voice.priority == min(c.priority for c in queue.classes)
    assert sum(c.rate_kbps for c in queue.classes) <= queue.rate_kbps
    assert [c.arp for c in queue.classes].count(True) == 1
    assert [c.dscps for c in queue.classes].count(()) == 1
    assert all(c.limit_packets <= 40 for c in queue.classes)


@pytest.mark.req("Q2")
def test_line_delays_and_loses_in_each_direction_as_its_profile_says() -> None:
    profile = loaded().profiles["business-internet-10"]
    [up], [down] = plan().node("edge").impairments, plan().node("isp1").impairments
    assert (up.interface, up.delay_ms, up.jitter_ms) == ("wan1", profile.up.delay_ms, profile.up.jitter_ms)
    assert (down.interface, down.delay_ms, down.loss_pct) == (
        "edge",
        profile.down.delay_ms,
        profile.down.loss_pct,
    )
    assert up.seed != down.seed


@pytest.mark.req("W1", "Q2")
def test_provider_that_does_not_honour_classes_has_one_queue() -> None:
    line = loaded().profiles["business-internet-10"]
    plain = replace(loaded(), profiles={line.profile: line.model_copy(update={"honours_classes": False})})
    [queue] = make_plan(plain).node("isp1").queues
    assert [(c.dscps, c.arp) for c in queue.classes] == [((), True)]
    assert len(make_plan(plain).node("edge").queues[0].classes) == 4


@pytest.mark.req("C1.1", "C9.1")
def test_endpoints_verify_a_name_that_the_certificate_and_the_dns_have() -> None:
    names = {record.name: record.value for record in plan().name_servers[0].records if record.type == "A"}
    [controller] = plan().session_controllers
    certificate = next(c for c in plan().certificates if c.name == controller.certificate)
    for endpoint in plan().endpoints:
        assert endpoint.registrar in certificate.dns_names
        assert names[endpoint.registrar] == controller.address
        assert endpoint.registrar_port in controller.tls_ports
        assert (endpoint.transport, endpoint.media_encryption, endpoint.verify_server) == (
            "tls",
            "srtp",
            True,
        )


@pytest.mark.req("C4")
def test_extension_has_a_telephone_number_of_its_own() -> None:
    topology = loaded().topology
    assert direct_number(topology.cloud.pstn.numbers, 1003) == "+493055521003"
    assert direct_number(topology.cloud.pstn.numbers, 10003) == "+493055210003"
    numbers = [endpoint.account.e164 for endpoint in plan().endpoints]
    assert len(set(numbers)) == len(numbers)
    assert not set(numbers) & set(topology.cloud.pstn.numbers)


def test_paths_are_as_the_architecture_says() -> None:
    path = next(path for path in plan().paths if path.endpoint == "desk1")
    assert [hop.tap for hop in path.hops[:12]] == [
        "desk1:eth0", "desk1-sw:2", "desk1-sw:1", "acc1:1", "acc1:25", "dist1:3", "dist1:1", "core1:2",
        "core1:4", "fw-sw:6", "fw-sw:1", "fw:voice",
    ]  # fmt: skip
    assert [hop.vlan for hop in path.hops[:12]] == [None, None, *[110] * 8, None, None]


def test_taken_name_is_refused_with_a_way_out() -> None:
    site = loaded().topology.sites[0]
    clashing = site.model_copy(update={"router": site.router.model_copy(update={"name": "inet"})})
    topology = loaded().topology.model_copy(update={"sites": (clashing,)})
    with pytest.raises(PlanError, match="device name inet: the lab needs this name"):
        make_plan(replace(loaded(), topology=topology))


def test_tones_lie_within_an_octave_and_far_apart() -> None:
    for count in (1, 15, 16, 60, 300):
        found = sorted(tones(count))
        assert len(set(found)) == count
        assert found[-1] < 2 * found[0]


def test_long_switch_name_gives_way_to_a_short_port_name() -> None:
    assert port_interface("acc1", 7, 3) == "acc1-p3"
    assert port_interface("abcdefghijkl-sw", 117, 3) == "S117-p3"


@pytest.mark.req("C3", "C4", "C7", "C8")
def test_reference_calls_are_of_every_kind_and_four_meet_the_overload() -> None:
    calls = reference_calls(plan())
    assert missing_kinds(plan()) == ()
    neighbours = next(call for call in calls if call.kind == "desk-desk")
    switches = {port_towards(plan(), name)[0].name for name in (neighbours.caller, neighbours.callee)}
    assert len(switches) == 1, "the same access switch"
    assert sum(call.kind == "overload" for call in calls) == 4
    assert [len(group) for group in rounds(plan(), calls)] == [5, 4]


def test_site_without_softclients_says_what_it_cannot_show() -> None:
    site = loaded("small-office").topology.sites[0]
    phones = tuple(endpoint for endpoint in site.endpoints if endpoint.kind == "desk-phone")[:1]
    topology = loaded("small-office").topology.model_copy(
        update={"sites": (site.model_copy(update={"endpoints": phones}),)}
    )
    lone = make_plan(replace(loaded("small-office"), topology=topology))
    assert missing_kinds(lone) == ("desk-desk", "desk-soft", "hold-transfer")


@pytest.mark.req("W9", "V2")
def test_two_lines_are_default_routes_in_order_of_preference_with_their_own_addresses() -> None:
    # given a small business with two providers
    dual = plan("smb-dual-wan")
    edge = dual.node("edge")
    address = {i.name: IPv4Interface(i.addresses[0]) for i in edge.interfaces}
    # when its router's routes are sorted as the kernel does, lowest metric first
    defaults = sorted((r for r in edge.routes if r.prefix == "0.0.0.0/0"), key=lambda r: r.metric)
    # then the first line is preferred, the second is there for when it is down, and both ends are known
    assert [
        line for r in defaults for line, own in address.items() if IPv4Interface(r.via).ip in own.network
    ] == [
        "wan1",
        "wan2",
    ]
    assert len({r.metric for r in defaults}) == 2
    # and whatever leaves by either is translated to that line's address, of its provider's prefix
    assert 'oifname { "wan1", "wan2" } ip saddr 192.168.32.0/20 masquerade' in (edge.nftables or "")
    assert address["wan1"].ip in IPv4Network("203.0.113.0/26")
    assert address["wan2"].ip in IPv4Network("203.0.113.64/26")


@pytest.mark.req("W9", "V2")
def test_endpoints_ways_take_the_preferred_line_only() -> None:
    # given two lines; when nothing has failed
    devices = {hop.tap.partition(":")[0] for path in plan("smb-dual-wan").paths for hop in path.hops}
    # then every way to the cloud crosses the first provider, none the second
    assert "isp1" in devices
    assert "isp2" not in devices


@pytest.mark.req("V2", "C6.2")
def test_phones_know_all_data_centres_in_order_and_session_controllers_each_other() -> None:
    there = plan("cloudconnect-georedundant-ott")
    # given two data centres, then each phone knows both by the names on their certificates, the first first
    names = ("sip.ucaas.test", "sip-fra2.ucaas.test")
    assert {endpoint.registrars for endpoint in there.endpoints} == {names}
    # and each session controller the other, by name and address
    first, second = there.session_controllers
    assert [(p.host_name, p.address) for p in first.peers] == [(names[1], second.address)]
    assert [(p.host_name, p.address) for p in second.peers] == [(names[0], first.address)]
    # where there is one data centre, there is nobody else
    assert {endpoint.backup_registrars for endpoint in plan().endpoints} == {()}
    assert plan().session_controllers[0].peers == ()
