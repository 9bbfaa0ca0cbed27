"""Taps that saw only part of a run: what they missed is not shown, and nobody is blamed for it; what the
network did is found all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.frames import Packet
from testbed.made_up_network import START_NS, TAP_NS, Leg
from testbed.plans import shipped_plan
from testbed.world import World
from tests.unit.judge.test_judge_drills import failed, not_shown
from uclab.judge.evidence.network import PlannedNetwork, number
from uclab.judge.judging import judge_run
from uclab.judge.measure.cable_ends import Stretch, is_cut, missed, stretches
from uclab.judge.measure.observe import TapState
from uclab.judge.measure.tap_counts import UNKNOWN, TapCounts
from uclab.judge.measure.tap_evidence import Captured, tap_windows
from uclab.judge.measure.tap_windows import EVER_NS, TapWindows, time_of_day
from uclab.judge.result.judgement import Judgement
from uclab.plan.schema.plan import Link, LinkEnd, Plan
from uclab.records.captures import CaptureTime
from uclab.records.run import CallRecord, Event

WAY = {"qos.dscp", "qos.pcp", "vlan.way", "path.as-planned"}


def small_plan() -> Plan:
    """`small-office` with its two phones and no bulk traffic."""
    plan = shipped_plan("small-office")
    return replace(plan, endpoints=tuple(e for e in plan.endpoints if e.name.startswith("desk")), bulk=())


def played(world: World, calls: int = 2) -> World:
    """Two phones register and call each other more than once, a few seconds apart."""
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    for _ in range(calls):
        world.call("desk1", "desk2", seconds=1.0)
        world.now += 3_000_000_000
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, small_plan())


def lost(world: World, namespace: str, which: Callable[[int], bool], tap: str | None = None) -> None:
    """The capture of a namespace (or of one of its taps) does not keep frames of such times."""
    world.frames[namespace] = [
        frame for frame in world.frames[namespace] if not (which(frame[0]) and tap in (None, frame[1]))
    ]


def verdicts(judgement: Judgement, finding: str) -> dict[str, str]:
    return {f.subject: f.verdict for f in judgement.findings if f.id == finding}


@pytest.mark.req("D5")
@pytest.mark.parametrize("namespace", ["edge", "ovs-1", "fw"])
def test_a_capture_that_began_late_blames_nobody(world: World, namespace: str) -> None:
    # given a capture in the middle of the way that kept nothing of the first call
    played(world)
    first, second = world.calls
    before = int((first.ended_at or 0) * 1e9) + 1_000_000_000
    lost(world, namespace, lambda at_ns: at_ns < before)

    # when it is judged
    judgement = judge_run(world.write())

    # then nobody is blamed, and the capture's time is told
    assert failed(judgement) == {}
    (hole,) = [f for f in judgement.findings if f.id == "capture.complete"]
    assert hole.verdict == "not-shown"
    assert hole.subject == namespace
    assert "saw nothing from " in hole.observed
    # and what lies outside is not shown for that reason, while the second call is
    for finding in WAY - {"qos.pcp"}:
        assert verdicts(judgement, finding)[f"{first.id}:caller_to_callee"] == "not-shown"
        assert verdicts(judgement, finding)[f"{second.id}:caller_to_callee"] == "pass"
    assert "privacy.readable" in not_shown(judgement)


@pytest.mark.req("D5", "C8")
@pytest.mark.parametrize("namespace", ["desk2", "fra1-sbc"])
def test_losses_at_an_end_that_saw_only_part_are_not_the_networks(world: World, namespace: str) -> None:
    # given the capture of the receiver, or of the session controller, with a hole in the first call
    played(world)
    begin = int((world.calls[0].answered_at or 0) * 1e9) + 300_000_000
    lost(world, namespace, lambda at_ns: begin < at_ns < begin + 500_000_000)
    # when it is judged
    judgement = judge_run(world.write())
    # then no device is blamed for packets that the tap did not keep
    assert failed(judgement) == {}
    assert "capture.complete" in not_shown(judgement)
    wanted = "quality.voice" if namespace == "desk2" else "hub.media"
    assert verdicts(judgement, wanted)["c1:caller_to_callee"] == "not-shown"
    assert verdicts(judgement, wanted)["c2:caller_to_callee"] == "pass"


@pytest.mark.req("D5", "C8")
def test_a_device_that_black_holes_everything_is_blamed_although_it_looks_like_a_hole(world: World) -> None:
    # given a router that passes nothing on from the second call on: what it was sent is at its own tap
    def black_holed(packet: Packet, tap: str, leg: Leg) -> Packet | None:
        gone = len(world.calls) >= 1 and packet.dscp == 46 and tap == "edge:wan1" and leg == "up"
        return None if gone else packet

    world.alter = black_holed
    played(world, calls=1)
    world.call("desk1", "desk2", seconds=1.0, heard=(False, False))
    # when it is judged
    judgement = judge_run(world.write())
    # then it is blamed, and no capture is excused for it
    assert verdicts(judgement, "capture.complete") == {"taps": "pass"}
    assert failed(judgement)["audio.heard"].blame == "edge"


@pytest.mark.req("D5", "C8")
def test_a_real_loss_is_blamed_on_the_device_between_the_taps_that_saw(world: World) -> None:
    # given a router that loses a quarter of the voice, and a capture in front of it that saw nothing
    numbers: Iterator[bool] = iter([True, False, False, False] * 1000)

    def lossy(packet: Packet, tap: str, leg: Leg) -> Packet | None:
        gone = packet.dscp == 46 and tap == "edge:wan1" and leg == "up" and next(numbers)
        return None if gone else packet

    world.alter = lossy
    played(world)
    lost(world, "fw", lambda at_ns: True)
    # when it is judged
    broken = failed(judge_run(world.write()))
    # then the loss is found nevertheless, at the right device
    assert set(broken) == {"quality.voice"}
    assert broken["quality.voice"].blame == "edge"


@pytest.mark.req("D5", "C8")
@pytest.mark.parametrize(("blind", "blame"), [(("fw", "edge"), None), (("edge",), "edge")])
def test_a_changed_marking_is_blamed_only_where_one_device_can_have_done_it(
    world: World, blind: tuple[str, ...], blame: str | None
) -> None:
    # given a router that clears DSCP on its way out, and captures that saw nothing of it, or of its neighbour
    def bleach(packet: Packet, tap: str, leg: Leg) -> Packet:
        return replace(packet, dscp=0) if leg == "up" and tap == "edge:wan1" else packet

    world.alter = bleach
    played(world)
    for namespace in blind:
        lost(world, namespace, lambda at_ns: True)
    # when it is judged
    broken = failed(judge_run(world.write()))
    # then the change is found, and the innocent are not named
    assert broken["qos.dscp"].evidence.tap == "isp1:edge"
    assert broken["qos.dscp"].blame == blame


@pytest.mark.req("D5")
def test_captures_that_all_began_late_are_told_by_calls_that_none_of_them_saw(world: World) -> None:
    # given captures without anything of the first call, of which phones and records tell
    played(world)
    first, second = world.calls
    until = int((first.ended_at or 0) * 1e9) + 1_000_000_000
    for namespace in world.frames:
        lost(world, namespace, lambda at_ns: at_ns < until)
    # when it is judged
    judgement = judge_run(world.write())
    # then nothing is shown of it, and nobody blamed
    assert failed(judgement) == {}
    (hole,) = [f for f in judgement.findings if f.id == "capture.complete"]
    assert "no tap saw a frame until then" in hole.observed
    assert verdicts(judgement, "path.as-planned")[f"{second.id}:caller_to_callee"] in ("pass", "not-shown")
    assert verdicts(judgement, "path.as-planned")[f"{first.id}:caller_to_callee"] == "not-shown"


# -- how it is known
# ---------------------------------------------------------------------------------------------------

T0 = START_NS // 1_000_000_000


def seen(frames: dict[str, dict[int, int]]) -> TapCounts:
    """Frames by tap and second after the start."""
    counts = TapCounts(PlannedNetwork(small_plan()).cable_macs)
    for tap, its in frames.items():
        if counts.ends[tap] != UNKNOWN:
            # half of them each way
            counts.sent[tap] = type(counts.at(tap))(
                {T0 + second: count // 2 for second, count in its.items()}
            )
            counts.got[tap] = counts.sent[tap].copy()
        counts.frames[tap] = Counter({T0 + second: count for second, count in its.items()})
        counts.latest_ns[tap] = {T0 + second: (T0 + second + 1) * 1_000_000_000 for second in its}
        if its:
            counts.first_ns[tap] = (T0 + min(its)) * 1_000_000_000
            counts.last_ns[tap] = (T0 + max(its) + 1) * 1_000_000_000 - TAP_NS
    return counts


def windows(
    frames: dict[str, dict[int, int]],
    *,
    received: dict[str, int] | None = None,
    unclosed: tuple[str, ...] = (),
    times: tuple[CaptureTime, ...] = (),
    events: tuple[Event, ...] = (),
    calls: tuple[CallRecord, ...] = (),
) -> TapWindows:
    """What is known of taps of the reference plan that saw so many frames; the others saw none."""
    plan = small_plan()
    counts = seen(frames)
    states = {
        tap.label: TapState(
            None if tap.label in unclosed else 0,
            (received or {}).get(tap.label, counts.at(tap.label).total()),
            counts.at(tap.label).total(),
        )
        for tap in plan.taps
    }
    return tap_windows(Captured(plan, counts, states, times, events, calls))


def trunk_name() -> str:
    """The cable between the firewall's switch and the access switch."""
    ends = {"fw-sw", "sw1"}
    return next(link.name for link in small_plan().links if {link.a.device, link.b.device} == ends)


BUSY = dict.fromkeys(range(10), 50)
CABLE = ("edge:wan1", "isp1:edge")
TRUNK = ("fw-sw:3", "sw1:9")
"""A cable between two switches."""


@pytest.mark.req("D5")
def test_an_idle_port_is_no_hole() -> None:
    # given a line with traffic, and all other ports without a frame
    found = windows(dict.fromkeys(CABLE, BUSY))
    # then no tap is called incomplete, not the idle ones either
    assert found.incomplete() == []
    assert found.gap("sw1:1") is None


@pytest.mark.req("D5")
def test_a_cut_cable_is_no_hole() -> None:
    # given a cable that is cut on purpose; one end goes on sending until its carrier is found gone
    near = {0: 50, 1: 50, 2: 50, 8: 50}
    far = {0: 50, 1: 50, 8: 50}
    cut = Event(T0 + 2.1, "fw-sw-sw1", "failed-on-purpose", links=(trunk_name(),))
    assert windows({TRUNK[0]: near, TRUNK[1]: far}, events=(cut,)).incomplete() == []


@pytest.mark.req("D5", "V2")
def test_a_black_hole_in_front_of_a_tap_is_no_hole_of_the_tap() -> None:
    # given an interface that black-holes what comes, before its tap, while its device goes on sending
    found = seen(dict.fromkeys(CABLE, BUSY))
    black_holed = (T0 + 4, T0 + 5, T0 + 6)
    for second in black_holed:
        del found.got["isp1:edge"][second]
    plan = small_plan()
    states = {tap.label: TapState(0, 0, 0) for tap in plan.taps}
    assert tap_windows(Captured(plan, found, states)).incomplete() == []
    # and one whose device is dead, and sends nothing either
    for second in black_holed:
        del found.sent["isp1:edge"][second]
        del found.got["edge:wan1"][second]
    assert tap_windows(Captured(plan, found, states)).incomplete() == []


@pytest.mark.req("D5")
def test_a_hole_is_told_with_its_times() -> None:
    part = {second: count for second, count in BUSY.items() if not 3 <= second < 6}
    found = windows({CABLE[0]: BUSY, CABLE[1]: part})
    ((subject, words),) = found.incomplete()
    assert subject == "isp1"
    assert "isp1:edge" in words
    begin, end = (time_of_day((T0 + second) * 1_000_000_000) for second in (3, 6))
    assert f"saw nothing from {begin} to {end}" in words
    inside = (T0 + 4) * 1_000_000_000
    assert found.gap("isp1:edge", inside, inside + 1) is not None
    assert found.gap("isp1:edge", (T0 + 7) * 1_000_000_000, (T0 + 9) * 1_000_000_000) is None
    assert found.gap("edge:wan1", inside, inside + 1) is None


@pytest.mark.req("D5")
def test_a_file_that_holds_less_than_its_own_counters_name_shows_nothing_for_sure() -> None:
    found = windows(dict.fromkeys(CABLE, BUSY), received={"isp1:edge": 900})
    assert found.incomplete() == [
        ("isp1:edge", "isp1:edge saw only part: its file holds 500 of the 900 packets that it counts")
    ]
    assert found.gap("isp1:edge", 1, 2) is not None


@pytest.mark.req("D5")
def test_a_capture_that_died_shows_nothing_from_then_on() -> None:
    half = {second: count for second, count in BUSY.items() if second < 5}
    times = (CaptureTime(T0, "isp1", "ready"), CaptureTime(T0 + 5, "isp1", "died"))
    isp1 = ("isp1:edge", "isp1:inet")
    found = windows({CABLE[0]: BUSY, CABLE[1]: half}, unclosed=isp1, times=times)
    gap = found.gap("isp1:edge", (T0 + 6) * 1_000_000_000, EVER_NS)
    assert "its capture died" in (gap or "")
    assert found.gap("isp1:edge", (T0 + 1) * 1_000_000_000, (T0 + 4) * 1_000_000_000) is None


@pytest.mark.req("D5")
def test_what_happened_before_a_capture_was_ready_was_not_seen() -> None:
    times = (CaptureTime(T0 + 2, "isp1", "ready"), CaptureTime(T0 + 8, "isp1", "stopping"))
    found = windows(dict.fromkeys(CABLE, BUSY), times=times)
    second = 1_000_000_000
    assert found.gap("isp1:edge", T0 * second, (T0 + 3) * second) is not None
    assert found.gap("isp1:edge", (T0 + 3) * second, (T0 + 7) * second) is None
    assert found.gap("isp1:edge", (T0 + 7) * second, (T0 + 9) * second) is not None
    # a question of the whole run is one of the time for which captures ran
    assert found.gap("isp1:edge") is None


def test_frames_on_the_turn_of_a_second_are_not_missed() -> None:
    assert not missed({1: 101, 2: 99, 3: 100}, {1: 100, 2: 100, 3: 100})
    assert missed({1: 100, 2: 100, 3: 100}, {1: 100, 3: 60}) == {2: 100, 3: 40}
    # a device holds each frame of a call for 0.2 s: they are seen later, not missed
    assert not missed({1: 40, 2: 50, 3: 10}, {1: 50, 2: 50})
    assert not missed({1: 40, 2: 50, 3: 52, 4: 60}, {1: 50, 2: 50, 3: 52, 4: 50})
    # but so many are not under way at once
    assert missed({1: 10, 2: 50, 3: 90}, {1: 50, 2: 50, 3: 50}) == {3: 40}
    # a few frames a second are enough, where nothing was seen for long
    assert missed(dict.fromkeys(range(12), 1), {}).total() == 12


def test_seconds_with_missing_frames_are_joined_over_silence() -> None:
    missing = {1: 10, 2: 10, 5: 10, 9: 10}
    assert list(stretches(missing, seen=[0, 7])) == [
        Stretch(1, 5, 30, part=False),
        Stretch(9, 9, 10, part=False),
    ]
    assert list(stretches({4: 10}, seen=[3, 4, 5])) == [Stretch(4, 4, 10, part=True)]


def test_a_short_stretch_with_silence_behind_it_is_a_cut_cable() -> None:
    # given when each end's last frame was, by second
    short, ms = Stretch(4, 4, 40, part=False), 1_000_000
    assert is_cut(short, {3: 3990 * ms, 4: 4800 * ms}, {3: 3990 * ms, 4: 4100 * ms})
    # one end goes on, or the other saw frames again afterwards: that is a hole
    assert not is_cut(short, {3: 3990 * ms, 4: 4800 * ms, 5: 5500 * ms}, {3: 3990 * ms})
    assert not is_cut(short, {3: 3990 * ms, 4: 4800 * ms}, {3: 3990 * ms, 4: 4800 * ms})


def of_the_air(last: int) -> TapWindows:
    """An access point's channel with two stations, whose capture holds nothing after that second; the taps at
    the other ends of its cables saw frames for a second more, and then nothing passed."""
    plan = shipped_plan("wifi-office")
    inner = [tap for tap in plan.taps if tap.namespace == "ap1-air"]
    ends = {(end.device, end.interface): other for link in plan.links for end, other in both_ends(link)}
    outer = {tap.label: ends[tap.device, tap.interface] for tap in inner}
    label_of = {(tap.device, tap.interface): tap.label for tap in plan.taps}
    counts = TapCounts(PlannedNetwork(plan).cable_macs)
    for tap in inner:
        other = outer[tap.label]
        for label, until in ((tap.label, last), (label_of[other.device, other.interface], 6)):
            counts.frames[label] = Counter(dict.fromkeys(range(T0, T0 + until), 50))
            counts.latest_ns[label] = {s: (s + 1) * 1_000_000_000 - TAP_NS for s in counts.frames[label]}
            counts.first_ns[label], counts.last_ns[label] = T0 * 1_000_000_000, (T0 + until) * 1_000_000_000
    states = {label: TapState(0, its.total(), its.total()) for label, its in counts.frames.items()}
    spaces = sorted({tap.namespace for tap in plan.taps})
    ready = tuple(CaptureTime(T0 - 5.0, space, "ready") for space in spaces)
    stopping = tuple(CaptureTime(T0 + 20.0, space, "stopping") for space in spaces)
    return tap_windows(Captured(plan, counts, states, (*ready, *stopping)))


def both_ends(link: Link) -> tuple[tuple[LinkEnd, LinkEnd], tuple[LinkEnd, LinkEnd]]:
    return (link.a, link.b), (link.b, link.a)


@pytest.mark.req("D5", "W7.1")
def test_a_capture_on_the_air_that_ends_early_is_told_from_a_cable_without_carrier() -> None:
    # given all cables of a device, whose other ends saw a second more: no single cable was cut
    (hole,) = of_the_air(5).incomplete()
    assert hole[0] == "ap1-air"
    assert "the other ends of its cables saw" in hole[1]
    # and one that holds all that they saw
    assert of_the_air(6).incomplete() == []


@pytest.mark.req("D5")
@pytest.mark.parametrize(("stopping_s", "holes"), [(10.2, 0), (10.4, 1)])
def test_what_a_capture_had_no_time_to_write_is_no_hole(stopping_s: float, holes: int) -> None:
    # given a capture that lacks the end of its last second, and was told to end so long after that began
    spaces = sorted({tap.namespace for tap in small_plan().taps})
    ready = tuple(CaptureTime(T0 - 5.0, space, "ready") for space in spaces)
    times = (*ready, *(CaptureTime(T0 + stopping_s, space, "stopping") for space in spaces))
    found = windows({CABLE[0]: {**BUSY, 9: 30}, CABLE[1]: BUSY}, times=times)
    assert len(found.incomplete()) == holes


@pytest.mark.req("C7", "D5")
def test_what_a_relay_sent_on_had_come_in_whatever_its_capture_shows(world: World) -> None:
    # given a capture at the session controller without anything that came in
    played(world, calls=1)
    relays = {number(controller.media_address) for controller in world.plan.session_controllers}
    world.frames["fra1-sbc"] = [
        frame for frame in world.frames["fra1-sbc"] if int.from_bytes(frame[2][30:34], "big") not in relays
    ]
    # when it is judged, then no phone is blamed for media past the relay
    judgement = judge_run(world.write())
    assert "hub.media" not in failed(judgement)
    assert set(verdicts(judgement, "hub.media").values()) == {"not-shown"}
