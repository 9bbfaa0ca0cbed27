"""RTCP is judged like the media that it belongs to: its marking at every tap, and with SRTCP its
authenticity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from testbed.frames import UDP, Packet, rtcp
from testbed.made_up_network import Leg, reference_plan
from testbed.world import World
from uclab.judge.judging import judge_run
from uclab.judge.measure.srtcp import clear_types
from uclab.judge.result.judgement import Finding

BYE, APP, RECEIVER_REPORT = 203, 204, 201


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, replace(reference_plan("desk1", "desk2"), bulk=()))


def is_rtcp(packet: Packet) -> bool:
    return packet.proto == UDP and 192 <= packet.payload[1] <= 223


def findings(world: World) -> dict[tuple[str, str], Finding]:
    """Two phones register and call each other; judged."""
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    world.call("desk1", "desk2", seconds=0.4)
    return {(one.id, one.subject): one for one in judge_run(world.write()).findings}


def failed(found: dict[tuple[str, str], Finding]) -> set[tuple[str, str]]:
    return {name for name, finding in found.items() if finding.verdict == "fail"}


@pytest.mark.req("C8", "Q1.1", "D5")
def test_rtcp_that_leaves_the_relay_unmarked_is_the_relays_fault(world: World) -> None:
    # given a relay that marks RTP alone, and a site's router that marks what comes back as it went out
    def forget(packet: Packet, tap: str, leg: Leg) -> Packet:
        inside = not tap.startswith(("fra1", "inet", "isp", "edge:wan"))
        if leg == "up" or not is_rtcp(packet):
            return packet
        return replace(packet, dscp=world.plan.policy.voice_dscp if inside else 0)

    world.alter = forget
    # when it is judged
    found = findings(world)
    # then only RTCP's marking fails, and the relay's node is named
    assert failed(found) == {
        ("qos.dscp", f"c1:{way}:rtcp") for way in ("caller_to_callee", "callee_to_caller")
    }
    wrong = found["qos.dscp", "c1:caller_to_callee:rtcp"]
    assert (wrong.blame, wrong.observed, wrong.evidence.tap) == (
        "fra1-sbc",
        "0 at fra1-sbc:eth0",
        "fra1-sbc:eth0",
    )


@pytest.mark.req("C8", "C9.4", "D5")
def test_marked_and_authentic_rtcp_passes(world: World) -> None:
    found = findings(world)
    assert failed(found) == set()
    assert found["qos.dscp", "c1:caller_to_callee:rtcp"].verdict == "pass"
    assert found["qos.pcp", "c1:caller_to_callee:rtcp"].verdict == "pass"
    assert " and 4 of SRTCP authenticate at " in found["media.srtp", "c1:caller_to_callee"].observed


@pytest.mark.req("C9.4")
def test_rtcp_changed_on_the_way_does_not_authenticate(world: World) -> None:
    def touch(packet: Packet, tap: str, leg: Leg) -> Packet:
        if tap != "edge:lan" or leg == "up" or not is_rtcp(packet):
            return packet
        return replace(packet, payload=packet.payload[:-1] + bytes([packet.payload[-1] ^ 1]))

    world.alter = touch
    found = findings(world)
    assert failed(found) == {("media.srtp", f"c1:{way}") for way in ("caller_to_callee", "callee_to_caller")}
    wrong = found["media.srtp", "c1:caller_to_callee"]
    assert wrong.observed.startswith("1 of 1 SRTCP packets at desk2:eth0 do not authenticate")
    assert wrong.observed.endswith("unchanged up to edge:wan1, changed at edge:lan")


@pytest.mark.req("C9.4")
@pytest.mark.parametrize(
    ("kind", "leg", "verdict", "words"),
    [
        (BYE, "up", "pass", "without a report and in clear: 1 BYE of RTCP"),
        (BYE, "down", "fail", "1 of 1 SRTCP packets at "),
        (RECEIVER_REPORT, "up", "fail", "1 of 1 SRTCP packets at "),
    ],
    ids=["a phone's last word", "a relay's", "a report"],
)
def test_rtcp_in_clear_fails_unless_it_is_an_endpoints_first_or_last_word(
    world: World, kind: int, leg: Leg, verdict: str, words: str
) -> None:
    def bare(packet: Packet, tap: str, way: Leg) -> Packet:
        ssrc = int.from_bytes(packet.payload[4:8], "big") if is_rtcp(packet) else 0
        return replace(packet, payload=rtcp(ssrc, kind, b"")) if ssrc and way == leg else packet

    world.alter = bare
    finding = findings(world)["media.srtp", "c1:caller_to_callee"]
    assert finding.verdict == verdict
    assert words in finding.observed


def test_rtcp_in_clear_is_told_from_srtcp_by_its_lengths() -> None:
    assert clear_types(rtcp(7, BYE, b"") + rtcp(7, 202, bytes(8))) == (BYE, 202)
    assert clear_types(rtcp(7, APP, b"PINGPONG") + b"\x80\0\0\1" + bytes(10)) is None
    assert clear_types(b"") == ()
