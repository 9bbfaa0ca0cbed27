"""What a capture does not hold, and what is not understood, is counted by tap and named; a finding that needs
it is not shown, and nobody is blamed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from testbed.frames import TCP, Packet, rtcp, rtp
from testbed.made_up_network import Leg, reference_plan
from testbed.world import World
from tests.unit.judge.encapsulations import HARMLESS, READ, UNREAD, Encapsulation, pppoe
from uclab.capture.headers import decode
from uclab.capture.pcapng import PcapngReader
from uclab.capture.writer import PcapngWriter
from uclab.judge.judging import judge_run
from uclab.judge.measure.frame_coverage import FrameCoverage, Part
from uclab.judge.result.judgement import Finding

pytestmark = pytest.mark.req("D5", "C9.1", "C9.4")

VOICE = Packet(
    "02:00:00:00:00:0a", "02:00:00:00:00:0b", "10.10.110.11", "198.18.10.12", 16384, 20100,
    rtp(1, 1, 1, bytes(160)), 46,
)  # fmt: skip
SIGNALLING = replace(VOICE, proto=TCP, dport=5096, payload=bytes(300), dscp=26)
BULK = replace(VOICE, dport=9, payload=bytes(1000), dscp=0)
ALL = 1 << 20


def covered(folder: Path, frames: Sequence[bytes], cut: int = ALL) -> FrameCoverage:
    """Frames at one tap, of which the capture holds so many bytes."""
    path = folder / "x.pcapng"
    with PcapngWriter(path, ["tap"]) as writer:
        for frame in frames:
            writer.write(0, 0, frame[:cut], len(frame))
    coverage = FrameCoverage([5096])
    for batch in PcapngReader(path):
        columns = decode(batch)
        coverage.add(batch, columns, ["tap"], columns.rtp, columns.rtcp)
    return coverage


@pytest.mark.parametrize(
    ("packet", "cut", "lacking"),
    [
        (VOICE, 54, {"media"}),
        (VOICE, 53, {"headers"}),
        (replace(VOICE, vlan=110), 57, {"headers"}),
        (replace(VOICE, vlan=110), 58, {"media"}),
        (replace(VOICE, payload=rtcp(1)), 60, {"control"}),
        (SIGNALLING, 54, {"signalling"}),
        (SIGNALLING, 30, {"headers"}),
        (replace(SIGNALLING, dport=179), 60, {"routing"}),
        (BULK, 60, {"rest"}),
        (BULK, 13, {"headers"}),
        (VOICE, ALL, set()),
    ],
)
def test_missing_bytes_are_told_by_what_they_were_for(
    tmp_path: Path, packet: Packet, cut: int, lacking: set[Part]
) -> None:
    coverage = covered(tmp_path, [bytes(packet)] * 3, cut)
    assert {part for _, part in coverage.cut} == lacking
    assert [cut.packets for cut in coverage.cut.values()] == [3] * len(lacking)


def test_a_frame_shorter_than_its_own_header_says_is_cut_whatever_the_capture_claims(tmp_path: Path) -> None:
    # given a capture that calls what it kept the whole
    coverage = covered(tmp_path, [bytes(VOICE)[:100]])
    assert coverage.short("tap", ("media",)) == "1 of 1 packets at tap are cut to 100 bytes"


def test_the_snap_length_is_named_as_the_reason(tmp_path: Path) -> None:
    coverage = covered(tmp_path, [bytes(VOICE)], cut=96)
    coverage.snap_lengths["tap"] = 96
    assert coverage.short("tap", ("media",)) == (
        "1 of 1 packets at tap are cut to 96 bytes (the capture's snap length)"
    )
    assert coverage.short("tap", ("signalling",)) is None


@pytest.mark.parametrize(("wrap", "kind"), UNREAD.values(), ids=list(UNREAD))
def test_what_is_not_understood_is_named_and_taken_for_nothing_else(
    tmp_path: Path, wrap: Encapsulation, kind: str
) -> None:
    inside = bytes(VOICE)[14:]
    coverage = covered(tmp_path, [wrap(inside)] * 2)
    assert {name: unread.packets for name, unread in coverage.unread["tap"].items()} == {kind: 2}
    path = tmp_path / "x.pcapng"
    columns = decode(next(iter(PcapngReader(path))))
    assert not columns.rtp.any()
    assert not np.isin(columns.dst, [0xC6120A0C]).any()


@pytest.mark.parametrize("wrap", READ.values(), ids=list(READ))
def test_service_tags_old_and_new_are_read(tmp_path: Path, wrap: Encapsulation) -> None:
    coverage = covered(tmp_path, [wrap(bytes(VOICE)[14:])])
    assert coverage.unread == {}
    columns = decode(next(iter(PcapngReader(tmp_path / "x.pcapng"))))
    assert (columns.rtp.tolist(), columns.dscp.tolist()) == ([True], [46])
    assert columns.service_vlan.tolist() == [-1 if wrap is READ["bare"] else 5]


@pytest.mark.parametrize("frame", HARMLESS.values(), ids=list(HARMLESS))
def test_what_every_network_has_is_understood(tmp_path: Path, frame: bytes) -> None:
    assert covered(tmp_path, [frame]).unread == {}


def test_a_tunnel_of_the_plan_is_no_stranger(tmp_path: Path) -> None:
    frame = UNREAD["VXLAN"][0](bytes(20))
    coverage = FrameCoverage(own_tunnels=[4789])
    covered(tmp_path, [frame])
    for batch in PcapngReader(tmp_path / "x.pcapng"):
        columns = decode(batch)
        coverage.add(batch, columns, ["tap"], columns.rtp, columns.rtcp)
    assert coverage.unread == {}


# -- whole runs, changed at one tap

CHANGED = "edge"
"""The device at whose taps a run is changed."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phones register and call each other."""
    world = World(tmp_path_factory.mktemp("clean"), replace(reference_plan("desk1", "desk2"), bulk=()))
    for name in ("desk1", "desk2"):
        world.connect(name)
        world.register(name)
    world.call("desk1", "desk2", seconds=0.8)
    return world.write()


def judged(
    clean: Path, folder: Path, change: Callable[[bytes], tuple[bytes, int]]
) -> dict[str, list[Finding]]:
    """Findings other than `pass` by id, after each frame at `CHANGED` was changed (to bytes, and the length
    that it says it had)."""
    run = folder / "run"
    shutil.copytree(clean, run)
    path = run / "captures" / f"{CHANGED}.pcapng"
    reader = PcapngReader(clean / "captures" / path.name)
    frames = [
        (int(batch.interface[row]), int(batch.time_ns[row]), batch.packet(row))
        for batch in reader
        for row in range(len(batch))
    ]
    with PcapngWriter(path, [interface.name for interface in reader.interfaces]) as writer:
        for interface, at_ns, frame in frames:
            writer.write(interface, at_ns, *change(frame))
        writer.statistics()
    found: dict[str, list[Finding]] = {}
    for finding in judge_run(run).findings:
        if finding.verdict != "pass" and finding.id != "qos.trust":  # (no PC says anything here)
            found.setdefault(finding.id, []).append(finding)
    return found


def test_payload_that_was_cut_off_is_not_shown_where_it_is_needed_and_only_there(
    clean: Path, tmp_path: Path
) -> None:
    found = judged(clean, tmp_path, lambda frame: (frame[:60], len(frame)))
    assert set(found) == {"privacy.readable", "signalling.untouched", "capture.complete"}
    for finding in (finding for its in found.values() for finding in its):
        assert (finding.verdict, finding.blame) == ("not-shown", None)
        assert f"packets at {CHANGED}:" in finding.observed
        assert "are cut to 60 bytes" in finding.observed


@pytest.mark.parametrize(
    ("change", "words", "besides"),
    [
        (lambda frame: (frame[:30], len(frame)), "are cut to 30 bytes", "capture.complete"),
        (lambda frame: (pppoe(frame[14:]), len(frame) + 8), "of PPPoE", "capture.understood"),
    ],
    ids=["headers cut", "PPPoE"],
)
def test_packets_that_a_tap_could_not_recognise_are_nobodys_loss(
    clean: Path, tmp_path: Path, change: Callable[[bytes], tuple[bytes, int]], words: str, besides: str
) -> None:
    found = judged(clean, tmp_path, change)
    assert {finding.verdict for its in found.values() for finding in its} == {"not-shown"}
    assert set(found) >= {"qos.dscp", "path.as-planned", "privacy.readable", besides}
    assert "quality.voice" not in found  # both ends saw all of it
    for finding in (*found["qos.dscp"], *found["path.as-planned"]):
        assert finding.blame is None
        assert words in finding.observed
        assert f"{CHANGED}:" in finding.observed


def test_an_old_service_tag_at_one_tap_changes_nothing(clean: Path, tmp_path: Path) -> None:
    def tag(frame: bytes) -> tuple[bytes, int]:
        return frame[:12] + b"\x91\x00\xa0\x05" + frame[12:], len(frame) + 4

    assert judged(clean, tmp_path, tag) == {}


@pytest.mark.req("C8")
def test_what_is_wrong_is_found_beside_a_tap_that_could_not_tell_but_nobody_is_accused(
    tmp_path: Path,
) -> None:
    # given DSCP cleared on the way to the phone, and a tap right in front that holds no headers
    world = World(tmp_path, replace(reference_plan("desk1", "desk2"), bulk=()))

    def clear(packet: Packet, tap: str, leg: Leg) -> Packet:
        return replace(packet, dscp=0) if leg == "down" and tap in ("edge:wan1", "edge:lan") else packet

    world.alter = clear
    world.cut = {"edge:wan1": 30}
    world.connect("desk1")
    world.connect("desk2")
    world.call("desk1", "desk2", seconds=0.8)
    # when it is judged, then the marking fails where it was seen to be wrong, without naming a device
    findings = {(f.id, f.subject): f for f in judge_run(world.write()).findings}
    wrong = findings["qos.dscp", "c1:caller_to_callee"]
    assert (wrong.verdict, wrong.evidence.tap, wrong.blame) == ("fail", "edge:lan", None)
    assert "by whom is not shown: " in wrong.observed
