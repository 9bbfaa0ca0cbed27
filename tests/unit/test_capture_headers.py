"""Header columns against frames that are built field by field, and against whatever bytes come."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.frames import TCP, UDP, Packet, rtp
from uclab.capture.headers import Headers, decode
from uclab.capture.packets import Packets
from uclab.capture.pcapng import PcapngReader
from uclab.capture.writer import PcapngWriter

VOICE = Packet(
    "02:00:00:00:00:0a", "02:00:00:00:00:0b", "10.10.110.11", "198.18.10.12", 16384, 20100,
    rtp(0x12345678, 4711, 160, bytes(160)), 46,
)  # fmt: skip


def columns_of(tmp_path: Path, *frames: bytes) -> tuple[Packets, Headers]:
    path = tmp_path / "x.pcapng"
    with PcapngWriter(path, ["a"]) as writer:
        for frame in frames:
            writer.write(0, 0, frame)
    batch = next(iter(PcapngReader(path)))
    return batch, decode(batch)


@pytest.mark.req("D5", "Q1.2")
def test_voice_with_and_without_a_tag(tmp_path: Path) -> None:
    frames = [bytes(VOICE), bytes(replace(VOICE, vlan=110, pcp=5))]
    batch, columns = columns_of(tmp_path, *frames)
    assert columns.vlan.tolist() == [-1, 110]
    assert columns.pcp.tolist() == [-1, 5]
    assert columns.dscp.tolist() == [46, 46]
    assert columns.proto.tolist() == [UDP, UDP]
    assert columns.src.tolist() == [0x0A0A6E0B] * 2
    assert columns.sport.tolist() == [16384] * 2
    assert columns.dport.tolist() == [20100] * 2
    assert columns.src_mac.tolist() == [0x02000000000A] * 2
    assert columns.rtp.tolist() == [True, True]
    assert columns.ssrc.tolist() == [0x12345678] * 2
    assert columns.seq.tolist() == [4711] * 2
    assert columns.rtp_time.tolist() == [160] * 2
    assert columns.payload_type.tolist() == [0, 0]
    for row in range(2):
        start = int(columns.payload[row])
        assert batch.data[start : start + int(columns.payload_len[row])].tobytes() == VOICE.payload


def test_double_tags_show_both_vlans(tmp_path: Path) -> None:
    inner = bytes(replace(VOICE, vlan=110, pcp=5))
    frame = inner[:12] + struct.pack(">HH", 0x88A8, 3 << 13 | 900) + inner[12:]
    _, columns = columns_of(tmp_path, frame)
    assert (columns.service_vlan[0], columns.service_pcp[0]) == (900, 3)
    assert (columns.vlan[0], columns.pcp[0], columns.inner_vlan[0]) == (110, 5, -1)
    assert columns.ssrc[0] == 0x12345678
    stacked = inner[:12] + struct.pack(">HH", 0x8100, 3 << 13 | 900) + inner[12:]
    alone = bytes(VOICE)[:12] + struct.pack(">HH", 0x88A8, 3 << 13 | 900) + bytes(VOICE)[12:]
    _, columns = columns_of(tmp_path, stacked, alone)
    assert (columns.vlan.tolist(), columns.inner_vlan.tolist()) == ([900, -1], [110, -1])
    assert columns.service_vlan.tolist() == [-1, 900]
    assert columns.ssrc.tolist() == [0x12345678] * 2


def labelled(frame: bytes, *entries: int) -> bytes:
    """The frame with label stack entries behind its MAC addresses."""
    stack = b"".join(struct.pack(">I", entry) for entry in entries)
    return frame[:12] + b"\x88\x47" + stack + frame[14:]


@pytest.mark.req("D5", "Q1.4", "W3")
def test_voice_is_found_behind_a_label(tmp_path: Path) -> None:
    bottom, other = 101 << 12 | 5 << 9 | 1 << 8 | 64, 77 << 12 | 6 << 9 | 64
    request = bytes(6) + bytes(6) + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + bytes(20)
    frames = [bytes(VOICE), labelled(bytes(VOICE), bottom), labelled(request, bottom)]
    batch, columns = columns_of(tmp_path, *frames, labelled(bytes(VOICE), other, bottom))
    assert columns.label.tolist() == [-1, 101, 101, 77]
    assert columns.tc.tolist() == [-1, 5, 5, 6]
    # a frame behind one label is read on; what is no IPv4, or lies deeper, is not
    assert columns.ethertype.tolist() == [0x0800, 0x0800, 0x8847, 0x8847]
    assert columns.ssrc.tolist() == [0x12345678, 0x12345678, 0, 0]
    assert columns.dscp.tolist() == [46, 46, -1, -1]
    start = int(columns.payload[1])
    assert batch.data[start : start + int(columns.payload_len[1])].tobytes() == VOICE.payload


def test_tcp_with_options(tmp_path: Path) -> None:
    plain = bytes(replace(VOICE, proto=TCP, seq=77, flags=0x12, payload=b"hello"))
    options = bytearray(plain[:54] + bytes(8) + plain[54:])
    options[46] = 7 << 4
    options[16:18] = struct.pack(">H", len(options) - 14)
    _, columns = columns_of(tmp_path, plain, bytes(options))
    assert columns.tcp_seq.tolist() == [77, 77]
    assert columns.tcp_flags.tolist() == [0x12, 0x12]
    assert columns.payload_len.tolist() == [5, 5]
    assert not columns.rtp.any()


def test_ip_options_move_the_transport_header(tmp_path: Path) -> None:
    frame = bytearray(bytes(VOICE))
    frame[14] = 0x46
    frame[16:18] = struct.pack(">H", len(frame) - 14 + 4)
    _, columns = columns_of(tmp_path, bytes(frame[:34]) + bytes(4) + bytes(frame[34:]))
    assert (columns.sport[0], columns.ssrc[0]) == (16384, 0x12345678)


def test_later_fragments_have_no_ports(tmp_path: Path) -> None:
    frame = bytearray(bytes(VOICE))
    frame[20:22] = struct.pack(">H", 185)
    _, columns = columns_of(tmp_path, bytes(frame))
    assert (columns.dscp[0], columns.proto[0], columns.sport[0], columns.payload_len[0]) == (46, -1, -1, 0)


def test_rtcp_and_other_versions_are_not_rtp(tmp_path: Path) -> None:
    report = b"\x80\xc8" + bytes(26)
    stun = b"\x00\x01" + bytes(26)
    _, columns = columns_of(
        tmp_path, bytes(replace(VOICE, payload=report)), bytes(replace(VOICE, payload=stun))
    )
    assert not columns.rtp.any()


def test_ethernet_padding_is_not_payload(tmp_path: Path) -> None:
    short = replace(VOICE, payload=b"abc")
    _, columns = columns_of(tmp_path, bytes(short) + bytes(20))
    assert columns.payload_len[0] == 3


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frames=st.lists(
        st.one_of(st.binary(max_size=80), st.integers(0, 210).map(lambda n: bytes(VOICE)[:n])), min_size=1
    )
)
def test_any_bytes_decode_without_reaching_beyond_the_packet(tmp_path: Path, frames: list[bytes]) -> None:
    batch, columns = columns_of(tmp_path, *frames)
    inside = columns.payload + columns.payload_len <= batch.offset + batch.caplen
    assert np.all(inside | (columns.payload_len == 0))
    assert np.all((columns.dscp >= -1) & (columns.dscp < 64))
    assert not np.any(columns.rtp & (columns.payload_len < 12))
