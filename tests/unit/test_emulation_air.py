"""What an access point's channel decides, frame by frame: pure, no socket."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uclab.emulation.wifi.air import tagged, targets
from uclab.emulation.wifi.edca_channel import Medium, Sent
from uclab.model.wmm import contention_us
from uclab.plan.schema.plan import Impairment, RadioChannel, Station

MS, US = 1_000_000, 1_000
STATIONS = (
    Station("a", "a", "02:00:00:00:00:0a", 10),
    Station("b", "b", "02:00:00:00:00:0b", 20),
    Station("c", "c", "02:00:00:00:00:0c", 20),
)
QUIET = RadioChannel(
    *("air", "ap1", "ap", STATIONS, 10_000, 20_000, Impairment("up", 2.0), Impairment("down", 1.0)),
    queue_packets=50,
)
BULK, VOICE = bytes(1496), bytes(214)
"""With the checksum 12,000 and 1,744 bits."""


def sent(way: str, frame: bytes, at_ns: int) -> Sent:
    return Sent("up" if way == "up" else "down", ("ap",), frame, at_ns)


def arrivals(medium: Medium, until_ns: int, step_ns: int = 10 * US) -> list[tuple[int, Sent]]:
    """(Time, frame) of everything that arrives by then."""
    found = []
    for now in range(0, until_ns, step_ns):
        medium.take_turns(now)
        found += [(now, one) for one in medium.arriving(now)]
    return found


@pytest.mark.parametrize(("way", "rate_kbps", "delay_ms"), [("up", 10_000, 2.0), ("down", 20_000, 1.0)])
def test_a_frame_alone_waits_for_its_turn_its_length_and_the_delay(
    way: str, rate_kbps: int, delay_ms: float
) -> None:
    # given a quiet channel on which somebody sends best effort
    medium = Medium(QUIET)
    assert medium.offer("a", 0, sent(way, BULK, 0))
    # when it is looked at until something happens
    medium.take_turns(0)
    # then that is after contention, the frame's own length and the radio's delay
    expected = contention_us("AC_BE") * US + 12_000 * 1e6 / rate_kbps + delay_ms * MS
    assert medium.next_ns() == pytest.approx(expected, abs=2)
    assert medium.arriving(int(expected) - US) == []
    assert len(medium.arriving(int(expected) + US)) == 1
    assert medium.next_ns() is None


@pytest.mark.req("Q1.3", "W7.1")
@pytest.mark.parametrize(("up", "behind"), [(6, 0), (4, 0), (0, 3), (3, 3), (1, 3)])
def test_frames_of_better_categories_go_before_what_waits(up: int, behind: int) -> None:
    # given three frames of best effort that wait for a channel in use
    medium = Medium(QUIET)
    for _ in range(3):
        medium.offer("ap", 0, sent("down", BULK, 0))
    # when one frame more is to be sent
    medium.offer("ap", up, sent("down", VOICE, 0))
    # then it goes before them, or behind
    order = [len(one.frame) for _, one in arrivals(medium, 20 * MS)]
    assert order.index(len(VOICE)) == behind


@pytest.mark.req("W7.1")
def test_both_directions_share_the_channel() -> None:
    # given as much as each direction could carry alone in 300 ms, from both at once
    medium = Medium(replace(QUIET, queue_packets=1000))
    for _ in range(250):
        medium.offer("a", 0, sent("up", BULK, 0))
    for _ in range(500):
        medium.offer("ap", 0, sent("down", BULK, 0))
    # then together they take the time of one after the other
    last = arrivals(medium, 1200 * MS, MS)[-1][0]
    airtime = (250 * 1.2 + 500 * 0.6 + 750 * contention_us("AC_BE") / 1000) * MS
    assert last == pytest.approx(airtime, rel=0.02)
    # and the account says so
    assert medium.account()["airtime_ms"]["AC_BE"] == pytest.approx(airtime / MS, rel=0.001)


def test_senders_of_one_category_take_turns() -> None:
    medium = Medium(QUIET)
    for sender in ("a", "a", "a", "b", "ap"):
        medium.offer(sender, 0, Sent("up", (sender,), VOICE, 0))
    assert [one.targets[0] for _, one in arrivals(medium, 20 * MS)] == ["a", "b", "ap", "a", "a"]


@pytest.mark.req("Q1.3", "W7.1")
@pytest.mark.parametrize(("up", "kept"), [(6, True), (0, False)])
def test_voice_keeps_its_quality_beside_bulk_only_in_its_own_category(up: int, kept: bool) -> None:
    # given a channel that is offered twice what it carries, and a call's packet every 20 ms
    medium = Medium(replace(QUIET, down_kbps=10_000))
    delays, lost, now = [], 0, 0
    for tick in range(2000):
        now = tick * 600 * US
        medium.take_turns(now)
        medium.offer("ap", 0, sent("down", BULK, now))
        if tick % 33 == 0:
            lost += not medium.offer("ap", up, sent("down", VOICE, now))
        delays += [(now - one.arrived_ns) / MS for one in medium.arriving(now) if one.frame == VOICE]
    # then in the category for voice nothing waits longer than a frame, and nothing is lost
    assert (statistics.fmean(delays) < 4.0) == kept
    assert (lost == 0) == kept
    # and bulk that found no room is accounted for
    assert medium.account()["lines"]["down AC_BE"]["no_room"] > 400


def test_a_late_frame_of_bulk_holds_up_no_voice() -> None:
    # given a radio whose delay scatters
    radio = Impairment("down", 20.0, jitter_ms=10.0)
    medium = Medium(replace(QUIET, down=radio, down_kbps=100_000))
    for _ in range(40):
        medium.offer("ap", 0, sent("down", BULK, 0))
        medium.offer("ap", 6, sent("down", VOICE, 0))
    seen = arrivals(medium, 200 * MS)
    # then each category keeps its own order, and both are mixed
    sizes = [len(one.frame) for _, one in seen]
    assert sizes[:40].count(len(VOICE)) < 40
    assert {len(one.frame) for _, one in seen} == {len(VOICE), len(BULK)}


def test_the_same_seeds_lose_the_same_frames() -> None:
    lossy = replace(QUIET, up=Impairment("up", 1.0, loss_pct=20.0, seed=5), queue_packets=500)

    def survivors() -> list[int]:
        medium = Medium(lossy)
        for number in range(300):
            medium.offer("a", 6, sent("up", bytes(100 + number), 0))
        return [len(one.frame) for _, one in arrivals(medium, 500 * MS, 100 * US)]

    assert survivors() == survivors()
    assert 200 < len(survivors()) < 280


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "ap"]), st.integers(0, 7), st.integers(60, 1514)),
                max_size=60))  # fmt: skip
def test_every_frame_is_delivered_once_or_refused(frames: list[tuple[str, int, int]]) -> None:
    medium = Medium(replace(QUIET, queue_packets=5))
    taken = 0
    for sender, up, size in frames:
        taken += medium.offer(sender, up, sent("down" if sender == "ap" else "up", bytes(size), 0))
    delivered = arrivals(medium, 200 * MS, MS)
    assert len(delivered) == taken
    assert medium.next_ns() is None
    refused = sum(line["no_room"] for line in medium.account()["lines"].values())
    assert taken + refused == len(frames)


@pytest.mark.req("V9", "N4.1")
def test_frames_find_their_station() -> None:
    to_a, to_all, to_nobody = (bytes.fromhex(mac) + bytes(60) for mac in
                               ("02000000000a", "ffffffffffff", "02000000000d"))  # fmt: skip
    assert targets(QUIET, "ap", to_a, 10) == ("a",)
    assert targets(QUIET, "ap", to_all, 20) == ("b", "c")
    assert targets(QUIET, "ap", to_nobody, 10) == ()
    # stations do not hear each other
    assert targets(QUIET, "b", to_a, 10) == ("ap",)


def test_a_tag_that_the_kernel_took_off_is_put_back() -> None:
    frame = bytes(range(12)) + b"\x08\x00" + b"packet"
    assert tagged(frame, 6 << 13 | 10) == bytes(range(12)) + b"\x81\x00\xc0\x0a\x08\x00packet"
