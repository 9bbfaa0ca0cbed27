"""SRTP of a campaign is proved from a sample of its calls, and the proof can fail; so can the search for who
makes voice bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.frames import UDP, Packet
from testbed.made_up_network import Leg as Way
from testbed.made_up_network import reference_plan
from testbed.world import World
from uclab.judge.evidence.load_files import Leg
from uclab.judge.evidence.load_sample import FIRST_LEGS, chosen
from uclab.judge.judging import judge_run
from uclab.judge.result.judgement import Finding
from uclab.plan.load.record import CampaignRecord, GeneratorRecord, LegRecord
from uclab.plan.schema.codec import to_data
from uclab.records.run import CallRecord
from uclab.records.scenario import ScenarioRecord

pytestmark = pytest.mark.req("C9.4", "D11")

USERS = ("desk1", "desk2")
"""Phones that stand for load generators with one user each."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, replace(reference_plan(*USERS), bulk=()))


def campaign(
    world: World, calls: int = 1, change: Callable[[LegRecord], LegRecord] = lambda leg: leg
) -> dict[tuple[str, str], Finding]:
    """Two users call each other; judged as a campaign."""
    for name in USERS:
        world.connect(name)
        world.register(name)
    folder = world.folder / "campaign"
    folder.mkdir()
    legs: dict[str, list[LegRecord]] = {name: [] for name in USERS}
    for number in range(1, calls + 1):
        call = world.call(*USERS, seconds=0.8)
        for index, name in enumerate(USERS):
            legs[name].append(
                change(leg_of(world, call, name, USERS[1 - index], 20_000 + 100 * number + 2 * index))
            )
    for name, its in legs.items():
        lines = [json.dumps(to_data(leg)) + "\n" for leg in its]
        (folder / f"{name}.legs.jsonl").write_text("".join(lines))
    generators = tuple(GeneratorRecord(name, 0) for name in USERS)
    record = CampaignRecord("busy-hour", len(USERS), True, generators)
    (folder / "campaign.json").write_text(json.dumps(to_data(record)))
    world.calls.clear()
    (world.folder / "scenario.json").write_text(json.dumps(to_data(ScenarioRecord("campaign", "load"))))
    return {(one.id, one.subject): one for one in judge_run(world.write()).findings}


def leg_of(world: World, call: CallRecord, user: str, peer: str, port: int) -> LegRecord:
    """The user's side of a call, as a load generator notes it."""
    return LegRecord(
        user, peer, "caller" if user == call.caller else "callee", "desk", 200,
        call.started_at, call.answered_at, call.ended_at,
        media_port=port, sent=40, received=40, heard=True, address=world.talker(user).address,
    )  # fmt: skip


def media_of(findings: dict[tuple[str, str], Finding], generator: str) -> Finding:
    return findings["load.srtp", f"media of {generator}"]


def test_sampled_calls_authenticate_with_the_keys_of_their_own_signalling(world: World) -> None:
    findings = campaign(world, calls=2)
    for name in USERS:
        finding = media_of(findings, name)
        assert finding.verdict == "pass", finding.observed
        assert finding.observed.startswith(
            f"2 sampled calls (desk): 160 packets and 4 of SRTCP at {name}:eth0"
        )
        assert "payload of all 2 streams that are long enough to tell" in finding.observed
    assert findings["privacy.readable", "all taps"].verdict == "pass"


def altered(packet: Packet, tap: str, way: Way) -> Packet:
    """A provider changes each packet of media on its way to the site."""
    if way == "down" and tap == "isp1:edge" and packet.proto == UDP:
        return replace(packet, payload=packet.payload[:20] + b"\0\0\0\0" + packet.payload[24:])
    return packet


def test_media_that_is_changed_on_its_way_fails_and_names_who_did_it(world: World) -> None:
    world.alter = altered
    finding = media_of(campaign(world), "desk1")
    assert (finding.verdict, finding.blame) == ("fail", "isp1")
    assert "correct up to isp1:inet, 40 of 40 wrong at isp1:edge" in finding.observed
    assert finding.evidence.tap == "isp1:edge"
    assert finding.evidence.packets


def test_one_packet_that_is_changed_is_enough(world: World) -> None:
    seen: list[bytes] = []

    def once(packet: Packet, tap: str, way: Way) -> Packet:
        changed = altered(packet, tap, way)
        if changed is not packet and (not seen or seen == [packet.payload]):
            seen[:] = [packet.payload]
            return changed
        return packet

    world.alter = once
    findings = campaign(world)
    wrong = [one for name in USERS if (one := media_of(findings, name)).verdict == "fail"]
    assert len(wrong) == 1
    assert "1 of 40 wrong at isp1:edge" in wrong[0].observed


def test_plain_media_fails_and_names_the_generator(world: World) -> None:
    world.plain = frozenset({"desk1"})
    findings = campaign(world)
    finding = media_of(findings, "desk1")
    assert (finding.verdict, finding.blame) == ("fail", "desk1")
    assert "is readable" in finding.observed
    assert {one.verdict for (id_, _), one in findings.items() if id_ == "privacy.readable"} == {"fail"}


def test_a_relay_that_sends_plain_media_is_named(world: World) -> None:
    # given a user whose own media is encrypted, and who is sent plain media
    world.plain = frozenset({"desk2"})
    finding = media_of(campaign(world), "desk1")
    assert (finding.verdict, finding.blame) == ("fail", "fra1-sbc")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda leg: replace(leg, address=""), "no call with media was noted"),
        (lambda leg: replace(leg, address="10.9.9.9"), "opened no SIP message"),
        (lambda leg: replace(leg, media_port=1), "no sampled call had media both ways"),
    ],
)
def test_what_could_not_be_sampled_is_not_shown(
    world: World, change: Callable[[LegRecord], LegRecord], words: str
) -> None:
    finding = media_of(campaign(world, change=change), "desk1")
    assert finding.verdict == "not-shown"
    assert words in finding.observed


def test_without_the_key_log_nothing_is_shown(world: World) -> None:
    def forgotten(leg: LegRecord) -> LegRecord:
        world.keylog.write_text("")
        return leg

    finding = media_of(campaign(world, change=forgotten), "desk1")
    assert (finding.verdict, finding.observed) == ("not-shown", "there is no TLS key log")


def test_a_line_that_loses_voice_is_found_by_its_router(world: World) -> None:
    def full(packet: Packet, tap: str, way: Way) -> Packet | None:
        late = packet.proto == UDP and packet.payload[3] % 4 == 0
        return None if way == "up" and tap == "edge:wan1" and late else packet

    world.alter = full
    finding = campaign(world)["load.quality", "voice from desk1"]
    assert (finding.verdict, finding.blame) == ("fail", "edge")
    assert "0 of 1 directions pass" in finding.observed
    assert "worst direction: 10 packets lost between edge:lan and edge:wan1" in finding.observed


def leg(number: int, kind: str, user: str = "700001") -> Leg:
    at = 100.0 + number
    record = LegRecord(
        user, "700002", "caller", kind, 200, at, at, at + 5,
        media_port=30_000 + number, sent=9, received=9, address=f"10.0.0.{user[-2:]}",
    )  # fmt: skip
    return Leg(f"load1-{number}", "load1", record)


def test_the_sample_is_of_all_kinds_and_of_the_whole_time_and_always_the_same() -> None:
    kinds = ("desk", "desk", "desk", "contact-centre", "desk-hold")
    legs = [leg(number, kinds[number % 5], f"70{number:04}") for number in range(100)]
    picked = chosen(legs)
    assert len(picked) == 5
    assert {one.record.kind for one in picked} == {"desk", "contact-centre", "desk-hold"}
    times = sorted(one.record.started_at - 100 for one in picked)
    assert times[0] < 25
    assert times[-1] > 75
    assert chosen(list(reversed(legs))) == picked
    assert len(chosen(legs[:3])) == 3


def test_what_a_busy_user_did_late_is_not_sampled() -> None:
    # its connection would have to be dissected from its beginning on
    legs = [leg(number, "contact-centre") for number in range(3 * FIRST_LEGS)]
    assert max(one.record.started_at for one in chosen(legs)) < 100 + FIRST_LEGS


def test_rtcp_that_somebody_changed_on_the_way_is_named_in_a_campaign_too(world: World) -> None:
    # given a device that writes into RTCP, and leaves media alone
    world.alter = lambda packet, tap, leg: touched(packet) if tap == "edge:lan" and leg == "down" else packet
    # when sampled calls are judged
    finding = media_of(campaign(world), "desk1")
    # then their reports do not authenticate behind it
    assert (finding.verdict, finding.blame) == ("fail", "edge")
    assert finding.observed.startswith("SRTCP packets in 1 of 2 directions of sampled calls")


def touched(packet: Packet) -> Packet:
    """RTCP with a byte changed; anything else as it is."""
    if packet.proto != UDP or not 192 <= packet.payload[1] <= 223:
        return packet
    return replace(packet, payload=packet.payload[:-1] + bytes([packet.payload[-1] ^ 1]))
