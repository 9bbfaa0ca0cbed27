"""RTP and RTCP (RFC 3550): headers, what a receiver counts, sender and receiver reports. Pure."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = struct.Struct("!BBHII")
SAMPLES = 160
"""20 ms of G.711."""
RATE_HZ = 8000
_REPORT = struct.Struct("!IB3sIIII")
SENDER_REPORT, RECEIVER_REPORT, DESCRIPTION, BYE = 200, 201, 202, 203
_SEVENTY_YEARS_S = 2_208_988_800
"""From 1900, where NTP begins, to 1970."""
MOST_DROPOUT = 3000
"""A jump ahead of more packets is another sender's beginning (RFC 3550 A.1)."""


class Reception:
    """What one receiver counts of one sender (RFC 3550 A.1, A.3, A.8).

    A new SSRC starts over, on top of what was counted before: calls are transferred to somebody else.
    """

    __slots__ = (
        "_before",
        "_clock_hz",
        "_expected_prior",
        "_first",
        "_highest",
        "_jitter",
        "_received_prior",
        "_since",
        "_transit",
        "received",
        "ssrc",
    )

    def __init__(self, clock_hz: int = RATE_HZ) -> None:
        self._clock_hz = clock_hz
        self.ssrc = -1
        self.received = 0
        self._before = 0
        self._since = 0
        self._first = 0
        self._highest = 0
        self._jitter = 0.0
        self._transit = 0.0
        self._expected_prior = 0
        self._received_prior = 0

    def packet(self, ssrc: int, sequence: int, timestamp: int, arrived: float) -> int:
        """Count a packet that arrived (seconds); how far it is ahead of the highest before: 1 where nothing
        is missing, 0 or less where it is late or repeated."""
        self.received += 1
        transit = arrived * self._clock_hz - timestamp
        ahead = ((sequence - self._highest + 0x8000) & 0xFFFF) - 0x8000
        if ssrc != self.ssrc or ahead > MOST_DROPOUT or ahead < -MOST_DROPOUT:
            self._before = self.expected
            self.ssrc, self._first, self._highest, self._transit = ssrc, sequence, sequence, transit
            self._since = 1
            return 1
        if ahead > 0:
            self._highest += ahead
        difference = transit - self._transit
        self._transit = transit
        self._jitter += ((difference if difference >= 0 else -difference) - self._jitter) / 16
        return ahead

    @property
    def expected(self) -> int:
        """Packets that must have been sent."""
        return self._before + (self._highest - self._first + 1 if self._since else 0)

    @property
    def lost(self) -> int:
        """Packets sent and not received (RFC 3550 A.3: repeated ones count as received)."""
        return max(self.expected - self.received, 0)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter."""
        return self._jitter * 1000 / self._clock_hz

    def block(self, last_sender_report: int, delay: int) -> bytes:
        """A report block (RFC 3550 section 6.4.1); fractions are those since the last one."""
        expected = self.expected - self._expected_prior
        received = self.received - self._received_prior
        self._expected_prior, self._received_prior = self.expected, self.received
        lost = max(expected - received, 0)
        fraction = min(lost * 256 // expected, 255) if expected else 0
        return _REPORT.pack(
            self.ssrc & 0xFFFFFFFF,
            fraction,
            min(self.lost, 0x7FFFFF).to_bytes(3, "big"),
            self._highest & 0xFFFFFFFF,
            min(int(self._jitter), 0xFFFFFFFF),
            last_sender_report,
            delay,
        )


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What the other side says of what we send."""

    ssrc: int
    fraction_lost: float
    lost: int
    jitter_ms: float
    last_sender_report: int
    delay_s: float


def ntp(at: float | None = None) -> int:
    """Wall-clock time as NTP has it, 32 bits of seconds and 32 of their fraction."""
    seconds = (time.time() if at is None else at) + _SEVENTY_YEARS_S
    return int(seconds * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def report(ssrc: int, cname: str, block: bytes, sent: tuple[int, int, int, int] | None) -> bytes:
    """A compound packet: sender report, or receiver report where nothing was sent, and the canonical name.

    `sent`: NTP time, RTP timestamp, packets, payload bytes.
    """
    count = 1 if block else 0
    if sent:
        body = struct.pack("!IQIII", ssrc, sent[0], sent[1] & 0xFFFFFFFF, sent[2], sent[3]) + block
        first = struct.pack("!BBH", 0x80 | count, SENDER_REPORT, len(body) // 4) + body
    else:
        body = struct.pack("!I", ssrc) + block
        first = struct.pack("!BBH", 0x80 | count, RECEIVER_REPORT, len(body) // 4) + body
    name = cname.encode()[:255]
    item = struct.pack("!IBB", ssrc, 1, len(name)) + name + b"\0"
    item += b"\0" * (-len(item) % 4)
    return first + struct.pack("!BBH", 0x81, DESCRIPTION, len(item) // 4) + item


def blocks_of(packet: bytes, clock_hz: int = RATE_HZ) -> tuple[int | None, list[ReportBlock]]:
    """The middle of the NTP time of a sender report, if one is there, and all report blocks of a compound
    packet. What is malformed ends the reading."""
    middle: int | None = None
    found: list[ReportBlock] = []
    for kind, count, body in _parts(packet):
        if kind == SENDER_REPORT and len(body) >= 24:
            middle = (int.from_bytes(body[4:12], "big") >> 16) & 0xFFFFFFFF
            body = body[24:]
        elif kind == RECEIVER_REPORT and len(body) >= 4:
            body = body[4:]
        else:
            continue
        for position in range(0, min(count * 24, len(body) - 23), 24):
            ssrc, fraction, lost, _, jitter, last, delay = _REPORT.unpack_from(body, position)
            signed = int.from_bytes(lost, "big", signed=True)
            found.append(
                ReportBlock(ssrc, fraction / 256, signed, jitter * 1000 / clock_hz, last, delay / 65536)
            )
    return middle, found


def _parts(packet: bytes) -> Iterator[tuple[int, int, bytes]]:
    position = 0
    while position + 4 <= len(packet) and packet[position] >> 6 == 2:
        first, kind, length = struct.unpack_from("!BBH", packet, position)
        end = position + 4 + length * 4
        if end > len(packet):
            return
        yield kind, first & 0x1F, packet[position + 4 : end]
        position = end
