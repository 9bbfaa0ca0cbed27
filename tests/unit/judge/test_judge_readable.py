"""Readable text is found in every byte of every frame, whatever carries it, and where TCP splits it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.frames import TCP, Packet, ip_header, rtp
from tests.unit.judge.encapsulations import READ, UNREAD, Encapsulation, ethernet, ipv4
from uclab.capture.headers import decode
from uclab.capture.pcapng import PcapngReader
from uclab.capture.writer import PcapngWriter
from uclab.judge.measure.cleartext_search import Leak, ReadableSearch
from uclab.judge.measure.needle import Needles

pytestmark = pytest.mark.req("C9.1")

SIP = b'REGISTER sip:ucaas.test SIP/2.0\r\nAuthorization: Digest username="201"\r\n\r\n'
PASSWORD = "405412af3e5ff03c74a55505"
LINE = Packet(
    "02:00:00:00:00:0a", "02:00:00:00:00:0b", "10.10.110.11", "198.18.10.11", 40000, 5096, b"", proto=TCP
)


def leaks(folder: Path, frames: Sequence[bytes], cut: int | None = None) -> list[Leak]:
    """What is found in frames at one tap."""
    path = folder / "x.pcapng"
    with PcapngWriter(path, ["tap"]) as writer:
        for number, frame in enumerate(frames):
            writer.write(0, number, frame[:cut], len(frame))
    search = ReadableSearch.for_accounts([("201", PASSWORD)])
    for batch in PcapngReader(path):
        search.add(batch, decode(batch), ["tap"])
    assert search.searched == {"tap": len(frames)}
    return list(search.leaks.values())


@pytest.mark.parametrize(
    "wrap", [*READ.values(), *(wrap for wrap, _ in UNREAD.values())], ids=[*READ, *UNREAD]
)
def test_sip_is_found_in_every_encapsulation(tmp_path: Path, wrap: Encapsulation) -> None:
    packet = ip_header("10.0.0.1", "10.0.0.2", 17, 0, len(SIP)) + SIP
    found = leaks(tmp_path, [ipv4(1, bytes(60)), wrap(packet)])
    assert {leak.what for leak in found} == {"SIP", "a digest response"}
    assert [leak.samples for leak in found] == [[2], [2]]
    assert found[0].src_mac == 0x02000000000A


@pytest.mark.parametrize(
    "frame",
    [
        ipv4(1, b"\3\4" + bytes(6) + SIP),
        ethernet(0x0806, bytes(28) + SIP),
        bytes(replace(LINE, proto=17, payload=rtp(1, 1, 1, SIP))),
        SIP,
    ],
    ids=["ICMP error", "behind ARP", "in RTP", "no Ethernet at all"],
)
def test_no_kind_of_frame_is_left_out(tmp_path: Path, frame: bytes) -> None:
    assert {leak.what for leak in leaks(tmp_path, [frame])} == {"SIP", "a digest response"}


def test_a_password_is_named_but_not_repeated(tmp_path: Path) -> None:
    (leak,) = leaks(tmp_path, [ethernet(0x88B5, b"x" + PASSWORD.encode())])
    assert (leak.what, leak.text) == ("the password of 201", "")


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "out of order"])
def test_text_that_tcp_splits_between_segments_is_found(tmp_path: Path, turned: bool) -> None:
    # given a message whose only telling words lie across segments' ends, one of them in three parts
    text = b"a" * 50 + b"SIP/2.0" + b"b" * 40
    cuts = [0, 52, 55, len(text)]
    parts = [replace(LINE, payload=text[a:b], seq=1000 + a) for a, b in itertools.pairwise(cuts)]
    # when they come, in order or not, then it is found
    frames = [bytes(part) for part in (parts[::-1] if turned else parts)]
    assert [leak.what for leak in leaks(tmp_path, frames)] == ["SIP"]


def test_segments_that_are_no_neighbours_are_not_joined(tmp_path: Path) -> None:
    parts = [replace(LINE, payload=b"xxSIP/", seq=1), replace(LINE, payload=b"2.0 xx", seq=8)]
    assert leaks(tmp_path, [bytes(part) for part in parts]) == []


def test_what_stands_in_two_packets_one_behind_the_other_is_no_text(tmp_path: Path) -> None:
    assert leaks(tmp_path, [ethernet(0x88B5, b"xxSIP/"), b"2.0" + bytes(60)]) == []


@given(
    texts=st.lists(st.binary(min_size=1, max_size=24), min_size=1, max_size=5, unique=True),
    between=st.lists(st.binary(max_size=40), min_size=6, max_size=6),
)
def test_texts_are_found_wherever_they_stand(texts: list[bytes], between: list[bytes]) -> None:
    data = b"".join(part for pair in zip(between, [*texts, b""], strict=False) for part in pair)
    found = set(Needles(texts).find(np.frombuffer(data, np.uint8)))
    wanted = {(at, text) for text in texts for at in range(len(data)) if data.startswith(text, at)}
    assert found == wanted
