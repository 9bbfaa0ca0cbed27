"""Carriers' networks as planned: what their flows do to a frame, without a switch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.plans import shipped_plan
from uclab.model.load import LoadedTopology, load_topology
from uclab.plan.faults.carrier_faults import shared_labels
from uclab.plan.faults.catalogue import FAULTS
from uclab.plan.planner import make_plan
from uclab.plan.resolve.lines import wan_lines
from uclab.plan.schema.codec import plan_from_json, plan_to_json
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.flow_simulation import Frame, Tag, forward
from uclab.plan.schema.flows import ARP, CUSTOMER_TAG, IPV4, MPLS, SERVICE_TAG, words
from uclab.plan.schema.plan import LinkEnd, Plan, PortMode, SwitchRole
from uclab.plan.wan import mpls, provider_bridging
from uclab.plan.wan.provider_circuit import Attachment, ProviderCircuit

EF, CONTROL, UNKNOWN = 46, 48, 12


@cache
def plan(name: str) -> Plan:
    return shipped_plan(name)


def crossing(lab: Plan, enters: LinkEnd, frame: Frame) -> Iterator[tuple[str, Frame]]:
    """(Port by which it leaves, frame) at each switch of a carrier on the way of a frame."""
    ends = {link.a: link.b for link in lab.links} | {link.b: link.a for link in lab.links}
    switches = {s.name: s for s in lab.switches if s.role is SwitchRole.CARRIER_NETWORK}
    at = enters
    while at.device in switches:
        switch = switches[at.device]
        number = next(p.number for p in switch.ports if p.interface == at.interface)
        sent = forward(switch.flows, number, frame)
        if sent is None:
            return
        out, frame = sent
        leaves = LinkEnd(switch.name, next(p.interface for p in switch.ports if p.number == out))
        yield f"{switch.name}:{out}", frame
        at = ends[leaves]


def handed_over(lab: Plan, peer: str) -> LinkEnd:
    """The carrier's port towards a device."""
    found = [LinkEnd(s.name, p.interface) for s in lab.switches if s.flows for p in s.ports if p.peer == peer]
    [end] = found
    return end


@pytest.mark.req("W3", "Q1.4")
@pytest.mark.parametrize(("dscp", "tc"), [(46, 5), (34, 4), (26, 3), (18, 2), (48, 6), (UNKNOWN, 0)])
def test_a_label_switched_core_pushes_swaps_and_pops(dscp: int, tc: int) -> None:
    # given a packet with a DSCP, in the frame that the site's termination unit hands over
    lab, tagged = plan("mpls-branch"), Tag(CUSTOMER_TAG, 101, tc)
    # when it crosses the core
    frame = Frame(IPV4, dscp, (tagged,))
    way = list(crossing(lab, handed_over(lab, "cc1-ntu"), frame))
    # then it has the class of its DSCP under two labels, and behind the far edge the priority of the class
    assert way == [
        ("mpls1-edge1:1", Frame(IPV4, dscp, (), 101, tc)),
        ("mpls1-core:2", Frame(IPV4, dscp, (), 102, tc)),
        ("mpls1-edge2:2", frame),
    ]
    assert way[0][1].eth_type == MPLS


@pytest.mark.req("W3", "Q1.4")
def test_the_return_path_has_labels_of_its_own_and_arp_too() -> None:
    lab = plan("mpls-branch")
    near, far = handed_over(lab, "cc1-ntu"), handed_over(lab, "fra1-px")
    used = set()
    for enters in (near, far):
        for payload, dscp in ((IPV4, EF), (ARP, None)):
            way = list(crossing(lab, enters, Frame(payload, dscp, (Tag(CUSTOMER_TAG, 101, 5),))))
            assert len(way) == 3
            assert way[-1][1].payload == payload
            used |= {frame.label for _, frame in way[:2]}
    assert used == set(range(101, 109))


@pytest.mark.req("W3")
def test_two_customers_with_the_same_addresses_share_no_label_and_no_port() -> None:
    # given the other customer's routers
    lab = plan("mpls-branch")
    [x1, x2] = [n for n in lab.nodes if n.kind == "other-customer"]
    ours = {a for n in (lab.node("edge"), lab.node("fra1-cc")) for i in n.interfaces for a in i.addresses}
    assert {*x1.interfaces[0].addresses, *x2.interfaces[0].addresses} <= ours
    assert x1.interfaces[0].mac not in {i.mac for i in lab.node("edge").interfaces}
    # when both customers' packets cross the core
    ways = [
        list(crossing(lab, handed_over(lab, x1.name), Frame(IPV4, 0))),
        list(crossing(lab, handed_over(lab, "cc1-ntu"), Frame(IPV4, 0, (Tag(CUSTOMER_TAG, 101),)))),
    ]
    # then each comes out at its own port, and no label is used by both
    assert [way[-1][0] for way in ways] == ["mpls1-edge2:3", "mpls1-edge2:2"]
    marks = [{frame.label for _, frame in way[:-1]} for way in ways]
    assert not marks[0] & marks[1]
    one, other = lab.carried
    assert not set(one.labels) & set(other.labels)
    assert [c.source_node for c in lab.chatter] == [x1.name]
    # and the plan's paths and routes know only our routers
    assert lab.node("edge").routing is not None
    assert all("mpls1-x" not in hop.tap for path in lab.paths for hop in path.hops)


@pytest.mark.req("W2", "Q1.2")
@pytest.mark.parametrize("pcp", [0, 2, 3, 4, 5, 6])
def test_a_private_line_copies_the_priority_to_its_service_tag(pcp: int) -> None:
    # given a frame with the customer's tag
    lab = plan("evpl-point-to-point")
    frame = Frame(IPV4, EF, (Tag(CUSTOMER_TAG, 101, pcp),))
    for peer in ("cc1-ntu", "fra1-px"):
        # when it crosses the carrier, either way
        *inside, (_, outside) = crossing(lab, handed_over(lab, peer), frame)
        # then a service tag with the same priority stands in front of it, inside only
        assert [seen.tags for _, seen in inside] == [(Tag(SERVICE_TAG, 2001, pcp), *frame.tags)] * 2
        assert outside == frame


@pytest.mark.req("W2", "W3")
def test_what_is_no_circuit_goes_nowhere() -> None:
    for name in ("mpls-branch", "evpl-point-to-point"):
        lab = plan(name)
        assert not list(crossing(lab, handed_over(lab, "cc1-ntu"), Frame(IPV4, EF, (Tag(CUSTOMER_TAG, 7),))))
        assert not list(crossing(lab, handed_over(lab, "cc1-ntu"), Frame(0x86DD, None)))


@pytest.mark.req("W2", "W3", "Q1.4")
@pytest.mark.parametrize(
    ("name", "sorts_by"), [("mpls-branch", "mpls-tc"), ("evpl-point-to-point", "service-pcp")]
)
def test_every_port_inside_has_a_class_for_each_code(name: str, sorts_by: str) -> None:
    inside = [s for s in plan(name).switches if s.role is SwitchRole.CARRIER_NETWORK]
    queues = [queue for switch in inside for queue in switch.queues]
    assert len(queues) == 4
    for queue in queues:
        assert queue.sorts_by == sorts_by
        assert [c.codes for c in queue.classes] == [(5,), (4,), (3, 2, 6), ()]
        assert 5000 <= queue.rate_kbps < 5100
    assert {switch.mtu for switch in inside} == {1600}


@pytest.mark.req("W2", "W3")
def test_paths_tell_tag_and_label_at_every_tap_inside() -> None:
    hops = {hop.tap: hop for hop in plan("mpls-branch").paths[0].hops}
    assert [hops[t].label for t in ("mpls1-edge1:2", "mpls1-edge1:1", "mpls1-core:1", "mpls1-core:2")] == [
        None, 101, 101, 102,
    ]  # fmt: skip
    assert (hops["mpls1-edge1:2"].vlan, hops["mpls1-core:1"].vlan) == (101, None)
    hops = {hop.tap: hop for hop in plan("evpl-point-to-point").paths[0].hops}
    assert (hops["metro1-core:1"].vlan, hops["metro1-core:1"].service_vlan) == (101, 2001)
    assert (hops["metro1-edge2:2"].vlan, hops["metro1-edge2:2"].service_vlan) == (101, None)


@pytest.mark.req("W2", "W3", "V1")
@pytest.mark.parametrize("name", ["mpls-branch", "evpl-point-to-point"])
def test_a_carried_circuit_is_a_line_with_a_cable_to_cut(name: str) -> None:
    first, second = wan_lines(plan(name))
    assert (first.near.device, first.far.device, first.private) == ("edge", "fra1-cc", True)
    assert first.link == "edge-fra1"
    assert not second.private
    assert plan_from_json(plan_to_json(plan(name))) == plan(name)


def branches(count: int, kind: str) -> LoadedTopology:
    """`mpls-branch` with that many circuits over its carrier, from as many sites."""
    loaded = load_topology("mpls-branch")
    topology = loaded.topology
    [site] = topology.sites
    [carrier] = topology.carriers
    sites = []
    for number in range(count):
        prefix = f"10.{100 + number}"
        vlans = tuple(
            v.model_copy(update={"subnet": type(v.subnet)(f"{prefix}.{v.id}.0/24")}) for v in site.vlans
        )
        own = {"name": f"s{number}", "prefix": type(site.prefix)(f"{prefix}.0.0/16"), "vlans": vlans}
        switch = site.switches[0].model_copy(update={"name": f"a{number}"})
        wall = site.firewall.model_copy(update={"name": f"f{number}", "uplinks": (f"a{number}",)})
        router = site.router.model_copy(update={"name": f"r{number}"})
        [circuit, _] = site.connections
        line = circuit.model_copy(update={"vlan": 101 + number})
        public = type(site.prefix)(f"203.0.113.{128 + 8 * number}/29")
        sites.append(
            site.model_copy(
                update=own
                | {"switches": (switch,), "firewall": wall, "router": router, "connections": (line,)}
                | {"endpoints": (), "public_prefix": public}
            )
        )
    carriers = (carrier.model_copy(update={"kind": kind, "other_customer": kind == "mpls"}),)
    return replace(loaded, topology=topology.model_copy(update={"sites": tuple(sites), "carriers": carriers}))


@pytest.mark.req("W2", "W3")
@settings(max_examples=12, deadline=None)
@given(count=st.integers(1, 8), kind=st.sampled_from(["mpls", "evpl"]))
def test_each_circuit_of_a_carrier_has_marks_of_its_own_and_leads_to_its_end(count: int, kind: str) -> None:
    # given any number of circuits over one carrier
    lab = make_plan(branches(count, kind))
    # when a packet of each crosses it
    seen: list[set[int | None]] = []
    for number in range(count):
        unit = "cc1-ntu" if number == 0 else f"cc1-ntu-{number + 1}"
        frame = Frame(IPV4, EF, (Tag(CUSTOMER_TAG, 101 + number, 5),))
        *inside, (_, out) = crossing(lab, handed_over(lab, unit), frame)
        # then it comes out as it went in, and carried marks that no other circuit has
        assert out == frame
        assert len(inside) == 2
        seen.append({f.label if kind == "mpls" else f.vlan_of(SERVICE_TAG) for _, f in inside})
    assert len(set(chain(*seen))) == sum(map(len, seen))
    marks = [mark for one in lab.carried for mark in one.labels]
    assert len(set(marks)) == len(marks) == (8 * (count + 1) if kind == "mpls" else 0)


@pytest.mark.req("W2", "W3")
@given(st.integers(1, 2094), st.integers(1, 2094))
def test_marks_are_valid_and_never_shared(one: int, other: int) -> None:
    port = Attachment("edge1", 2, 1, 1, 101)
    strands = [ProviderCircuit(number, "cc", port, port, 1, 1) for number in (one, other)]
    first, second = (set(mpls.labels_of(strand)) for strand in strands)
    assert all(16 <= label < 1 << 20 for label in first)
    tags = [provider_bridging.service_vlan(strand) for strand in strands]
    assert (one == other) == bool(first & second) == (tags[0] == tags[1])
    assert all(1 <= tag <= 4094 for tag in tags)


def test_a_carrier_runs_out_of_service_tags() -> None:
    port = Attachment("edge1", 2, 1, 1, 101)
    with pytest.raises(PlanError, match="service tags for 2094"):
        provider_bridging.service_vlan(ProviderCircuit(2095, "cc", port, port, 1, 1))


@pytest.mark.req("W3", "Q1.4")
def test_a_shifted_map_gives_each_packet_the_class_below() -> None:
    lab = FAULTS["mpls-map-shifted"].apply(plan("mpls-branch"), None)
    way = list(crossing(lab, handed_over(lab, "cc1-ntu"), Frame(IPV4, EF, (Tag(CUSTOMER_TAG, 101, 5),))))
    assert [frame.tc for _, frame in way] == [4, 4, None]
    assert way[-1][1].tags == (Tag(CUSTOMER_TAG, 101, 4),)
    back = list(crossing(lab, handed_over(lab, "fra1-px"), Frame(IPV4, EF, (Tag(CUSTOMER_TAG, 101, 5),))))
    assert [frame.tc for _, frame in back] == [5, 5, None]


@pytest.mark.req("W2", "Q1.2")
def test_an_unmarked_service_tag_has_no_priority() -> None:
    lab = FAULTS["service-tag-unmarked"].apply(plan("evpl-point-to-point"), None)
    frame = Frame(IPV4, EF, (Tag(CUSTOMER_TAG, 101, 5),))
    *inside, (_, out) = crossing(lab, handed_over(lab, "cc1-ntu"), frame)
    assert {seen.tags[0].pcp for _, seen in inside} == {0}
    assert out == frame


@pytest.mark.req("W3")
def test_with_a_shared_label_another_customers_packets_come_out_at_our_port() -> None:
    lab = FAULTS["labels-shared"].apply(plan("mpls-branch"), None)
    way = list(crossing(lab, handed_over(lab, "mpls1-x1"), Frame(IPV4, 0)))
    assert way[-1][0] == "mpls1-edge2:2"
    # ARP still goes its own way, so that our routers do not learn a wrong neighbour
    assert list(crossing(lab, handed_over(lab, "mpls1-x1"), Frame(ARP)))[-1][0] == "mpls1-edge2:3"


@pytest.mark.parametrize("name", ["mpls-map-shifted", "service-tag-unmarked", "labels-shared"])
def test_faults_of_carriers_change_one_switch_and_name_what_they_do_not_find(name: str) -> None:
    clean = plan("evpl-point-to-point" if name == "service-tag-unmarked" else "mpls-branch")
    broken = FAULTS[name].apply(clean, None)
    changed = [a.name for a, b in zip(clean.switches, broken.switches, strict=True) if a != b]
    assert len(changed) == 1
    assert FAULTS[name].apply(clean, changed[0]).switches == broken.switches
    with pytest.raises(KeyError, match=r"no .* nobody; there is "):
        FAULTS[name].apply(clean, "nobody")
    with pytest.raises(KeyError, match="there is none"):
        shared_labels(plan("small-office"), None)


def test_a_flow_is_one_line_of_words() -> None:
    [core] = [s for s in plan("mpls-branch").switches if s.name == "mpls1-core"]
    assert words(core.flows[0]) == "10 in 1 type 0x8847 label 101 tc 0: set-label 102, out 2"
    [edge] = [s for s in plan("mpls-branch").switches if s.name == "mpls1-edge1"]
    assert words(edge.flows[0]) == (
        "20 in 2 type 0x0800 vlan 101 dscp 46: pop-vlan, push-mpls 0x8847, set-label 101, set-tc 5, out 1"
    )


def test_ports_inside_a_carrier_are_trunks_without_learning() -> None:
    for switch in plan("mpls-branch").switches:
        if switch.role is SwitchRole.CARRIER_NETWORK:
            assert {port.mode for port in switch.ports} == {PortMode.TRUNK}
            assert not switch.controlled
