"""`path.as-planned`: media that takes another way than the plan's is found, and the device that sent it
there is named."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from testbed.frames import Packet
from testbed.made_up_network import Leg, Talker
from testbed.plans import shipped_plan
from testbed.world import World
from uclab.judge.judging import judge_run
from uclab.judge.result.judgement import Finding, Judgement
from uclab.plan.schema.plan import PathHop
from uclab.records.run import Event

SECOND_LINE = {
    "edge:wan1": "edge:wan2",
    "isp1:edge": "isp2:edge",
    "isp1:inet": "isp2:inet",
    "inet:isp1": "inet:isp2",
}
ENDPOINTS = ("desk1", "desk2")


class TwoLines(World):
    """Media goes by the second line where `strays` says so; signalling goes as planned."""

    legs: frozenset[Leg] = frozenset()
    turns = cycle((True,))

    def carry(self, packet: Packet, talker: Talker, leg: Leg, at_ns: int) -> None:
        planned = talker.hops
        if packet.dscp == self.plan.policy.voice_dscp and leg in self.legs and next(self.turns):
            talker.hops = tuple(PathHop(SECOND_LINE.get(h.tap, h.tap), h.vlan) for h in planned)
        super().carry(packet, talker, leg, at_ns)
        talker.hops = planned


@pytest.fixture
def world(tmp_path: Path) -> TwoLines:
    plan = shipped_plan("smb-dual-wan")
    return TwoLines(tmp_path, replace(plan, endpoints=plan.endpoints[:2], bulk=()))


def judged(world: World) -> Judgement:
    for name in ENDPOINTS:
        world.connect(name)
        world.register(name)
    world.call(*ENDPOINTS, seconds=0.8)
    return judge_run(world.write())


def ways(judgement: Judgement) -> list[Finding]:
    return [finding for finding in judgement.findings if finding.id == "path.as-planned"]


def failed(judgement: Judgement) -> set[str]:
    return {finding.id for finding in judgement.findings if finding.verdict == "fail"}


@pytest.mark.req("V2", "P5")
def test_media_on_the_planned_way_passes(world: TwoLines) -> None:
    found = ways(judged(world))
    assert [f.verdict for f in found] == ["pass", "pass"]
    assert found[0].observed == "40 packets arrived by all 40 taps"


@pytest.mark.req("V2", "P5")
@pytest.mark.parametrize(
    ("leg", "words", "blame"),
    [
        ("up", "edge:wan1 but edge:wan2, isp2:edge, isp2:inet, inet:isp2", "edge"),
        ("down", "inet:isp1 but inet:isp2, isp2:inet, isp2:edge, edge:wan2", "inet"),
    ],
)
def test_media_on_another_line_is_blamed_on_the_router_that_chose_it(
    world: TwoLines, leg: Leg, words: str, blame: str
) -> None:
    # given a router that prefers the backup in one direction
    world.legs = frozenset({leg})
    judgement = judged(world)
    # then nothing else is wrong, and it is named
    assert failed(judgement) == {"path.as-planned"}
    observed = f"40 of 40 packets did not pass {words}"
    assert {(f.observed, f.blame) for f in ways(judgement)} == {(observed, blame)}
    assert ways(judgement)[0].evidence.packets


@pytest.mark.req("V2")
def test_every_other_packet_on_another_line_is_found(world: TwoLines) -> None:
    world.legs, world.turns = frozenset({"up"}), cycle((False, True))
    found = ways(judged(world))
    assert [f.verdict for f in found] == ["fail", "fail"]
    assert found[0].observed.startswith("20 of 40 packets did not pass edge:wan1 but edge:wan2")


@pytest.mark.req("V2")
def test_packets_that_get_lost_are_not_astray(world: TwoLines) -> None:
    kept = cycle((True, True, False))

    def lossy(packet: Packet, tap: str, leg: Leg) -> Packet | None:
        return packet if tap != "isp1:inet" or packet.dscp != 46 or next(kept) else None

    world.alter = lossy
    judgement = judged(world)
    assert "quality.voice" in failed(judgement)
    assert [f.verdict for f in ways(judgement)] == ["pass", "pass"]


@pytest.mark.req("V2")
@pytest.mark.parametrize(("healed_s", "claims"), [(None, 0), (-10.0, 0), (-60.0, 2)])
def test_nothing_is_claimed_while_something_is_failed_on_purpose(
    world: TwoLines, healed_s: float | None, claims: int
) -> None:
    # given a line that was cut before the call, and healed so many seconds from its start on
    now = world.now / 1e9
    links = ("fw-edge", "edge-isp1")
    world.events.append(Event(now - 100, "edge", "failed-on-purpose", "black-hole", links=links))
    if healed_s is not None:
        world.events.append(Event(now + healed_s - 5, "fw-edge", "healed", links=links[:1]))
        world.events.append(Event(now + healed_s, "edge-isp1", "healed", links=links[1:]))
    assert len(ways(judged(world))) == claims


@pytest.mark.req("D5")
def test_without_media_or_with_drops_nothing_is_shown(world: TwoLines) -> None:
    world.legs, world.drops = frozenset({"up"}), {"edge:wan1": 3}
    assert [f.verdict for f in ways(judged(world))] == ["not-shown", "not-shown"]


@pytest.mark.req("D5")
def test_silence_shows_no_way(world: TwoLines) -> None:
    world.alter = lambda packet, tap, leg: None if packet.dscp == 46 and tap == "fw:wan" else packet
    assert {f.verdict for f in ways(judged(world))} == {"not-shown"}


@pytest.mark.req("C9.1", "N2")
@pytest.mark.parametrize(("leg", "tap", "blame"), [("up", "edge:wan1", "edge"), ("down", "fw:voice", "fw")])
def test_a_gateway_that_writes_into_signalling_is_named(
    world: TwoLines, leg: Leg, tap: str, blame: str
) -> None:
    # given a device that changes a byte of every segment to or from one phone
    def meddle(packet: Packet, at: str, way: Leg) -> Packet:
        ours = packet.payload and 5096 in (packet.sport, packet.dport) and (way, at) == (leg, tap)
        return replace(packet, payload=b"~" + packet.payload[1:]) if ours else packet

    world.alter = meddle
    judgement = judged(world)
    # then it is named
    found = [f for f in judgement.findings if f.id == "signalling.untouched"]
    assert {(f.verdict, f.blame) for f in found} == {("fail", blame)}
    assert f"changed at {tap}" in found[0].observed


@pytest.mark.req("C9.1")
def test_signalling_that_nobody_touched_passes_and_none_shows_nothing(world: TwoLines) -> None:
    judgement = judged(world)
    assert {f.verdict for f in judgement.findings if f.id == "signalling.untouched"} == {"pass"}


@pytest.mark.req("C9.1")
def test_without_signalling_nothing_is_shown_of_it(world: TwoLines) -> None:
    findings = judge_run(world.write()).findings
    assert {f.verdict for f in findings if f.id == "signalling.untouched"} == {"not-shown"}
