"""Access points and stations as planned: who chooses which priority, without a switch and without a radio."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from controllers.fabric import compile_fabric
from testbed.plans import shipped_plan
from uclab.model.load import load_topology
from uclab.model.wmm import CATEGORIES, category, contention_us
from uclab.plan.capacity.calls_per_line import capacity
from uclab.plan.capacity.line_capacity import Capacity
from uclab.plan.faults.catalogue import FAULTS, fitting
from uclab.plan.lan.spanning_trees import PortRef
from uclab.plan.paths.reachability import Reachability
from uclab.plan.planner import make_plan
from uclab.plan.resolve.plan_edits import port_towards
from uclab.plan.schema.flow_simulation import Frame, Tag, forward
from uclab.plan.schema.flows import ARP, CUSTOMER_TAG, IPV4
from uclab.plan.schema.plan import Plan, PortMode, Switch, SwitchRole

VOICE, DATA = 10, 20


@cache
def plan() -> Plan:
    return shipped_plan("wifi-office")


def switch(name: str, of: Plan | None = None) -> Switch:
    return next(switch for switch in (of or plan()).switches if switch.name == name)


def into_air(of: Plan, dscp: int | None, kind: int = IPV4) -> tuple[int, int]:
    """User priorities of a packet upwards, by the station, and downwards, by the access point."""
    up = forward(switch("wifi1-sw", of).flows, 2, Frame(kind, dscp))
    down = forward(switch("ap1", of).flows, 1, Frame(kind, dscp, (Tag(CUSTOMER_TAG, VOICE, 7),)))
    assert up is not None
    assert down is not None
    assert (up[0], down[0]) == (1, 2)
    assert {frame.tags[0].vlan for _, frame in (up, down)} == {VOICE}
    return up[1].tags[0].pcp, down[1].tags[0].pcp


@pytest.mark.req("Q1.3", "W7.1")
@pytest.mark.parametrize(
    ("dscp", "up"), [(46, 6), (34, 4), (26, 4), (18, 3), (48, 7), (0, 0), (12, 0)], ids=str
)
def test_station_and_access_point_choose_the_user_priority_of_the_policy(dscp: int, up: int) -> None:
    assert into_air(plan(), dscp) == (up, up)


@pytest.mark.req("Q1.3", "N4.1")
@pytest.mark.parametrize(("dscp", "pcp"), [(46, 5), (34, 4), (26, 3), (18, 2), (0, 0)], ids=str)
def test_towards_the_wire_the_access_point_sets_the_switches_priority(dscp: int, pcp: int) -> None:
    # given a frame from the air, whatever its user priority
    frame = Frame(IPV4, dscp, (Tag(CUSTOMER_TAG, DATA, 7),))
    # then it leaves by the wire with the priority of its DSCP, in its SSID's VLAN
    assert forward(switch("ap1").flows, 2, frame) == (1, replace(frame, tags=(Tag(CUSTOMER_TAG, DATA, pcp),)))


def test_arp_goes_with_voice_on_the_air() -> None:
    assert [category(up) for up in into_air(plan(), None, ARP)] == ["AC_VO", "AC_VO"]


def test_the_adapter_takes_the_tag_off_and_lets_nothing_of_another_ssid_in() -> None:
    frame = Frame(IPV4, 46, (Tag(CUSTOMER_TAG, VOICE, 6),))
    assert forward(switch("wifi1-sw").flows, 1, frame) == (2, Frame(IPV4, 46))
    assert forward(switch("soft1-sw").flows, 1, frame) is None
    assert forward(switch("ap1").flows, 1, Frame(IPV4, 46, (Tag(CUSTOMER_TAG, 30),))) is None
    assert forward(switch("ap1").flows, 1, Frame(IPV4, 46)) is None


@pytest.mark.req("V7.2", "V7.4", "L1", "L2", "N4.1")
def test_a_wireless_phone_is_in_the_voice_vlan_and_a_softclient_in_the_data_vlan() -> None:
    [ap1, ap2] = plan().airs
    assert {(s.node, s.vlan) for s in ap1.stations} == {("wifi1", VOICE), ("soft1", DATA)}
    assert {(s.node, s.vlan) for s in ap2.stations} == {("soft2", DATA)}
    # and the way to the cloud shows it at every hop, on the air and on the wire
    [path] = [path for path in plan().paths if path.endpoint == "wifi1"]
    assert [(hop.tap, hop.vlan) for hop in path.hops[:9]] == [
        ("wifi1:eth0", None), ("wifi1-sw:2", None), ("wifi1-sw:1", 10), ("ap1-air:wifi1", 10),
        ("ap1-air:ap", 10), ("ap1:2", 10), ("ap1:1", 10), ("sw1:8", 10), ("sw1:13", 10),
    ]  # fmt: skip


@pytest.mark.req("N3.3", "V9")
def test_the_access_switch_knows_the_stations_and_believes_none_of_their_marks() -> None:
    for name, stations in (("sw1:8", {"wifi1", "soft1"}), ("sw1:9", {"soft2"})):
        port = next(p for p in switch("sw1").ports if f"sw1:{p.number}" == name)
        macs = {(vlan, mac) for vlan, mac in port.allowed}
        expected = {(s.vlan, s.mac) for air in plan().airs for s in air.stations if s.node in stations}
        assert macs == expected
        assert (port.mode, port.trust_dscp, port.tagged) == (PortMode.TRUNK, False, (VOICE, DATA))
    # and its controller compiles: their addresses live at the access point's port
    [fabric] = plan().fabrics
    homes = compile_fabric(fabric).layout.hosts
    [wifi1] = [s for air in plan().airs for s in air.stations if s.node == "wifi1"]
    assert homes[VOICE, wifi1.mac] == PortRef("sw1", 8)
    assert port_towards(plan(), "soft2")[1].number == 9


@pytest.mark.req("V9")
def test_an_access_point_on_the_way_can_fail() -> None:
    ways, soft1 = Reachability(plan()), plan().endpoint("soft1")
    assert ways.reaches_cloud(soft1)
    assert "ap1" in ways.passed(soft1)
    assert not ways.reaches_cloud(soft1, links=["ap1-sw1"])
    assert not ways.reaches_cloud(soft1, devices=["ap1"])
    assert ways.reaches_cloud(plan().endpoint("soft2"), devices=["ap1"])


@pytest.mark.req("W7.2", "W7.3", "W7.4")
def test_conditions_make_the_air_worse(tmp_path: Path) -> None:
    # given the same office with more users at the first access point
    loaded = load_topology("wifi-office")
    text = loaded.source.read_text().replace("wifi-air-5ghz}", "wifi-air-5ghz, conditions: {users: 20}}")
    (tmp_path / "crowded.yaml").write_text(text)
    crowded, quiet = make_plan(load_topology(tmp_path / "crowded.yaml")).airs[0], plan().airs[0]
    # then there is less rate and more delay for each
    assert crowded.up_kbps < quiet.up_kbps / 4
    assert crowded.down.delay_ms > quiet.down.delay_ms + 10


def test_an_access_point_without_stations_is_planned_with_all_its_ssids(tmp_path: Path) -> None:
    loaded = load_topology("wifi-office")
    text = "".join(
        line for line in loaded.source.read_text().splitlines(keepends=True) if "soft2" not in line
    )
    (tmp_path / "empty.yaml").write_text(text)
    empty = make_plan(load_topology(tmp_path / "empty.yaml"))
    assert empty.airs[1].stations == ()
    assert switch("ap2", empty).ports[0].tagged == (VOICE, DATA)


def test_seeds_of_the_two_directions_and_of_two_access_points_differ() -> None:
    assert len({line.seed for air in plan().airs for line in (air.up, air.down)}) == 4


@pytest.mark.req("Q1.3")
def test_the_naive_map_puts_voice_with_the_videos_in_one_direction_only() -> None:
    assert "wifi-naive-map" in fitting(plan())
    wrong = FAULTS["wifi-naive-map"].apply(plan(), None)
    assert into_air(wrong, 46) == (6, 5)
    assert (category(6), category(5)) == ("AC_VO", "AC_VI")
    assert into_air(wrong, 18) == (3, 2)
    assert category(2) == "AC_BK"
    # towards the wire it does as before
    assert forward(switch("ap1", wrong).flows, 2, Frame(IPV4, 46, (Tag(CUSTOMER_TAG, VOICE),))) == (
        1,
        Frame(IPV4, 46, (Tag(CUSTOMER_TAG, VOICE, 5),)),
    )
    with pytest.raises(KeyError, match="no access point ap9; there is ap1, ap2"):
        FAULTS["wifi-naive-map"].apply(plan(), "ap9")


@pytest.mark.req("Q1.3")
def test_an_unmarked_station_sends_as_best_effort_and_is_answered_rightly() -> None:
    wrong = FAULTS["wifi-station-unmarked"].apply(plan(), "wifi1")
    assert into_air(wrong, 46) == (0, 6)
    assert switch("soft1-sw", wrong) == switch("soft1-sw")


def test_faults_of_access_points_fit_only_where_there_are_some() -> None:
    other = shipped_plan("small-office")
    assert not {"wifi-naive-map", "wifi-station-unmarked"} & set(fitting(other))


def test_categories_wait_the_longer_the_worse_they_are() -> None:
    # given IEEE 802.11-2020, table 10-1
    assert [category(up) for up in range(8)] == [
        "AC_BE", "AC_BK", "AC_BK", "AC_BE", "AC_VI", "AC_VI", "AC_VO", "AC_VO",
    ]  # fmt: skip
    assert [contention_us(its) for its in CATEGORIES] == [47.5, 65.5, 110.5, 146.5]


def test_access_points_and_adapters_are_under_no_controller() -> None:
    roles = {s.name: s.role for s in plan().switches if not s.controlled and s.site == "office"}
    assert roles == {
        "desk1-sw": SwitchRole.PHONE, "ap1": SwitchRole.ACCESS_POINT, "ap2": SwitchRole.ACCESS_POINT,
        "wifi1-sw": SwitchRole.STATION, "soft1-sw": SwitchRole.STATION, "soft2-sw": SwitchRole.STATION,
    }  # fmt: skip
    assert all(switch(name).flows for name in roles if name != "desk1-sw")


def answered(source: Path) -> Capacity:
    loaded = load_topology(source)
    return capacity(loaded, make_plan(loaded))


@pytest.mark.req("C8", "Q2", "W7.1")
def test_calls_take_their_share_of_the_channels_time(tmp_path: Path) -> None:
    source = load_topology("wifi-office").source
    ap1, ap2 = answered(source).airs
    # G.711 over SRTP: two frames of 232 bytes in 20 ms, each after 47.5 us
    assert ap1.per_call_pct == pytest.approx(100 * (2 * 47.5 + 1856 / 200 + 1856 / 250) / 20_000)
    assert (ap1.stations, ap1.calls, ap1.calls_fit) == (2, 2, 143)
    assert ap2.calls_fit < ap1.calls_fit
    assert answered(source).verdict == "pass"
    # and far away, behind walls, with many users, they do not fit
    far = "{distance: far, surroundings: walls, users: 60}"
    (tmp_path / "far.yaml").write_text(source.read_text().replace("{distance: medium}", far))
    crowded = answered(tmp_path / "far.yaml")
    assert crowded.verdict == "fail"
    assert crowded.shortage[0].startswith("site `office`, access point `ap2`: 1 calls at once take ")
