"""What a failure did to a call, from captures alone: figures and reasons, and every verdict can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.made_up_network import NAT, Leg
from tests.unit.judge.failover_world import (
    FAILED_S,
    HEALED_S,
    SECOND_NAT,
    Carrier,
    Outcome,
    TwoLines,
    dual_plan,
    wanted,
)

pytestmark = pytest.mark.req("V2")


def outcome(folder: Path, carrier: Carrier = wanted, *, registers: float | None = FAILED_S + 1.5) -> Outcome:
    """One call through a cut of the first line, carried so; the phone re-registers at that time."""
    world = TwoLines(folder, dual_plan("desk1"), carrier=carrier)
    world.through()
    if registers is not None:
        world.register_anew("desk1", registers)
    return world.judged()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return outcome(tmp_path_factory.mktemp("good"))


def test_a_good_failover_passes_every_check(good: Outcome) -> None:
    wrong = {
        (f.id, f.subject): f.observed
        for f in good.judgement.findings
        if f.verdict != "pass" and f.id.startswith("failover.")
    }
    assert wrong == {}
    shown = {f.id for f in good.judgement.findings if f.id.startswith("failover.")}
    assert shown == {
        f"failover.{name}"
        for name in (
            *("calls-kept", "media-gap", "detection", "registration", "order", "failback", "quality"),
        )
    }


def test_only_what_makes_sense_while_things_are_broken_is_judged(good: Outcome) -> None:
    ids = {f.id for f in good.judgement.findings}
    assert not ids & {"quality.voice", "quality.overload", "audio.heard", "call.established", "vlan.voice"}
    assert {"media.srtp", "privacy.readable", "hub.media", "qos.dscp", "capture.complete"} <= ids


def test_silences_are_measured_at_the_receiver_in_both_directions(good: Outcome) -> None:
    for flow in ("out", "in"):
        (gap,) = good.incident.gaps(flow)
        assert gap == pytest.approx(320, abs=25)
        (failback,) = good.incident.failback_gaps(flow)
        assert failback == 0


def test_detection_is_the_first_packet_on_the_other_line(good: Outcome) -> None:
    assert good.incident.detection_ms == pytest.approx(300, abs=30)
    assert good.incident.detected_by == "first packet at edge:wan2"


def test_lines_used_are_told_with_their_times(good: Outcome) -> None:
    (lines,) = good.incident.lines
    assert lines.wanted == lines.out == lines.into == ("wan1", "wan2", "wan1")
    (call,) = good.incident.calls
    assert [stretch.line for stretch in call.ways[0].stretches] == ["wan1", "wan2", "wan1"]
    assert call.fate == "kept"


def test_a_new_registration_counts_on_a_new_connection_only(good: Outcome) -> None:
    (registration,) = good.incident.registrations
    assert registration.seconds == pytest.approx(1.5, abs=0.5)
    assert good.incident.new_address


def test_mos_falls_in_the_second_of_the_failure_and_recovers(good: Outcome) -> None:
    (call,) = good.incident.calls
    values = [mos for mos in call.ways[0].mos if mos is not None]
    assert min(values) < 3.5
    assert values[-1] > 4


def test_a_phone_that_does_not_re_register_is_named(tmp_path: Path) -> None:
    judged = outcome(tmp_path, registers=None)
    assert judged.failed == {"failover.registration"}
    finding = judged.finding("failover.registration")
    assert finding.blame == "desk1"
    assert "not before restoration: desk1" in finding.observed


def test_a_call_whose_media_goes_to_the_old_address_is_lost_with_that_reason(tmp_path: Path) -> None:
    """Media follows neither by hand-over nor by re-INVITE: the cloud sends to the first line's address."""

    def carrier(at: float, leg: Leg) -> str | None:
        return wanted(at, leg) if leg == "up" or not FAILED_S <= at < HEALED_S else None

    judged = outcome(tmp_path, carrier)
    assert {"failover.calls-kept", "failover.quality"} <= judged.failed
    kept = judged.finding("failover.calls-kept")
    assert kept.subject == "circuit-down edge-isp1"
    assert "1 without media until restored" in kept.observed
    reason = f"the address changed from {NAT} to {SECOND_NAT}; the cloud kept sending to the old one"
    assert reason in kept.observed
    assert judged.finding("failover.media-gap", "from the site").verdict == "pass"
    (gap,) = judged.incident.gaps("in")
    assert gap == pytest.approx(3600, abs=60)


def test_a_call_that_a_re_invite_brings_back_is_re_established(tmp_path: Path) -> None:
    def carrier(at: float, leg: Leg) -> str | None:
        back = FAILED_S + 2.2
        return None if leg == "down" and FAILED_S <= at < back else wanted(at, leg)

    # given media to the site that comes back only when the phone has told its new address
    world = TwoLines(tmp_path, dual_plan("desk1"), carrier=carrier)
    call = world.through()
    world.register_anew("desk1", FAILED_S + 1.5)
    world.invites_again(call, FAILED_S + 2.1)
    # then the call counts as re-established, and the answer's time is known
    judged = world.judged()
    assert [one.fate for one in judged.incident.calls] == ["re-established"]
    assert judged.incident.in_dialog_ms == pytest.approx(2100, abs=150)
    assert judged.finding("failover.calls-kept").verdict == "pass"


def test_a_gap_of_three_seconds_fails_and_names_the_incident(tmp_path: Path) -> None:
    """The phones keep their address here: routing alone moves the path."""

    def carrier(at: float, leg: Leg) -> str | None:
        return None if FAILED_S <= at < FAILED_S + 3 else "wan1"

    judged = outcome(tmp_path, carrier, registers=None)
    for flow in ("from the site", "to the site"):
        finding = judged.finding("failover.media-gap", flow)
        assert finding.verdict == "fail"
        assert finding.subject == f"circuit-down edge-isp1: {flow}"
        assert finding.expected.startswith("median media gap at the receiver under 1000 ms")
        assert "30" in finding.observed


def test_the_second_line_before_the_first_fails_the_order(tmp_path: Path) -> None:
    def carrier(at: float, leg: Leg) -> str | None:
        return "wan2"

    judged = outcome(tmp_path, carrier, registers=None)
    finding = judged.finding("failover.order")
    assert (finding.verdict, finding.blame) == ("fail", "edge")
    assert "out of the site wan2, then wan2, then wan2" in finding.observed


def test_staying_on_the_second_line_fails_the_order(tmp_path: Path) -> None:
    def carrier(at: float, leg: Leg) -> str | None:
        return wanted(at, leg) if at < HEALED_S else "wan2"

    judged = outcome(tmp_path, carrier)
    assert "failover.order" in judged.failed
    assert "out of the site wan1, then wan2, then wan2" in judged.finding("failover.order").observed


def test_a_second_gap_at_failback_fails_failback(tmp_path: Path) -> None:
    def carrier(at: float, leg: Leg) -> str | None:
        return None if HEALED_S <= at < HEALED_S + 1.5 else wanted(at, leg)

    judged = outcome(tmp_path, carrier)
    assert judged.failed == {"failover.failback"}
    assert judged.finding("failover.failback", "to the site").verdict == "fail"
    for flow in ("out", "in"):
        assert judged.incident.failback_gaps(flow)[0] == pytest.approx(1520, abs=30)
        assert judged.incident.gaps(flow)[0] < 400


def test_going_back_more_than_once_fails_failback_and_names_the_router(tmp_path: Path) -> None:
    """The first line comes back, goes away twice, and stays; each time the router believes it."""

    def hasty(at: float, leg: Leg) -> str | None:
        away = any(HEALED_S + gone <= at < HEALED_S + gone + 0.4 for gone in (0.5, 1.3))
        return "wan2" if away else wanted(at, leg)

    judged = outcome(tmp_path, hasty)
    assert judged.failed == {"failover.failback"}
    (lines,) = judged.incident.lines
    assert lines.returns == 3
    found = judged.finding("failover.failback", ": shop")
    assert found.observed == "failback to wan1 3 times: edge has no hold-down"
    assert (found.verdict, found.blame) == ("fail", "edge")


def test_going_back_once_holds(good: Outcome) -> None:
    found = good.finding("failover.failback", ": shop")
    assert (found.verdict, found.observed) == ("pass", "failback to wan1 once")


def test_a_call_that_failback_loses_is_not_kept(tmp_path: Path) -> None:
    """The cloud follows the phone to the second line, but not back."""

    def left_behind(at: float, leg: Leg) -> str | None:
        return None if leg == "down" and at >= HEALED_S else wanted(at, leg)

    judged = outcome(tmp_path, left_behind)
    assert {"failover.calls-kept", "failover.failback"} <= judged.failed
    assert "lost at failback" in judged.finding("failover.calls-kept").observed


def test_a_router_that_does_not_detect_is_named(tmp_path: Path) -> None:
    """It goes on sending by the first line, which black-holes everything."""
    world = TwoLines(tmp_path, dual_plan("desk1"))
    world.alter = lambda packet, tap, leg: (
        None
        if tap == ("isp1:edge" if leg == "up" else "edge:wan1")
        and world.zero_ns
        and FAILED_S <= (world.clock_ns - world.zero_ns) / 1e9 < HEALED_S
        else packet
    )
    world.carrier = lambda at, leg: "wan1"
    world.through()
    judged = world.judged()
    assert {
        "failover.calls-kept",
        "failover.detection",
        "failover.order",
        "failover.quality",
    } <= judged.failed
    kept = judged.finding("failover.calls-kept")
    assert "edge kept sending by wan1: it did not detect the failure" in kept.observed
    assert kept.blame == "edge"
    assert "not detected before restoration" in judged.finding("failover.detection").observed


def test_a_call_that_is_hung_up_is_dropped_with_who_and_why(tmp_path: Path) -> None:
    world = TwoLines(tmp_path, dual_plan("desk1"))
    call = world.through()
    world.register_anew("desk1", FAILED_S + 1)
    world.closes(call, FAILED_S + 2, "503 Service Unavailable")
    judged = world.judged()
    assert judged.failed == {"failover.calls-kept"}
    observed = judged.finding("failover.calls-kept").observed
    assert "1 dropped" in observed
    assert "hung up by desk1 after 2.0 s: 503 Service Unavailable" in observed


def test_without_live_calls_nothing_is_shown(tmp_path: Path) -> None:
    world = TwoLines(tmp_path, dual_plan("desk1"))
    world.through()
    world.incidents = [world.incident()]
    judged = world.judged()
    assert judged.finding("failover.calls-kept").verdict == "not-shown"
    assert judged.failed == set()


def test_a_run_in_which_nothing_was_broken_shows_nothing(tmp_path: Path) -> None:
    world = TwoLines(tmp_path, dual_plan("desk1"))
    world.through()
    world.incidents = []
    finding = world.judged().finding("failover.calls-kept")
    assert (finding.verdict, finding.observed) == ("not-shown", "nothing was broken")
