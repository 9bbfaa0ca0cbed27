"""The columnar reader: what was written comes back, whatever is damaged is named, and nothing else is
raised."""

from __future__ import annotations

import contextlib
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uclab.capture.packets import MalformedCapture
from uclab.capture.pcapng import EPB, IDB, ISB, SHB, SPB, PcapngReader
from uclab.capture.writer import PcapngWriter

NO_FIXTURE_RESET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

packets = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2**62), st.binary(min_size=0, max_size=300)), max_size=30
)


def read(path: Path, chunk_bytes: int = 4096) -> tuple[PcapngReader, list[tuple[int, int, int, bytes]]]:
    """(number, interface, time, bytes) of each packet."""
    reader = PcapngReader(path, chunk_bytes)
    found = []
    for batch in reader:
        for row in range(len(batch)):
            number, interface, time_ns = batch.number[row], batch.interface[row], batch.time_ns[row]
            found.append((int(number), int(interface), int(time_ns), batch.packet(row)))
    return reader, found


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    length = len(body) + 12
    return struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", length)


def section(order: str = "<") -> bytes:
    return block(SHB, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(name: bytes, resolution: int, order: str = "<") -> bytes:
    options = struct.pack(order + "HH", 2, len(name)) + name + bytes(-len(name) % 4)
    options += struct.pack(order + "HHBxxxHH", 9, 1, resolution, 0, 0)
    return block(IDB, struct.pack(order + "HHI", 1, 0, 65535) + options, order)


def packet(index: int, ticks: int, data: bytes, order: str = "<") -> bytes:
    head = struct.pack(order + "IIIII", index, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(EPB, head + data + bytes(-len(data) % 4), order)


@pytest.mark.req("D5")
@NO_FIXTURE_RESET
@given(packets=packets, chunk=st.sampled_from([64, 300, 4096]))
def test_what_was_written_is_read_back_in_any_chunk_size(
    tmp_path: Path, packets: list[tuple[int, int, bytes]], chunk: int
) -> None:
    path = tmp_path / "x.pcapng"
    with PcapngWriter(path, ["acc1:1", "acc1:2", "fw:wan"]) as writer:
        for which, time_ns, data in packets:
            writer.write(which, time_ns, data)
        writer.statistics([0, 7, 0])
    reader, found = read(path, chunk)
    assert found == [(n, which, at, data) for n, (which, at, data) in enumerate(packets, start=1)]
    assert [i.name for i in reader.interfaces] == ["acc1:1", "acc1:2", "fw:wan"]
    assert [i.dropped for i in reader.interfaces] == [0, 7, 0]
    assert not reader.truncated


@NO_FIXTURE_RESET
@given(cut=st.integers(29, 400))
def test_a_file_cut_off_anywhere_gives_the_packets_before_the_cut(tmp_path: Path, cut: int) -> None:
    blocks = [section(), interface(b"a", 9), *(packet(0, n, bytes([n]) * 40) for n in range(4))]
    whole = b"".join(blocks)
    path = tmp_path / "x.pcapng"
    path.write_bytes(whole[:cut])
    reader, found = read(path)
    assert [data[0] for _, _, _, data in found] == list(range(len(found)))
    ends = itertools.accumulate(len(part) for part in blocks)
    assert reader.truncated == (min(cut, len(whole)) not in ends)


@NO_FIXTURE_RESET
@given(position=st.integers(0, 351), value=st.integers(0, 255))
def test_a_damaged_byte_is_either_harmless_or_named(tmp_path: Path, position: int, value: int) -> None:
    whole = bytearray(section() + interface(b"a", 9) + b"".join(packet(0, n, bytes(40)) for n in range(4)))
    whole[position % len(whole)] = value
    path = tmp_path / "x.pcapng"
    path.write_bytes(whole)
    with contextlib.suppress(MalformedCapture):  # and nothing else
        read(path)


@NO_FIXTURE_RESET
@given(data=st.binary(max_size=500))
def test_bytes_that_are_no_capture_are_refused_by_name(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(data)
    with pytest.raises(MalformedCapture, match=r"x\.pcapng: at byte 0: "):
        read(path)


@pytest.mark.parametrize(
    ("resolution", "ticks", "nanoseconds"),
    [
        (6, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
        (12, 5_000_000_001_999, 5_000_000_001),
        (0x80 | 20, (7 << 20) | (1 << 19), 7_500_000_000),
        (0x80 | 40, (7 << 40) | (1 << 39), 7_500_000_000),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_clocks_of_any_resolution_and_byte_order(
    tmp_path: Path, resolution: int, ticks: int, nanoseconds: int, order: str
) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(section(order) + interface(b"a", resolution, order) + packet(0, ticks, b"abc", order))
    assert read(path)[1] == [(1, 0, nanoseconds, b"abc")]


def test_sections_of_different_byte_order_follow_each_other(tmp_path: Path) -> None:
    parts = [
        section(o) + interface(name, 9, o) + packet(0, 5, name, o)
        for o, name in (("<", b"one"), (">", b"two"))
    ]
    path = tmp_path / "x.pcapng"
    path.write_bytes(b"".join(parts))
    reader, found = read(path)
    assert found == [(1, 0, 5, b"one"), (2, 1, 5, b"two")]
    assert [i.name for i in reader.interfaces] == ["one", "two"]


def test_simple_packets_have_no_time_and_the_first_interface(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    simple = block(SPB, struct.pack("<I", 3) + b"abc\0")
    path.write_bytes(section() + interface(b"a", 9) + packet(0, 9, b"xyz") + simple)
    assert read(path)[1] == [(1, 0, 9, b"xyz"), (2, 0, 0, b"abc")]


def test_a_block_larger_than_the_chunk_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(section() + interface(b"a", 9) + packet(0, 9, bytes(50_000)))
    assert len(read(path, chunk_bytes=1000)[1][0][3]) == 50_000


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (struct.pack("<II", 99, 13) + bytes(5), "block length 13"),
        (struct.pack("<III", 99, 16, 0) + struct.pack("<I", 20), "two lengths differ"),
        (packet(3, 0, b""), "unknown interface 3"),
        (block(EPB, struct.pack("<IIIII", 0, 0, 0, 99, 99) + b"abcd"), "longer than its block"),
        (block(ISB, bytes(4)), "statistics too short"),
        (block(IDB, bytes(4)), "description too short"),
        (block(IDB, struct.pack("<HHIHH", 1, 0, 0, 2, 999)), "runs over its block"),
        (block(SHB, struct.pack("<IHHq", 0xDEADBEEF, 1, 0, -1)), "byte-order magic"),
    ],
)
def test_each_kind_of_damage_has_its_words(tmp_path: Path, tail: bytes, reason: str) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(section() + interface(b"a", 9) + tail)
    with pytest.raises(MalformedCapture, match=reason):
        read(path)


def test_batches_stay_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with PcapngWriter(path, ["a"]) as writer:
        for number in range(3000):
            writer.write(0, number, bytes(200))
    sizes = [len(batch.data) for batch in PcapngReader(path, 16384)]
    assert max(sizes) < 2 * 16384 + 1000
    assert np.sum([len(batch) for batch in PcapngReader(path, 16384)]) == 3000
