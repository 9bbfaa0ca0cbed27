"""What rules must know of a frame: where its tag, IPv4 header and payload lie, and whose media it is."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

TAGS = (0x8100, 0x88A8)
TCP, UDP = 6, 17
RTCP_TYPES = range(192, 224)


@dataclass(frozen=True)
class Parts:
    """Positions in a frame with an IPv4 packet."""

    tag: int | None
    """Of the innermost tag's two bytes of priority and VLAN."""
    ip: int
    proto: int
    src: int
    dst: int
    sport: int
    dport: int
    payload: int
    """Where TCP's or UDP's payload begins."""
    end: int
    """Where the IPv4 packet ends."""

    def rtp_ssrc(self, frame: bytes) -> int | None:
        """SSRC of an RTP packet."""
        at = self.payload
        if self.proto != UDP or self.end - at < 12 or frame[at] >> 6 != 2 or frame[at + 1] in RTCP_TYPES:
            return None
        return int.from_bytes(frame[at + 8 : at + 12], "big")

    def rtcp_ssrc(self, frame: bytes) -> int | None:
        """SSRC of the sender of an RTCP packet."""
        at = self.payload
        if self.proto != UDP or self.end - at < 8 or frame[at] >> 6 != 2 or frame[at + 1] not in RTCP_TYPES:
            return None
        return int.from_bytes(frame[at + 4 : at + 8], "big")


@lru_cache(maxsize=1 << 20)
def parts(frame: bytes) -> Parts | None:
    """None where that is no whole IPv4 header with TCP or UDP in it."""
    at, tag = 12, None
    while len(frame) >= at + 4 and int.from_bytes(frame[at : at + 2], "big") in TAGS:
        tag, at = at + 2, at + 4
    ip = at + 2
    if len(frame) < ip + 28 or frame[at:ip] != b"\x08\0" or frame[ip + 9] not in (TCP, UDP):
        return None
    src, dst = struct.unpack_from(">II", frame, ip + 12)
    transport = ip + 4 * (frame[ip] & 15)
    sport, dport = struct.unpack_from(">HH", frame, transport)
    size = (
        8 if frame[ip + 9] == UDP else 4 * (frame[transport + 12] >> 4) if len(frame) > transport + 12 else 20
    )
    end = ip + int.from_bytes(frame[ip + 2 : ip + 4], "big")
    return Parts(tag, ip, frame[ip + 9], src, dst, sport, dport, transport + size, end)


def with_dscp(frame: bytes, dscp: int) -> bytes:
    """The frame with another DSCP and a right checksum."""
    found = parts(frame)
    assert found is not None
    header = bytearray(frame[found.ip : found.ip + 20])
    header[1] = dscp << 2 | header[1] & 3
    header[10:12] = b"\0\0"
    header[10:12] = struct.pack(">H", checksum(bytes(header)))
    return frame[: found.ip] + bytes(header) + frame[found.ip + 20 :]


def with_tag(frame: bytes, pcp: int | None = None, vlan: int | None = None) -> bytes:
    """The frame with another priority or VLAN in its tag."""
    found = parts(frame)
    assert found is not None
    assert found.tag is not None
    old = int.from_bytes(frame[found.tag : found.tag + 2], "big")
    new = (old >> 13 if pcp is None else pcp) << 13 | (old & 0xFFF if vlan is None else vlan)
    return frame[: found.tag] + struct.pack(">H", new) + frame[found.tag + 2 :]


def with_byte(frame: bytes, at: int) -> bytes:
    """The frame with all bits of one byte changed."""
    return frame[:at] + bytes([frame[at] ^ 0xFF]) + frame[at + 1 :]


def with_payload(frame: bytes, payload: bytes) -> bytes:
    """The frame with another UDP payload (without UDP checksum)."""
    found = parts(frame)
    assert found is not None
    assert found.proto == UDP
    header = bytearray(frame[: found.payload])
    struct.pack_into(">H", header, found.ip + 2, found.payload - found.ip + len(payload))
    header[found.ip + 10 : found.ip + 12] = b"\0\0"
    header[found.ip + 10 : found.ip + 12] = struct.pack(
        ">H", checksum(bytes(header[found.ip : found.ip + 20]))
    )
    struct.pack_into(">HH", header, found.payload - 4, 8 + len(payload), 0)
    return bytes(header) + payload


def checksum(header: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
