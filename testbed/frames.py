"""Frames as bytes: the smallest builders of Ethernet, 802.1Q, IPv4, UDP and TCP that fixtures need."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address
from typing import Any

TCP, UDP = 6, 17


@dataclass(unsafe_hash=True)
class Packet:
    """An IPv4 packet on its way; taps change MACs, tag and addresses as devices do, by `replace` or, where a
    hundred thousand do so, by `but`. Not frozen, as that makes making one take twice as long."""

    src_mac: str
    dst_mac: str
    src: str
    dst: str
    sport: int
    dport: int
    payload: bytes
    dscp: int = 0
    proto: int = UDP
    vlan: int | None = None
    pcp: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0x18
    service_vlan: int | None = None
    service_pcp: int = 0
    label: int | None = None
    tc: int = 0

    def but(self, values: dict[str, Any]) -> Packet:
        """`dataclasses.replace`, in a quarter of its time."""
        packet = object.__new__(Packet)
        packet.__dict__.update(self.__dict__)
        packet.__dict__.update(values)
        return packet

    def __bytes__(self) -> bytes:
        if self.proto == UDP:
            transport = struct.pack(">HHHH", self.sport, self.dport, 8 + len(self.payload), 0)
        else:
            ports = struct.pack(">HHII", self.sport, self.dport, self.seq, self.ack)
            transport = ports + struct.pack(">BBHHH", 5 << 4, self.flags, 64000, 0, 0)
        ip = ip_header(self.src, self.dst, self.proto, self.dscp, len(transport) + len(self.payload))
        tag = b"" if self.vlan is None else struct.pack(">HH", 0x8100, self.pcp << 13 | self.vlan)
        if self.service_vlan is not None:
            tag = struct.pack(">HH", 0x88A8, self.service_pcp << 13 | self.service_vlan) + tag
        kind = b"\x08\x00"
        if self.label is not None:
            kind = struct.pack(">HI", 0x8847, self.label << 12 | self.tc << 9 | 1 << 8 | 64)
        return mac(self.dst_mac) + mac(self.src_mac) + tag + kind + ip + transport + self.payload


@cache
def ip_header(src: str, dst: str, proto: int, dscp: int, length: int) -> bytes:
    """IPv4 header with a right checksum."""
    head = struct.pack(">BBHHHBBH", 0x45, dscp << 2, 20 + length, 0, 0x4000, 64, proto, 0)
    head += IPv4Address(src).packed + IPv4Address(dst).packed
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack(">H", ~total & 0xFFFF) + head[12:]


@cache
def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def rtp(ssrc: int, seq: int, stamp: int, payload: bytes, kind: int = 0) -> bytes:
    """An RTP packet (RFC 3550 section 5.1) without extensions."""
    return struct.pack(">BBHII", 0x80, kind, seq & 0xFFFF, stamp & 0xFFFFFFFF, ssrc) + payload


def rtcp(ssrc: int, kind: int = 200, body: bytes = bytes(20)) -> bytes:
    """An RTCP packet (RFC 3550 section 6): a sender's report without blocks, or of another type."""
    return struct.pack(">BBHI", 0x80, kind, 1 + len(body) // 4, ssrc) + body
