"""Lines are judged by all calls that crossed them, single calls only beyond chance; too little media
shows nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import pytest

from testbed.plans import shipped_plan
from uclab.capture.dissect import Signalling
from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.evidence.run import Run
from uclab.judge.measure.cleartext_search import ReadableSearch
from uclab.judge.measure.flows import FlowTable
from uclab.judge.measure.media import MediaFollower
from uclab.judge.measure.observe import Observations
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.segments import SegmentBytes
from uclab.judge.measure.srtp import KeyRing, MediaSecrecy
from uclab.judge.measure.streams import Second, Stream
from uclab.judge.measure.tap_windows import TapWindows
from uclab.judge.quality.accused import Accused
from uclab.judge.quality.call_parts import CLOUD, DirectionSeen, Part
from uclab.judge.quality.line_quality import check_lines
from uclab.judge.quality.route_quality import check_routes
from uclab.judge.result.judgement import Finding
from uclab.judge.result.media import HopRecord, Walk
from uclab.plan.schema.plan import Plan
from uclab.records.run import CallRecord

pytestmark = pytest.mark.req("C8")
UP = "office/wan1 up"


@cache
def plan() -> Plan:
    return shipped_plan("small-office")


def evidence() -> RunEvidence:
    """A run without captures, of which nothing is missing."""
    network = PlannedNetwork(plan())
    seen = Observations(
        FlowTable(),
        MediaFollower([tap.label for tap in plan().taps], {}),
        MediaSecrecy(KeyRing(), frozenset()),
        ReadableSearch.for_accounts([]),
        SegmentBytes(()),
    )
    made = RunEvidence(Run(plan()), network, seen, Signalling((), ()))
    made.__dict__["windows"] = TapWindows()
    return made


def direction(
    name: str, lost: Iterable[int], kind: str = "desk-pstn", delays_ms: float | Sequence[float] = 30.0
) -> DirectionSeen:
    """A call upwards from desk1, with the packets that its line lost in each of its seconds, of 50."""
    endpoints = {endpoint.name: endpoint for endpoint in PlannedNetwork(plan()).endpoints}
    call = CallRecord(name, "desk1", "pstn", kind, True, 100.0, 101.0, 106.0)
    stream = Stream(len(name), 0, 0, 0, None)
    seconds = list(enumerate(lost, start=101))
    for at, count in seconds:
        delay_ms = delays_ms if isinstance(delays_ms, float) else delays_ms[at - 101]
        stream.seconds[at] = Second(50, 50 - count, delay_ms * (50 - count), 1.5 * (50 - count))
    stream.sent = sum(second.sent for second in stream.seconds.values())
    stream.received = sum(second.received for second in stream.seconds.values())
    stream.delay_sum_ms = sum(second.delay_sum_ms for second in stream.seconds.values())
    stream.delay_max_ms = 60.0
    stream.jitter.sum_ms, stream.jitter.count = 1.5 * stream.received, stream.received
    parts = (
        Part(call, "caller_to_callee", stream, UP, "up", {at: (float(n), 50.0) for at, n in seconds}, 1.0),
        Part(call, "caller_to_callee", stream, CLOUD, None, {at: (0.0, 50.0) for at, _ in seconds}, 1.0),
    )
    return DirectionSeen(call, "caller_to_callee", stream, endpoints["desk1"], endpoints["pstn"], parts, None)


def walk_of(one: DirectionSeen) -> Walk:
    """It lost at the router's queue what it lost."""
    lost = one.stream.sent - one.stream.received
    hops = (("edge:lan", one.stream.sent, 0), ("edge:wan1", one.stream.received, lost))
    records = [HopRecord(tap, 46, None, None, 0.0, packets, n) for tap, packets, n in hops]
    return Walk(one.call.id, "caller_to_callee", tuple(records))


def judged(*seen: DirectionSeen) -> tuple[dict[str, Finding], Accused]:
    """Findings on lines and routes by subject; and who looks at single calls."""
    accused = Accused(plan().policy, seen)
    walks = [walk_of(one) for one in seen]
    found = (*check_lines(evidence(), accused, walks), *check_routes(evidence(), accused, walks))
    return {finding.subject: finding for finding in found}, accused


def lossless(calls: int, seconds: int = 5) -> list[DirectionSeen]:
    return [direction(f"call-{n}", [0] * seconds) for n in range(calls)]


def test_a_line_without_loss_passes_and_says_between_what_its_loss_lies() -> None:
    found, accused = judged(*lossless(4))
    assert found[UP].verdict == "pass"
    assert "0 of 1000 packets lost: 0.00 %, between 0.00 and 0.60 %" in found[UP].observed
    assert found["office → telephone network"].verdict == "pass"
    assert [accused.of(one) for one in accused.seen] == [None] * 4


def test_too_little_media_shows_nothing_and_says_how_much_it_takes() -> None:
    found, _ = judged(*lossless(1))
    assert found[UP].verdict == "not-shown"
    assert "to show it takes some 613 packets: 12 s of one direction of a call" in found[UP].observed


def test_three_lost_in_one_call_of_many_are_chance_and_the_line_is_judged_by_all() -> None:
    # given a call that lost 1.2 %, which by itself misses a limit of 1 %
    found, accused = judged(direction("unlucky", [1, 0, 1, 0, 1]), *lossless(9))
    # then neither it nor its line fails
    assert accused.of(accused.seen[0]) is None
    assert found[UP].verdict == "pass"
    # and where all calls lose like that, the line's router is blamed
    many = [direction(f"call-{n}", [1, 0, 1, 2, 1] * 8) for n in range(4)]
    found, accused = judged(*many)
    assert (found[UP].verdict, found[UP].blame) == ("fail", "edge")
    assert "320 of 8000 packets lost" not in found[UP].observed
    assert "160 of 8000 packets lost: 2.00 %" in found[UP].observed
    assert "160 packets lost between edge:lan and edge:wan1" in found[UP].observed


def test_a_line_near_the_limit_is_not_shown() -> None:
    found, _ = judged(*(direction(f"call-{n}", [1, 0, 0, 1, 0]) for n in range(4)))
    assert found[UP].verdict == "not-shown"
    assert "8 of 1000 packets lost" in found[UP].observed
    # some 31,000 packets, while nothing tells of bursts twice as many
    assert "packets: " in found[UP].observed


def test_a_call_that_loses_a_third_on_a_good_line_is_accused_and_does_not_count_for_the_line() -> None:
    found, accused = judged(direction("bad", [15, 18, 12, 16, 14]), *lossless(6))
    accusation = accused.of(accused.seen[0])
    assert accusation is not None
    assert accusation.by_loss
    assert f"75 of 250 packets lost on {UP}" in accusation.words
    assert [accused.of(one) for one in accused.seen[1:]] == [None] * 6
    assert found[UP].verdict == "pass"
    assert "1 calls that fail by themselves are not counted" in found[UP].observed
    assert found["office → telephone network"].verdict == "pass"
    # but where half of the calls do, it is the line
    found, _ = judged(*(direction(f"bad-{n}", [15] * 5) for n in range(3)), *lossless(3))
    assert (found[UP].verdict, found[UP].blame) == ("fail", "edge")


def test_the_same_loss_in_bursts_shows_less_than_at_random() -> None:
    # given 24 of 5,000 packets lost: one by one, or in three bursts of eight
    single = [direction(f"c{n}", [int(at % 4 == n) for at in range(24)] + [0]) for n in range(4)]
    bursts = [direction(f"c{n}", [8 if at == n * 5 and n < 3 else 0 for at in range(25)]) for n in range(4)]
    one_by_one, at_once = judged(*single)[0][UP], judged(*bursts)[0][UP]
    # then as many packets are lost, and only those lost one by one show that the limit is kept
    assert "24 of 5000 packets lost: 0.48 %" in one_by_one.observed
    assert "24 of 5000 packets lost: 0.48 %" in at_once.observed
    assert "(design effect 1.0)" in one_by_one.observed
    assert "(design effect 7." in at_once.observed
    assert (one_by_one.verdict, at_once.verdict) == ("pass", "not-shown")


def test_a_route_is_judged_by_the_mean_delay_of_all_its_calls() -> None:
    # given delays that scatter by a millisecond around 140, of a limit of 150
    random = np.random.default_rng(3)
    calm = [
        direction(f"c{n}", [0] * 30, delays_ms=(140 + random.normal(0, 1, 30)).tolist()) for n in range(3)
    ]
    assert judged(*calm)[0]["office → telephone network"].verdict == "pass"
    # when they scatter by forty, nothing is shown, and when they lie around 180 the route fails
    wild = [direction("wild", [0] * 10, delays_ms=(145 + random.normal(0, 40, 10)).tolist())]
    doubtful = judged(*wild)[0]["office → telephone network"]
    assert doubtful.verdict == "not-shown"
    assert "delay lies on both sides of its limit: to show it takes" in doubtful.observed
    slow = [direction(f"c{n}", [0] * 10, delays_ms=180.0) for n in range(3)]
    found, accused = judged(*slow)
    assert found["office → telephone network"].verdict == "fail"
    assert all(accused.of(one) is not None for one in slow)


def test_what_overloads_a_line_is_judged_apart() -> None:
    # given four quiet calls without loss, and three that lost nearly half while bulk filled the line
    full = [direction(f"o{n}", [20] * 8, kind="overload") for n in range(3)]
    accused = Accused(plan().policy, (*lossless(4), *full))
    found = {
        f.id: f for f in check_lines(evidence(), accused, [walk_of(one) for one in full]) if f.subject == UP
    }
    assert {name: one.verdict for name, one in found.items()} == {
        "quality.voice": "pass",
        "quality.overload": "fail",
    }
