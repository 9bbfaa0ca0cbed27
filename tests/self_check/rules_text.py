"""Rules about readable text: whatever carries it, at one tap."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from testbed.frames import ip_header
from tests.self_check.blocks import Captured
from tests.self_check.evidence import CleanRun, Copy
from tests.self_check.frames import parts
from tests.self_check.rule import Change, rule
from tests.unit.judge.encapsulations import UNREAD, ethernet, ipv4, ipv6, tagged, udp
from uclab.judge.evidence.network import mac_text, text

TEXTS = {
    "SIP": b"REGISTER sip:ucaas.test SIP/2.0\r\nVia: SIP/2.0/UDP 10.30.110.11:5060;branch=z9hG4bK77\r\n\r\n",
    "an SDES key": b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n",
    "SDP": b"v=0\r\nm=audio 20000 RTP/SAVP 0\r\nc=IN IP4 10.30.110.11\r\n",
    "a digest response": b'Authorization: Digest username="201", realm="ucaas.test"\r\n',
}
FOUND = frozenset({"privacy.readable"})
TAGS = (b"\x81\x00", b"\x88\xa8", b"\x91\x00")
NEAR, FAR = "198.18.10.20", "203.0.113.2"


def packet(text: bytes, protocol: int = 17) -> bytes:
    """An IPv4 packet with the text behind a UDP or TCP header, or as ICMP's payload."""
    heads = {
        17: struct.pack(">HHHH", 9999, 9999, 8 + len(text), 0),
        6: struct.pack(">HHIIBBHHH", 40000, 80, 1, 1, 5 << 4, 0x18, 64000, 0, 0),
        1: b"\x08\0" + bytes(6),
    }
    body = heads[protocol] + text
    return ip_header(NEAR, FAR, protocol, 0, len(body)) + body


CARRIERS: dict[str, Callable[[bytes], list[bytes]]] = {
    "IPv4, UDP": lambda text: [ethernet(0x0800, packet(text))],
    "IPv4, TCP": lambda text: [ethernet(0x0800, packet(text, 6))],
    "ICMP": lambda text: [ethernet(0x0800, packet(text, 1))],
    "two TCP segments": lambda text: _split(text),
    "IPv6": lambda text: [ipv6(17, udp(9999, text))],
    "QinQ": lambda text: [tagged(0x88A8, 0x8100)(packet(text))],
    "0x9100": lambda text: [tagged(0x9100)(packet(text))],
    "LLDP": lambda text: [ethernet(0x88CC, bytes(20) + text)],
    "ARP": lambda text: [ethernet(0x0806, b"\0\1\x08\0\6\4\0\1" + bytes(20) + text)],
    "OSPF": lambda text: [ipv4(89, bytes(24) + text)],
    **{
        name: lambda text, put=put: [put(packet(text))]  # type: ignore[misc]
        for name, (put, _) in UNREAD.items()
        if name not in ("IPv6", "fragment")
    },
}


def _split(text: bytes) -> list[bytes]:
    """In the middle of what is looked for."""
    first = (
        next(text.index(word) for word in (b"SIP/2.0", b"a=crypto:", b"m=audio", b"Digest u") if word in text)
        + 4
    )
    whole = packet(text, 6)
    head, body = whole[20:40], whole[40:]
    out = []
    for begin, end in ((0, first), (first, len(body))):
        tcp = head[:4] + struct.pack(">I", 1 + begin) + head[8:] + body[begin:end]
        out.append(ethernet(0x0800, ip_header(NEAR, FAR, 6, 0, len(tcp)) + tcp))
    return out


@rule("readable text", "fault")
def readable(clean: CleanRun) -> Iterator[Change]:
    """One SIP message, SDP, SDES key, digest response or password in clear at one tap, in any
    encapsulation: from whom the frame says it is. A frame that no other tap saw was put into a VLAN that it
    does not belong to by its sender or by the device that is tapped."""
    account = next(e.account for e in clean.run.plan.endpoints)
    texts = {**TEXTS, "a password": b"login " + account.password.encode() + b"\r\n"}
    taps = [tap.label for tap in clean.run.plan.taps if _like(clean, tap.label) is not None]
    for number, (carrier, frames) in enumerate(CARRIERS.items()):
        for offset, (what, words) in enumerate(texts.items()):
            if what == "a password" and carrier == "two TCP segments":
                continue
            tap = taps[(number * len(texts) + offset) * 7 % len(taps)]
            seen = _like(clean, tap)
            assert seen is not None
            made = [_sent_as(seen.frame, frame) for frame in frames(words)]

            def apply(copy: Copy, tap: str = tap, at: int = seen.time_ns, made: list[bytes] = made) -> None:
                copy.add(tap, [(at + 1000 * index, frame) for index, frame in enumerate(made)])

            place = f"{what} in {carrier} at {tap}"
            culprits = _senders(clean, seen.frame)
            if any(_vlan(frame) not in (None, _vlan(seen.frame)) for frame in made):
                culprits |= {clean.network.device(tap)}
            yield Change("readable text", "fault", place, apply, FOUND, culprits)


def _like(clean: CleanRun, tap: str) -> Captured | None:
    """A packet in the middle of what a tap saw, whose sender the readable text is to have."""
    seen = [packet for packet in clean.packets_at(tap) if parts(packet.frame) is not None]
    return seen[len(seen) // 2] if seen else None


def _sent_as(seen: bytes, made: bytes) -> bytes:
    """The frame as the sender of another would send it: the same MAC addresses, tags and IPv4 addresses."""
    found = parts(seen)
    assert found is not None
    body = made[12:]
    addresses = {IPv4Address(NEAR).packed: found.src, IPv4Address(FAR).packed: found.dst}
    body = re.sub(
        b"|".join(map(re.escape, addresses)), lambda at: addresses[at.group()].to_bytes(4, "big"), body
    )
    return seen[: found.ip - 2] + body


def _vlan(frame: bytes) -> int | None:
    """Of its outermost tag (IEEE 802.1Q); None of an untagged frame."""
    return struct.unpack(">H", frame[14:16])[0] & 0xFFF if frame[12:14] in TAGS else None


def _senders(clean: CleanRun, seen: bytes) -> frozenset[str]:
    """Whom a frame names as its sender, by MAC or IPv4 address."""
    found = parts(seen)
    assert found is not None
    mac, network = int.from_bytes(seen[6:12], "big"), clean.network
    address = network.node_of_address.get(found.src, text(found.src))
    return frozenset({network.node_of_mac.get(mac, mac_text(mac)), address})
