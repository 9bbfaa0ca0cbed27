"""What the judge's trial of itself (`tests/self_check`) found wrong: the right value of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.frames import UDP, Packet
from testbed.made_up_network import Leg, reference_plan
from testbed.world import World
from tests.unit.judge.test_judge_drills import failed, not_shown
from uclab.judge.checks.wireless import as_it_came
from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.judging import judge_run
from uclab.judge.measure.run_evidence import ObservedMarking
from uclab.judge.measure.streams import Stream
from uclab.judge.measure.tap_clocks import clocks_apart
from uclab.judge.path.hop_check import Seen
from uclab.judge.path.hop_trace import in_series
from uclab.judge.result.judgement import Evidence, Finding, Judgement
from uclab.judge.result.media import HopRecord
from uclab.plan.schema.plan import Tap

Frame = tuple[int, str, bytes]
MS = 1_000_000


def judged(world: World, change: Callable[[World], None] = lambda world: None) -> Judgement:
    """Two phones register and call each other; then the captures are changed, and judged."""
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    world.call("desk1", "desk2", seconds=0.8)
    change(world)
    return judge_run(world.write())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, replace(reference_plan("desk1", "desk2"), bulk=()))


def voice_upwards(frame: bytes) -> bool:
    """Whether that is RTP of the lab's size, whose sender is a phone behind the site's address."""
    return len(frame) > 180 and frame[23] == UDP and frame[26:30] == bytes((203, 0, 113, 2))


@pytest.mark.req("C9.1", "C9.4")
def test_a_changed_byte_of_media_is_blamed_on_the_router_that_changed_it(world: World) -> None:
    def meddle(packet: Packet, tap: str, leg: Leg) -> Packet:
        payload = packet.payload
        if tap != "edge:wan1" or leg != "up" or packet.proto != UDP or len(payload) < 150:
            return packet
        return replace(packet, payload=payload[:40] + bytes([payload[40] ^ 1]) + payload[41:])

    world.alter = meddle
    broken = failed(judged(world))
    assert set(broken) == {"media.srtp"}
    assert broken["media.srtp"].blame == "edge"
    assert broken["media.srtp"].observed.endswith("unchanged up to edge:lan, changed at edge:wan1")


def again(after_ns: int) -> Callable[[World], None]:
    """All media upwards passes the site's line and the cloud once more, so much later."""

    def change(world: World) -> None:
        for frames in world.frames.values():
            frames += [(at + after_ns, tap, frame) for at, tap, frame in frames if voice_upwards(frame)]

    return change


@pytest.mark.req("C7")
def test_who_kept_packets_and_sends_them_again_is_named(world: World) -> None:
    broken = failed(judged(world, again(700 * MS)))
    assert set(broken) == {"media.injected"}
    assert broken["media.injected"].blame == "edge"


def test_packets_that_come_twice_at_once_do_no_harm(world: World) -> None:
    assert failed(judged(world, again(50_000))) == {}


@pytest.mark.req("D5")
def test_a_capture_with_a_clock_of_its_own_accuses_nobody(world: World) -> None:
    def late(world: World) -> None:
        world.frames["desk1"] = [(at + 5 * MS, tap, frame) for at, tap, frame in world.frames["desk1"]]

    judgement = judged(world, late)
    assert failed(judgement) == {}
    assert not_shown(judgement)


@pytest.mark.req("D5")
def test_captures_with_each_others_names_are_not_shown(world: World) -> None:
    def swap(world: World) -> None:
        world.write()

    judged(world, swap)
    captures = world.folder / "captures"
    contents = {name: (captures / f"{name}.pcapng").read_bytes() for name in ("edge", "fw")}
    (captures / "edge.pcapng").write_bytes(contents["fw"])
    (captures / "fw.pcapng").write_bytes(contents["edge"])
    judgement = judge_run(world.folder)
    assert failed(judgement) == {}
    observed = [f.observed for f in judgement.findings if f.id == "capture.complete"]
    assert observed == ["it holds taps of fw", "it holds taps of edge"]


@pytest.mark.req("D5")
def test_a_tap_without_packets_that_both_its_neighbours_saw_is_the_captures_fault(world: World) -> None:
    def deaf(world: World) -> None:
        kept = [one for one in world.frames["edge"] if one[1] != "edge:wan1" or not voice_upwards(one[2])]
        world.frames["edge"] = kept

    judgement = judged(world, deaf)
    assert failed(judgement) == {}
    assert "path.as-planned" in not_shown(judgement)


@pytest.mark.req("D5")
def test_taps_with_each_others_names_are_set_aside_and_accuse_nobody(world: World) -> None:
    other = {"fw:voice": "fw:wan", "fw:wan": "fw:voice"}

    def swap(world: World) -> None:
        world.frames["fw"] = [(at, other.get(tap, tap), frame) for at, tap, frame in world.frames["fw"]]

    judgement = judged(world, swap)
    assert failed(judgement) == {}
    assert {f.subject: f.observed for f in judgement.findings if f.id == "capture.complete"} == {
        tap: f"{tap} saw nothing: what its file has under this name passed {other[tap]}" for tap in other
    }


@pytest.mark.req("L1")
def test_a_switch_that_moves_media_to_a_phone_into_another_vlan_is_named(world: World) -> None:
    def move(packet: Packet, tap: str, leg: Leg) -> Packet:
        behind = tap in ("dist1:3", "acc1:25", "acc1:1", "desk1-sw:1")
        moved = behind and leg == "down" and packet.proto == UDP and packet.dst_mac == desk1
        return replace(packet, vlan=120) if moved else packet

    desk1 = world.plan.node("desk1").interfaces[0].mac
    world.alter = move
    broken = failed(judged(world))
    assert set(broken) == {"vlan.way"}
    assert broken["vlan.way"].blame == "dist1"
    assert broken["vlan.way"].observed.startswith("correct up to dist1:1, VLAN 120 at dist1:3")


@pytest.mark.req("L1")
def test_a_switch_that_moves_a_phones_frames_into_another_vlan_is_named_and_not_the_phone(
    world: World,
) -> None:
    behind = ("dist1:1", "core1:2", "core1:4", "fw-sw:6")

    def move(packet: Packet, tap: str, leg: Leg) -> Packet:
        return replace(packet, vlan=120) if tap in behind and leg == "up" else packet

    world.alter = move
    broken = failed(judged(world))
    assert broken["vlan.voice"].blame == "dist1"
    assert "vlan.way" not in broken


def hop(tap: str, packets: int, leg: Leg = "up") -> HopRecord:
    return HopRecord(tap, 46, 5, None, 0.0, packets, 0, leg)


def test_a_tap_beside_the_way_and_a_tap_that_saw_less_than_the_next_lost_nothing() -> None:
    # given a walk with a stray packet at a tap off the plan's way, and a capture without half of them
    network = PlannedNetwork(reference_plan("desk1", "desk2"))
    stream = Stream(1, 0, 0, 0, None, receiver=1)
    walk = [hop("edge:lan", 200), hop("fra1-px:1", 1), hop("edge:wan1", 100), hop("isp1:edge", 190)]

    # when it is looked at for losses
    series = in_series(network, walk, stream)

    # then only what was not seen any more counts
    assert [(one.tap, one.packets) for one in series] == [
        ("edge:lan", 200),
        ("edge:wan1", 190),
        ("isp1:edge", 190),
    ]


@pytest.mark.req("Q1.3")
def test_an_access_point_that_hands_on_a_wrong_priority_is_not_blamed_for_it() -> None:
    # given a priority that the air changed, and that the access point makes of it on the wire
    def at(tap: str, pcp: int) -> Seen:
        return Seen(tap, "up", Counter({ObservedMarking(46, pcp, 10): 9}), ())

    seen = [at("ap1-air:soft1", 6), at("ap1-air:ap", 0), at("ap1:2", 0), at("ap1:1", 0)]
    on_air = Finding("qos.wmm", (), "c1", "", "", "fail", Evidence("ap1-air:ap", leg="up"), "ap1-air")
    wired = Finding("qos.pcp", (), "c1", "", "priority 0", "fail", Evidence("ap1:1", leg="up"), "ap1")

    # when both are held against each other, then it is the air that is blamed; not so for one of its own
    assert as_it_came(wired, [on_air], seen).blame == "ap1-air"
    assert as_it_came(wired, [on_air], [*seen[:2], at("ap1:2", 6), at("ap1:1", 0)]).blame == "ap1"


CABLE = (Tap("a:0", "a", "eth0", "a", False), Tap("b:0", "b", "eth0", "b", False))


@pytest.mark.parametrize(
    ("here", "there", "apart"),
    [
        pytest.param((10_000, 14_000), (10_300, 14_300), ["a", "b"], id="one direction of one call"),
        pytest.param((10_000, 14_000), (12_000, 14_000), [], id="a capture that began late"),
        pytest.param((10_000, 14_000), (10_000, 12_000), [], id="a capture that ended early"),
    ],
)
def test_clocks_are_apart_where_first_and_last_packet_are(
    here: tuple[int, int], there: tuple[int, int], apart: list[str]
) -> None:
    seen = {"a:0": (here[0] * MS, here[1] * MS), "b:0": (there[0] * MS, there[1] * MS)}
    assert sorted(one.namespace for one in clocks_apart([CABLE], {(1, "down"): seen})) == apart
