"""Frames reach whom they are for, once, and nobody else: with all links, with one lost, during changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.fabric import Tables, compile_fabric
from controllers.transition import transition
from testbed.fabrics import Host, enterprise, hierarchy, hosts, members, meshed
from testbed.fake_fabric import FakeFabric
from uclab.plan.lan.spanning_trees import PortRef, Trunk, trunks_between, usable_trunks
from uclab.plan.schema.plan import SiteFabric

BROADCAST = "ff:ff:ff:ff:ff:ff"

campuses = st.builds(
    hierarchy, st.integers(1, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 1)
)


@st.composite
def meshes(draw: st.DrawFn) -> SiteFabric:
    """Any connected graph of up to six switches, parallel cables included."""
    switches = draw(st.integers(2, 6))
    tree = [(draw(st.integers(0, number - 1)), number) for number in range(1, switches)]
    ends = st.tuples(st.integers(0, switches - 1), st.integers(0, switches - 1))
    extra = draw(st.lists(ends.filter(lambda cable: cable[0] != cable[1]), max_size=6))
    return meshed(tree + extra, switches)


fabrics = st.one_of(campuses, meshes())


def islands(fabric: SiteFabric, lost: frozenset[PortRef]) -> dict[str, int]:
    """Switches that the links outside `lost` connect have the same number."""
    usable = usable_trunks(trunks_between(fabric.switches), fabric.vlans[0].id, lost)
    island = {switch.name: number for number, switch in enumerate(fabric.switches)}
    for _ in fabric.switches:
        for trunk in usable:
            island[trunk.a.switch] = island[trunk.b.switch] = min(
                island[trunk.a.switch], island[trunk.b.switch]
            )
    return island


def ends(trunk: Trunk) -> frozenset[PortRef]:
    return frozenset({trunk.a})


def assert_unicast_is_right(fabric: SiteFabric, fake: FakeFabric, lost: frozenset[PortRef]) -> None:
    everyone, island = hosts(fabric), islands(fabric, lost)
    for sender in everyone:
        for receiver in everyone:
            if receiver.port == sender.port:
                continue
            outcome = fake.send(sender.port, sender.frame(receiver.mac))
            same_island = island[sender.port.switch] == island[receiver.port.switch]
            reachable = receiver.vlan == sender.vlan and same_island
            assert outcome.ports == ([receiver.port] if reachable else []), (sender, receiver, lost)
            for delivery in outcome.deliveries:
                assert delivery.frame.vlan == (receiver.vlan if receiver.tagged else None)


def assert_broadcast_is_right(fabric: SiteFabric, fake: FakeFabric, lost: frozenset[PortRef]) -> None:
    island = islands(fabric, lost)
    for sender in hosts(fabric):
        others = members(fabric, sender.vlan) - {sender.port}
        expected = sorted(port for port in others if island[port.switch] == island[sender.port.switch])
        assert fake.send(sender.port, sender.frame(BROADCAST)).ports == expected, (sender, lost)


def assert_unicast_goes_on(fabric: SiteFabric, fake: FakeFabric, lost: frozenset[PortRef]) -> None:
    """Whom the links outside `lost` connect, is connected; others may be."""
    everyone, island = hosts(fabric), islands(fabric, lost)
    for sender in everyone:
        for receiver in everyone:
            if (receiver.vlan, receiver.port) == (sender.vlan, sender.port) or receiver.vlan != sender.vlan:
                continue
            ports = fake.send(sender.port, sender.frame(receiver.mac)).ports
            if island[sender.port.switch] == island[receiver.port.switch]:
                assert ports == [receiver.port]
            else:
                assert ports in ([], [receiver.port])


def assert_nothing_twice(fabric: SiteFabric, fake: FakeFabric) -> None:
    for sender in hosts(fabric):
        ports = fake.send(sender.port, sender.frame(BROADCAST)).ports
        assert len(ports) == len(set(ports))
        assert set(ports) <= members(fabric, sender.vlan) - {sender.port}


def changes(fabric: SiteFabric, lost: frozenset[PortRef], returns: bool) -> list[Tables]:
    """All stages of a change, the first and the last state included."""
    old = compile_fabric(fabric, lost if returns else frozenset())
    new = compile_fabric(fabric, frozenset() if returns else lost, old.bypasses)
    stages = [old.tables, *transition(old, new)]
    assert stages[-1] == new.tables
    return stages


def mixed(present: Tables, following: Tables, ahead: Sequence[bool]) -> Tables:
    """Some switches are a stage ahead of the others."""
    further = {dpid for dpid, is_ahead in zip(present, ahead, strict=True) if is_ahead}
    return {dpid: (following if dpid in further else present)[dpid] for dpid in present}


def assert_safe(fabric: SiteFabric, tables: Tables, lost: frozenset[PortRef], returns: bool) -> None:
    fake = FakeFabric(fabric, tables, frozenset() if returns else lost)
    assert_unicast_goes_on(fabric, fake, lost)
    assert_nothing_twice(fabric, fake)


def losses(fabric: SiteFabric) -> Iterator[frozenset[PortRef]]:
    yield from (ends(trunk) for trunk in trunks_between(fabric.switches))


@pytest.mark.req("N3.1", "N3.2", "W10")
@given(fabrics)
@settings(max_examples=25, deadline=None)
def test_every_pair_of_a_vlan_is_connected_once_and_broadcast_stays_in_its_vlan(fabric: SiteFabric) -> None:
    compiled = compile_fabric(fabric)
    fake = FakeFabric(fabric, compiled.tables)
    assert_unicast_is_right(fabric, fake, frozenset())
    assert_broadcast_is_right(fabric, fake, frozenset())


@pytest.mark.req("V4.3")
@given(fabrics, st.data())
@settings(max_examples=25, deadline=None)
def test_a_lost_link_is_bypassed_without_a_controller(fabric: SiteFabric, data: st.DataObject) -> None:
    # given tables that know of no failure
    compiled = compile_fabric(fabric)
    # when any one link is lost
    lost = data.draw(st.sampled_from([frozenset[PortRef](), *losses(fabric)]))
    fake = FakeFabric(fabric, compiled.tables, lost)
    # then all that the remaining links connect is connected, once
    assert_unicast_is_right(fabric, fake, lost)
    assert_broadcast_is_right(fabric, fake, lost)


@pytest.mark.req("V4.3")
def test_enterprise_survives_the_loss_of_each_single_link() -> None:
    fabric = enterprise()
    compiled = compile_fabric(fabric)
    assert compiled.unprotected == ()
    for lost in losses(fabric):
        assert_broadcast_is_right(fabric, FakeFabric(fabric, compiled.tables, lost), lost)
    for lost in list(losses(fabric))[::4]:
        assert_unicast_is_right(fabric, FakeFabric(fabric, compiled.tables, lost), lost)


@given(fabrics, st.data())
@settings(max_examples=25, deadline=None)
def test_two_lost_links_never_make_a_loop_or_a_duplicate(fabric: SiteFabric, data: st.DataObject) -> None:
    compiled = compile_fabric(fabric)
    trunks = (
        st.sampled_from(trunks_between(fabric.switches)) if trunks_between(fabric.switches) else st.nothing()
    )
    lost = frozenset(trunk.b for trunk in data.draw(st.lists(trunks, min_size=2, max_size=3)))
    assert_nothing_twice(fabric, FakeFabric(fabric, compiled.tables, lost))


@pytest.mark.req("V4.3")
@given(fabrics, st.data())
@settings(max_examples=25, deadline=None)
def test_changing_over_is_safe_in_every_order_of_switches(fabric: SiteFabric, data: st.DataObject) -> None:
    # given a fabric that loses a link, or gets one back
    lost = data.draw(st.sampled_from([*losses(fabric)] or [frozenset[PortRef]()]))
    returns = data.draw(st.booleans())
    # when switches take the stages one by one, in any order
    stages = changes(fabric, lost, returns)
    orders = st.lists(st.booleans(), min_size=len(fabric.switches), max_size=len(fabric.switches))
    for present, following in pairwise(stages):
        # then unicast is never interrupted, and nothing loops or comes twice
        assert_safe(fabric, mixed(present, following, data.draw(orders)), lost, returns)


@pytest.mark.req("V4.3")
@pytest.mark.parametrize("returns", [False, True], ids=["a link is lost", "a link returns"])
def test_changing_over_a_ring_is_safe_in_all_orders(returns: bool) -> None:
    """In a ring half of the switches turn round: each of the 32 mixtures of each stage with the next."""
    fabric = meshed([(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)], 5, phones=False)
    for lost in list(losses(fabric))[:2]:
        stages = changes(fabric, lost, returns)
        assert len(stages) > 3
        for present, following in pairwise(stages):
            for ahead in product((False, True), repeat=5):
                assert_safe(fabric, mixed(present, following, ahead), lost, returns)


@given(fabrics, st.data())
@settings(max_examples=25, deadline=None)
def test_tags_mean_one_bypass_at_each_port_also_during_a_change(
    fabric: SiteFabric, data: st.DataObject
) -> None:
    old = compile_fabric(fabric)
    lost = data.draw(st.sampled_from([frozenset[PortRef](), *losses(fabric)]))
    new = compile_fabric(fabric, lost, old.bypasses)
    meaning: dict[tuple[PortRef, int], object] = {}
    for bypass in (*old.bypasses.values(), *new.bypasses.values()):
        for arrival in bypass.arrivals:
            assert meaning.setdefault((arrival, bypass.tag), bypass.way) == bypass.way
    tags = {bypass.way: bypass.tag for bypass in old.bypasses.values()}
    assert all(tags.get(bypass.way, bypass.tag) == bypass.tag for bypass in new.bypasses.values())


def test_a_frame_to_an_unknown_address_goes_nowhere() -> None:
    fabric = hierarchy(1, 1, 2)
    sender: Host = hosts(fabric)[0]
    fake = FakeFabric(fabric, compile_fabric(fabric).tables)
    assert fake.send(sender.port, sender.frame("02:ff:ff:ff:ff:ff")).ports == []
