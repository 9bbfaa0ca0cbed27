"""What the judge's tests share: tshark's second opinion on packets that it has already read."""

from __future__ import annotations

from pathlib import Path

import pytest

from uclab.capture.pcapng import PcapngReader
from uclab.capture.tags import Tags, dissect_tags
from uclab.capture.writer import PcapngWriter
from uclab.judge.checks import tshark_crosscheck

READ = 64
"""Bytes in which Ethernet, all tags, a label and the IP header end; tshark reads nothing above IP there."""
_seen: dict[tuple[bytes, int], Tags] = {}


@pytest.fixture(autouse=True)
def _tshark_reads_a_packet_once(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A start of tshark takes as long as the rest of a small judgement, and nearly all made-up runs have the
    same packets: it starts only for packets that it has not read yet. The tests of the second opinion
    itself have it read all."""
    if request.module.__name__.endswith("test_judge_second_opinion"):
        return
    folder = tmp_path_factory.getbasetemp()

    def dissected_once(extract: Path) -> list[Tags]:
        frames = [batch.packet(row) for batch in PcapngReader(extract) for row in range(len(batch))]
        keys = [(bytes(frame[:READ]), len(frame)) for frame in frames]
        new = {key: frame for key, frame in zip(keys, frames, strict=True) if key not in _seen}
        if new:
            file = folder / "unread.pcapng"
            with PcapngWriter(file, ["media"]) as writer:
                for frame in new.values():
                    writer.write(0, 0, bytes(frame))
            _seen.update(zip(new, dissect_tags(file), strict=True))
        return [_seen[key] for key in keys]

    monkeypatch.setattr(tshark_crosscheck, "dissect_tags", dissected_once)
