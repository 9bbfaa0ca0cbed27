"""Private circuits without switches: what passes, with which marks, and what never does (W5)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.circuits import HIGHEST_TAG, LOWEST_TAG, Circuit, CircuitRefused, End, Exchange
from controllers.fabric import Tables
from controllers.flows import FlowTable, RateUnit, difference
from controllers.ingress_filter import ARP
from testbed.exchange import CUSTOMERS, FABRIC, SWITCHES
from testbed.fake_fabric import Delivery, FakeFabric, ethernet
from uclab.plan.lan.spanning_trees import PortRef
from uclab.plan.schema.flow_simulation import Frame
from uclab.plan.schema.flows import Match

HQ, CLOUD = IPv4Network("10.10.0.0/16"), IPv4Network("198.18.10.0/24")
NETWORKS = (HQ, CLOUD, IPv4Network("10.10.8.0/24"), IPv4Network("192.0.2.0/24"))
PORTS = [PortRef(f"ix{s + 1}", p + 1) for s in range(SWITCHES) for p in range(CUSTOMERS)]
FAR = Circuit(
    "hq-cloud", End(PORTS[0], 10, (HQ,)), End(PORTS[4], 20, (CLOUD,)), rate_kbps=2000, pcp=5,
    allowed_dscp=frozenset({46, 26}),
)  # fmt: skip
NEAR = replace(FAR, b=replace(FAR.b, port=PORTS[1]))


def exchange(*circuits: Circuit) -> Exchange:
    made = Exchange(FABRIC)
    for circuit in circuits:
        made.put(circuit)
    return made


def packet(vlan: int | None = 10, **fields: Any) -> Frame:
    """A voice packet from the headquarters to the cloud, unless told otherwise."""
    usual = {"ipv4_src": "10.10.8.1", "ipv4_dst": "198.18.10.5", "dscp": 46}
    pcp = None if vlan is None else 0
    return ethernet("02:00:00:00:00:01", "02:00:00:00:00:02", vlan, pcp, **{**usual, **fields})


def arp(source: str, target: str, vlan: int = 10) -> Frame:
    nothing = {"ipv4_src": None, "ipv4_dst": None, "dscp": None}
    return packet(vlan, eth_type=ARP, arp_spa=source, arp_tpa=target, **nothing)


def sent(tables: Tables, port: PortRef, frame: Frame) -> list[Delivery]:
    return FakeFabric(FABRIC, tables).send(port, frame).deliveries


@pytest.mark.req("W5")
@pytest.mark.parametrize("circuit", [FAR, NEAR], ids=["three switches", "one switch"])
def test_a_circuit_carries_what_its_policy_allows_both_ways_under_the_far_ends_vlan(circuit: Circuit) -> None:
    # given a circuit from VLAN 10 to VLAN 20
    tables = exchange(circuit).tables()
    # when the headquarters and the cloud send
    (there,) = sent(tables, circuit.a.port, packet())
    back = packet(20, ipv4_src="198.18.10.5", ipv4_dst="10.10.8.1", dscp=26)
    (here,) = sent(tables, circuit.b.port, back)
    # then each frame is at the other end, in its VLAN, with the circuit's priority and its own DSCP
    assert (there.port, there.frame.vlan, there.frame.pcp, there.frame.dscp) == (circuit.b.port, 20, 5, 46)
    assert (here.port, here.frame.vlan, here.frame.pcp, here.frame.dscp) == (circuit.a.port, 10, 5, 26)


FORBIDDEN = {
    "other source": packet(ipv4_src="10.11.0.1"),
    "other destination": packet(ipv4_dst="198.18.11.1"),
    "other mark": packet(dscp=0),
    "other VLAN": packet(11),
    "no tag": packet(None),
    "the circuit's own inner VLAN": packet(LOWEST_TAG),
    "IPv6": packet(eth_type=0x86DD, ipv4_src=None, ipv4_dst=None),
    "forged ARP": arp("198.18.10.5", "198.18.10.6"),
}


@pytest.mark.req("W5")
@pytest.mark.parametrize("circuit", [FAR, NEAR], ids=["three switches", "one switch"])
@pytest.mark.parametrize("frame", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_the_policy_does_not_name_is_dropped(circuit: Circuit, frame: Frame) -> None:
    assert sent(exchange(circuit).tables(), circuit.a.port, frame) == []


def without_policy(tables: Tables) -> Tables:
    """The fault: a circuit's entrance takes whatever comes in under its VLAN."""
    return {
        dpid: FlowTable(
            frozenset(replace(r, match=Match(r.match.in_port, r.match.vlan)) for r in table.rules),
            table.groups,
            table.meters,
        )
        for dpid, table in tables.items()
    }


@pytest.mark.req("W5")
@pytest.mark.parametrize("what", ["other source", "other destination", "other mark"])
def test_a_circuit_whose_policy_is_removed_carries_what_it_should_not(what: str) -> None:
    tables = without_policy(exchange(FAR).tables())
    assert [d.port for d in sent(tables, FAR.a.port, FORBIDDEN[what])] == [FAR.b.port]


@pytest.mark.req("W5")
def test_arp_between_the_ends_passes() -> None:
    (delivery,) = sent(exchange(FAR).tables(), FAR.a.port, arp("10.10.8.1", "198.18.10.5"))
    assert (delivery.port, delivery.frame.vlan) == (FAR.b.port, 20)


@pytest.mark.req("W5")
def test_a_changed_qos_level_marks_and_meters_again_without_touching_the_way() -> None:
    # given
    made = exchange(FAR)
    before = made.tables()
    # when
    made.put(replace(FAR, dscp=34, pcp=4, rate_kbps=500))
    # then
    (delivery,) = sent(made.tables(), FAR.a.port, packet())
    assert (delivery.frame.dscp, delivery.frame.pcp) == (34, 4)
    change = difference(before[1], made.tables()[1])
    (meter,) = change.modify_meters
    assert (meter.rate, meter.unit) == (500, RateUnit.KBIT_PER_SECOND)
    assert (change.delete_rules, change.add_meters, change.delete_meters) == ((), (), ())
    assert difference(before[2], made.tables()[2]).size == 0


@pytest.mark.req("W5")
def test_a_removed_circuit_leaves_nothing_and_its_neighbour_everything() -> None:
    other = replace(FAR, name="other", a=replace(FAR.a, vlan=11), b=replace(FAR.b, vlan=21))
    made = exchange(FAR, other)
    made.remove(FAR.name)
    assert sent(made.tables(), FAR.a.port, packet()) == []
    assert [d.frame.vlan for d in sent(made.tables(), FAR.a.port, packet(11))] == [21]
    made.remove("other")
    assert all(table == FlowTable() for table in made.tables().values())


REFUSALS = {
    "a trunk": (replace(FAR.a, port=PortRef("ix1", 3)), "ix1:3 is no customer port"),
    "no such switch": (replace(FAR.a, port=PortRef("ix9", 1)), "ix9:1 is no customer port; there are: ix1:1"),
    "taken": (FAR.a, "ix1:1 VLAN 10 belongs to circuit `hq-cloud`; take another VLAN"),
    "one port": (replace(FAR.b, vlan=77), "both ends are at ix3:1; use two ports"),
    "no prefix": (replace(FAR.a, vlan=12, prefixes=()), "give it `prefixes: [...]`"),
}


@pytest.mark.req("W5")
@pytest.mark.parametrize(("end", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_circuit_changes_nothing_and_says_the_way_out(end: End, message: str) -> None:
    made = exchange(FAR)
    before = made.tables()
    with pytest.raises(CircuitRefused) as caught:
        made.put(replace(FAR, name="new", a=end, b=replace(FAR.b, vlan=78)))
    assert message in str(caught.value)
    assert made.tables() == before


ENDS = st.tuples(st.sampled_from(PORTS), st.integers(LOWEST_TAG, 6))
PREFIXES = st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=2).map(tuple)


@st.composite
def circuit_sets(draw: st.DrawFn) -> list[Circuit]:
    """Circuits that use each other's VLAN ids, inner ones too, and each other's addresses."""
    ends = draw(st.lists(ENDS, min_size=4, max_size=8, unique=True))
    pairs = [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=False) if a[0] != b[0]]
    return [
        Circuit(f"c{n}", End(*a, draw(PREFIXES)), End(*b, draw(PREFIXES)), 1000, draw(st.integers(0, 7)))
        for n, (a, b) in enumerate(pairs)
    ]


@pytest.mark.req("W5")
@given(
    circuit_sets(), st.sampled_from(PORTS), st.integers(LOWEST_TAG, 8) | st.none(),
    st.sampled_from(NETWORKS), st.sampled_from(NETWORKS),
)  # fmt: skip
def test_two_circuits_never_leak_into_each_other(
    circuits: list[Circuit], port: PortRef, vlan: int | None, source: IPv4Network, target: IPv4Network
) -> None:
    # given any circuits, when any frame comes in anywhere
    frame = packet(vlan, ipv4_src=str(source[1]), ipv4_dst=str(target[1]))
    came_out = sent(exchange(*circuits).tables(), port, frame)
    # then it is at the other end of its own circuit, if the policy has it, and nowhere else
    expected = [
        (goal.port, goal.vlan)
        for circuit in circuits
        for start, goal in circuit.directions
        if (start.port, start.vlan) == (port, vlan)
        and any(source[1] in prefix for prefix in start.prefixes)
        and any(target[1] in prefix for prefix in goal.prefixes)
    ]
    assert [(d.port, d.frame.vlan) for d in came_out] == expected


@pytest.mark.req("W5")
def test_there_are_as_many_circuits_as_vlan_ids_and_a_free_one_is_used_again() -> None:
    made = Exchange(FABRIC)
    for number in range(LOWEST_TAG, HIGHEST_TAG + 1):
        made.put(
            replace(FAR, name=f"c{number}", a=replace(FAR.a, vlan=number), b=replace(FAR.b, vlan=number))
        )
    last = replace(FAR, name="last", a=replace(FAR.a, port=PORTS[2]), b=replace(FAR.b, port=PORTS[5]))
    with pytest.raises(CircuitRefused, match="all 4093 VLAN ids are in use"):
        made.put(last)
    made.remove("c100")
    made.put(last)
