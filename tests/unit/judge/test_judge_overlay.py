"""Findings about overlays fail when what they claim is not so."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import cast

import pytest

from testbed.plans import shipped_plan
from uclab.capture.dissect import Signalling
from uclab.capture.headers import IPV4, UDP
from uclab.judge.checks.overlay import Spell, check_overlays, spells
from uclab.judge.evidence.network import PlannedNetwork, mac_number, number
from uclab.judge.evidence.run import Run
from uclab.judge.measure.cleartext_search import ReadableSearch
from uclab.judge.measure.flows import Flow, FlowKey, FlowTable
from uclab.judge.measure.media import MediaFollower
from uclab.judge.measure.observe import Observations
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.segments import SegmentBytes
from uclab.judge.measure.srtp import MediaSecrecy
from uclab.judge.measure.streams import Hop
from uclab.judge.result.judgement import Finding
from uclab.plan.schema.overlay import Tunnel, TunnelEnd
from uclab.plan.schema.plan import Plan
from uclab.records.overlay import PathRecord

pytestmark = pytest.mark.req("W6", "Q1.5")
SECONDS = 30
GOOD, BAD = (15.0, 2.0, 0.0), (15.0, 2.0, 20.0)


@cache
def plan() -> Plan:
    return shipped_plan("sd-wan")


def flow(tap: str, mac: str, dscp: int, packets: int, *, src: str, dst: str, ports: tuple[int, int]) -> Flow:
    key = FlowKey(
        tap, mac_number(mac), False, -1, -1, -1, IPV4, dscp, UDP, number(src), number(dst), *ports, -1, True
    )
    return Flow(key, packets, 100 * packets, 0, 1, [7])


def inside(end: TunnelEnd, dscp: int, packets: int) -> Flow:
    tap = f"{end.device}:{end.interface}"
    return flow(tap, end.mac, dscp, packets, src="10.60.110.11", dst="198.18.10.2", ports=(16384, 20000))


def outside(tunnel: Tunnel, end: TunnelEnd, other: TunnelEnd, dscp: int, packets: int) -> Flow:
    return flow(
        f"{end.device}:{end.underlay}", end.mac, dscp, packets,
        src=end.underlay_address, dst=other.underlay_address, ports=(tunnel.port, tunnel.port),
    )  # fmt: skip


def right_flows() -> list[Flow]:
    found = []
    for tunnel in plan().overlays[0].tunnels:
        for end, other in ((tunnel.near, tunnel.far), (tunnel.far, tunnel.near)):
            for dscp, packets in ((46, 1000), (26, 200), (0, 500)):
                found += [inside(end, dscp, packets), outside(tunnel, end, other, dscp, packets)]
            found.append(outside(tunnel, end, other, 0, 20))  # its own
    return found


def records(wan1_bad: tuple[int, int] = (0, 0), wan2_bad: tuple[int, int] = (0, 0)) -> list[PathRecord]:
    found = []
    for tick in range(SECONDS * 4):
        now = tick / 4
        for path, (begin, end) in (("wan1", wan1_bad), ("wan2", wan2_bad)):
            found.append(PathRecord(now, "branch", path, *(BAD if begin <= now < end else GOOD)))
    return found


def judged(
    flows: Sequence[Flow], paths: Sequence[PathRecord] = (), media: dict[str, range] | None = None
) -> dict[str, Finding]:
    """Findings by id and subject; `media` says in which seconds media passed a path."""
    table = FlowTable(dict(enumerate(flows)))
    follower = MediaFollower([], {})
    for index, (path, seconds) in enumerate(
        (media if media is not None else {"wan1": range(SECONDS)}).items()
    ):
        follower.hops[0, index, 0] = Hop(f"edge:ov-{path}", "up", seconds=dict.fromkeys(seconds, 50))
    seen = Observations(
        table, follower, cast("MediaSecrecy", None), cast("ReadableSearch", None), cast("SegmentBytes", None)
    )
    run = Run(plan(), paths=tuple(paths or records()))
    evidence = RunEvidence(run, PlannedNetwork(plan()), seen, Signalling((), ()))
    return {f"{f.id} {f.subject}": f for f in check_overlays(evidence)}


def test_a_right_run_passes_every_check() -> None:
    findings = judged(right_flows())
    assert len(findings) == 6
    assert {f.verdict for f in findings.values()} == {"pass"}


def test_an_edge_that_does_not_copy_is_named_and_nobody_else() -> None:
    # given an edge whose outer packets are all unmarked
    tunnel = plan().overlays[0].tunnels[0]
    flows = [f for f in right_flows() if f.key.tap != "edge:wan1"]
    flows.append(outside(tunnel, tunnel.near, tunnel.far, 0, 1720))
    # then its preferred tunnel's outward marking fails
    wrong = [f for f in judged(flows).values() if f.verdict != "pass"]
    assert [(f.id, f.subject, f.verdict, f.blame) for f in wrong] == [
        ("qos.overlay", "edge:wan1", "fail", "edge")
    ]
    assert "1220 packets more with 0 outside" in wrong[0].observed


def test_what_a_queue_dropped_is_no_wrong_marking() -> None:
    tunnel = plan().overlays[0].tunnels[0]
    flows = [*right_flows(), inside(tunnel.near, 0, 5000)]
    assert {f.verdict for f in judged(flows).values()} == {"pass"}


def test_a_tunnel_without_marked_packets_shows_nothing() -> None:
    flows = [f for f in right_flows() if not (f.key.tap == "edge:ov-wan2" and f.key.dscp)]
    assert judged(flows)["qos.overlay edge:wan2"].verdict == "not-shown"


def test_a_packet_past_the_tunnels_breaks_the_seal() -> None:
    leak = flow("edge:wan2", "02:00:00:00:00:09", 46, 1, src="203.0.113.66", dst="198.18.10.2", ports=(5, 6))
    finding = judged([*right_flows(), leak])["sdwan.sealed edge"]
    assert (finding.verdict, finding.blame) == ("fail", "edge")
    assert "203.0.113.66 to 198.18.10.2" in finding.observed


def test_voice_that_stays_on_a_browned_out_path_is_the_controllers_fault() -> None:
    finding = judged(right_flows(), records(wan1_bad=(10, 20)))["sdwan.steering branch"]
    assert (finding.verdict, finding.blame) == ("fail", "sdwan-controller")
    assert "while wan2 kept them" in finding.observed


def test_voice_that_leaves_in_time_and_returns_is_right() -> None:
    media = {"wan1": [*range(13), *range(22, SECONDS)], "wan2": range(12, 23)}
    finding = judged(
        right_flows(), records(wan1_bad=(10, 20)), cast("dict[str, range]", media)
    )["sdwan.steering branch"]  # fmt: skip
    assert finding.verdict == "pass"


def test_voice_stays_where_no_path_keeps_its_limits() -> None:
    both = records(wan1_bad=(10, 20), wan2_bad=(9, 21))
    assert judged(right_flows(), both)["sdwan.steering branch"].verdict == "pass"


def test_a_moment_of_the_other_path_is_no_excuse_for_ever() -> None:
    """The first path is bad all the time, the second one for two seconds of it."""
    finding = judged(right_flows(), records(wan1_bad=(0, SECONDS), wan2_bad=(12, 14)))
    assert finding["sdwan.steering branch"].verdict == "fail"


def test_steering_without_media_or_measurements_shows_nothing() -> None:
    assert judged(right_flows(), media={})["sdwan.steering branch"].verdict == "not-shown"


def test_a_spell_lasts_from_the_first_measurement_beyond_to_the_first_within() -> None:
    found = spells([r for r in records(wan1_bad=(10, 20)) if r.path == "wan1"], (100, 25, 5))
    assert found == [Spell(10, 20)]
