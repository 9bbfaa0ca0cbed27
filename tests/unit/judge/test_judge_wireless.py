"""Calls over Wi-Fi, judged: the user priority on the air in both directions, and who is to blame where it is
wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from testbed.frames import Packet
from testbed.made_up_network import Alter, Leg, Talker, for_short_calls
from testbed.plans import shipped_plan
from testbed.world import World
from tests.unit.judge.test_judge_drills import failed, not_shown
from uclab.cli.summary import chosen_walk, walk_table
from uclab.judge.judging import judge_run
from uclab.judge.path.hop_trace import marking_columns
from uclab.judge.result.judgement import Judgement
from uclab.plan.schema.plan import PathHop
from uclab.report.results import walk_data

AIR = ("wifi1-sw:1", "soft1-sw:1", "ap1-air:", "ap1:2")


@dataclass
class WirelessWorld(World):
    """A site with access points: on the air the tag's priority is the user priority."""

    def dressed(self, packet: Packet, hop: PathHop, talker: Talker, leg: Leg) -> Packet:
        seen = super().dressed(packet, hop, talker, leg)
        return replace(seen, pcp=self.plan.policy.up(seen.dscp)) if hop.tap.startswith(AIR) else seen


@pytest.fixture
def world(tmp_path: Path) -> WirelessWorld:
    plan = shipped_plan("wifi-office")
    kept = tuple(e for e in plan.endpoints if e.name != "soft2")
    return WirelessWorld(tmp_path, for_short_calls(replace(plan, endpoints=kept, bulk=())))


def run(here: World, *altered: Alter) -> Judgement:
    """A wired phone calls a wireless one, which calls a softclient at the same access point; judged."""
    for alter in altered:
        here.alter = alter
    for name in ("desk1", "wifi1", "soft1"):
        here.connect(name)
        here.register(name)
    here.call("desk1", "wifi1", seconds=0.6)
    here.call("wifi1", "soft1", seconds=0.6, kind="desk-soft")
    return judge_run(here.write())


def of_kind(judgement: Judgement, verdict: str) -> set[str]:
    return {f.subject for f in judgement.findings if (f.id, f.verdict) == ("qos.wmm", verdict)}


@pytest.mark.req("Q1.3", "W7.1", "N4.1", "V7.2", "V7.4")
def test_a_right_run_shows_the_user_priority_on_every_way_over_the_air(world: WirelessWorld) -> None:
    judgement = run(world)
    # then everything holds: each direction of each call, with its RTCP, upwards and downwards, and signalling
    # both ways
    assert failed(judgement) == {}
    assert not_shown(judgement) == set()
    assert of_kind(judgement, "pass") == {
        "c1:caller_to_callee:ap1-down", "c1:callee_to_caller:ap1-up",
        "c2:caller_to_callee:ap1-up", "c2:caller_to_callee:ap1-down",
        "c2:callee_to_caller:ap1-up", "c2:callee_to_caller:ap1-down",
        "c1:caller_to_callee:rtcp:ap1-down", "c1:callee_to_caller:rtcp:ap1-up",
        "c2:caller_to_callee:rtcp:ap1-up", "c2:caller_to_callee:rtcp:ap1-down",
        "c2:callee_to_caller:rtcp:ap1-up", "c2:callee_to_caller:rtcp:ap1-down",
        "wifi1:signalling:ap1-up", "wifi1:signalling:ap1-down",
        "soft1:signalling:ap1-up", "soft1:signalling:ap1-down",
    }  # fmt: skip
    by_subject = {f.subject: f.expected for f in judgement.findings if f.id == "qos.wmm"}
    assert by_subject["c1:caller_to_callee:ap1-down"] == "user priority 6 (AC_VO) in every frame on the air"
    assert by_subject["soft1:signalling:ap1-up"] == "user priority 4 (AC_VI) in every frame on the air"
    # and the walk shows UP on the air and 802.1p on the wire
    walk = next(w for w in judgement.walks if (w.call, w.direction) == ("c2", "caller_to_callee"))
    shown = {hop.tap: (hop.up, hop.pcp) for hop in walk.hops if hop.leg == "up"}
    assert (shown["wifi1-sw:1"], shown["ap1-air:ap"], shown["ap1:2"]) == ((6, None),) * 3
    assert (shown["ap1:1"], shown["sw1:8"]) == ((None, 5),) * 2
    assert list(marking_columns(walk)) == ["DSCP", "802.1p", "VLAN", "UP"]
    assert {hop.get("up") for hop in walk_data(walk)["hops"]} == {None, 6}
    chosen = chosen_walk(judgement)
    assert chosen is not None
    assert "UP" in [column.header for column in walk_table(chosen).columns]


@pytest.mark.req("Q1.3")
def test_an_access_point_with_the_naive_map_is_named_for_what_it_sends(world: WirelessWorld) -> None:
    def naive(packet: Packet, tap: str, leg: Leg) -> Packet:
        return replace(packet, pcp=packet.dscp >> 3) if leg == "down" and tap.startswith(AIR) else packet

    judgement = run(world, naive)
    assert set(failed(judgement)) == {"qos.wmm"}
    wrong = failed(judgement)["qos.wmm"]
    assert wrong.blame == "ap1"
    assert wrong.observed == "user priority 5 (AC_VI) at ap1:2"
    # and only downwards
    assert {subject.rpartition("-")[2] for subject in of_kind(judgement, "fail")} == {"down"}
    assert {subject.rpartition("-")[2] for subject in of_kind(judgement, "pass")} == {"up"}


@pytest.mark.req("Q1.3")
def test_a_station_that_sends_as_best_effort_is_named(world: WirelessWorld) -> None:
    def unmarked(packet: Packet, tap: str, leg: Leg) -> Packet:
        own = leg == "up" and packet.src_mac == world.plan.node("soft1").interfaces[0].mac
        return replace(packet, pcp=0) if own and tap.startswith(AIR) else packet

    judgement = run(world, unmarked)
    assert set(failed(judgement)) == {"qos.wmm"}
    assert of_kind(judgement, "fail") == {
        *("c2:callee_to_caller:ap1-up", "c2:callee_to_caller:rtcp:ap1-up"),
        "soft1:signalling:ap1-up",
    }
    assert failed(judgement)["qos.wmm"].blame == "soft1"


@pytest.mark.req("Q1.3")
def test_a_frame_without_a_user_priority_is_wrong(world: WirelessWorld) -> None:
    def bare(packet: Packet, tap: str, leg: Leg) -> Packet:
        return replace(packet, vlan=None) if tap == "ap1-air:wifi1" and leg == "down" else packet

    wrong = failed(run(world, bare))
    assert wrong["qos.wmm"].observed.startswith("correct up to ap1-air:ap, no user priority at ap1-air:wifi1")


@pytest.mark.req("Q1.3")
def test_who_maps_a_cleared_dscp_rightly_is_not_to_blame(world: WirelessWorld) -> None:
    def cleared(packet: Packet, tap: str, leg: Leg) -> Packet:
        return replace(packet, dscp=0) if leg == "down" and tap == "edge:lan" else packet

    broken = failed(run(world, cleared))
    assert set(broken) == {"qos.dscp", "qos.pcp", "qos.wmm"}
    assert {finding.blame for finding in broken.values()} == {"edge"}
    assert "as the changed DSCP 0 asks for" in broken["qos.wmm"].observed


def test_an_air_without_captures_is_not_shown(world: WirelessWorld) -> None:
    def unseen(packet: Packet, tap: str, leg: Leg) -> Packet:
        return packet

    put = world.put
    world.put = lambda tap, at_ns, frame: None if tap.startswith(AIR) else put(tap, at_ns, frame)  # type: ignore[method-assign]
    judgement = run(world, unseen)
    assert of_kind(judgement, "pass") == set()
    assert "c1:caller_to_callee:ap1-down" in of_kind(judgement, "not-shown")
