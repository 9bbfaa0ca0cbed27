"""What the judge's tests share: what tshark reads of packets that it has already read.

A start of tshark takes as long as the rest of a small judgement, and nearly all made-up runs have the same
signalling, routing protocols and first packets: it starts only for bytes that it has not read yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from uclab.capture import routing
from uclab.capture.dissect import Signalling, dissect
from uclab.capture.pcapng import PcapngReader
from uclab.capture.tags import Tags, dissect_tags
from uclab.capture.writer import PcapngWriter
from uclab.judge import judging
from uclab.judge.checks import tshark_crosscheck
from uclab.judge.evidence import load_sample

READ = 64
"""Bytes in which Ethernet, all tags, a label and the IP header end; tshark reads nothing above IP there."""
_tags: dict[tuple[bytes, int], Tags] = {}
_signalling: dict[tuple[bytes, bytes], Signalling] = {}
_routing: dict[bytes, tuple[routing.Message, ...]] = {}


@pytest.fixture(autouse=True)
def _tshark_reads_a_packet_once(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The tests of the second opinion itself have it read all."""
    if request.module.__name__.endswith("test_judge_second_opinion"):
        return
    folder = tmp_path_factory.getbasetemp()

    def tags_once(extract: Path) -> list[Tags]:
        frames = [batch.packet(row) for batch in PcapngReader(extract) for row in range(len(batch))]
        keys = [(bytes(frame[:READ]), len(frame)) for frame in frames]
        new = {key: frame for key, frame in zip(keys, frames, strict=True) if key not in _tags}
        if new:
            file = folder / "unread.pcapng"
            with PcapngWriter(file, ["media"]) as writer:
                for frame in new.values():
                    writer.write(0, 0, bytes(frame))
            _tags.update(zip(new, dissect_tags(file), strict=True))
        return [_tags[key] for key in keys]

    monkeypatch.setattr(tshark_crosscheck, "dissect_tags", tags_once)
    for module in (judging, load_sample):
        monkeypatch.setattr(module, "dissect", signalling_once)
    monkeypatch.setattr(routing, "_dissect", routing_once)


def signalling_once(extract: Path, keylog: Path | None, numbers: Sequence[int] = ()) -> Signalling:
    """`dissect`, once for the same packets and keys, whatever else was captured between them."""
    key = extract.read_bytes(), keylog.read_bytes() if keylog else b""
    if key not in _signalling:
        _signalling[key] = dissect(extract, keylog)
    read = _signalling[key]
    return Signalling(
        tuple(_numbered(one, numbers) for one in read.handshakes),
        tuple(_numbered(one, numbers) for one in read.messages),
        read.unread,
    )


_read_routing = routing._dissect


def routing_once(extract: Path, numbers: Sequence[int]) -> Iterator[routing.Message]:
    """The same for BGP and BFD."""
    key = extract.read_bytes()
    if key not in _routing:
        _routing[key] = tuple(_read_routing(extract, range(1, len(numbers) + 1)))
    yield from (_numbered(one, numbers) for one in _routing[key])


def _numbered(one: Any, numbers: Sequence[int]) -> Any:
    """With the packet's number in the capture, in place of the one in the extract."""
    return replace(one, at=replace(one.at, packet=numbers[one.at.packet - 1])) if numbers else one
