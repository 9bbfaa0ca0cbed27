"""Sends forged RTP to a media relay, as somebody does which is in no call: a packet to each of its ports now
and then, and many to those that answer.

Run as `python -m uclab.emulation.build.forged_media` in the namespace of an `Injection`'s node, order on
stdin.
"""

from __future__ import annotations

import json
import random
import select
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import Any

from uclab.plan.schema.codec import from_data
from uclab.plan.schema.injection import Injection

_HEADER = struct.Struct("!BBHII")
_PAYLOAD = 170
"""Bytes behind the header: 20 ms of G.711 and an authentication tag, as long as a phone's packet."""
_STEP = 160
"""Of the time stamp, from packet to packet."""
_REMEMBERED = 3
"""An answer counts for this many rounds of searching."""


class ForgedStream:
    """RTP with an SSRC of its own. The payload is chance: nobody without the key can do better."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._ssrc, self._sequence, self._time = (chance.getrandbits(bits) for bits in (32, 16, 32))

    def packet(self) -> bytes:
        """The next one: version 2, payload type 0 (RFC 3550 section 5.1)."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._time = (self._time + _STEP) & 0xFFFFFFFF
        return _HEADER.pack(0x80, 0, self._sequence, self._time, self._ssrc) + self._chance.randbytes(
            _PAYLOAD
        )


class Forger:
    """Decides which port gets a packet when; times in seconds of any one clock (pure)."""

    def __init__(self, order: Injection, now_s: float) -> None:
        low, high = order.ports
        self._ports = range(low + low % 2, high + 1, 2)
        self._every_s, self._search_s = 1 / order.packets_per_s, order.search_ms / 1000
        self._next_s = self._search_at_s = now_s
        self._answered_s: dict[int, float] = {}

    def answered(self, port: int, now_s: float) -> None:
        """Something came from that port."""
        if port in self._ports:
            self._answered_s[port] = now_s

    def due(self, now_s: float) -> list[int]:
        """Ports that get a packet now."""
        if now_s >= self._search_at_s:
            self._search_at_s = now_s + self._search_s
            return list(self._ports)
        if now_s < self._next_s:
            return []
        # What is late is not made up for: a burst would be another attack.
        self._next_s = max(self._next_s + self._every_s, now_s)
        kept_s = _REMEMBERED * self._search_s
        return [port for port, at_s in self._answered_s.items() if now_s - at_s < kept_s]

    def wait_s(self, now_s: float) -> float:
        """Until `due` has to be asked again."""
        return max(min(self._next_s, self._search_at_s) - now_s, 0.0)


def inject(order: Injection, sender: socket.socket) -> None:
    """Send until the end of the process."""
    chance = random.Random(order.source_node)
    streams: dict[int, ForgedStream] = {}
    forger = Forger(order, time.monotonic())
    while True:
        readable, _, _ = select.select([sender], [], [], forger.wait_s(time.monotonic()))
        if readable:
            with suppress(OSError):  # ICMP's word that nobody listens at some port
                _, (_, port) = sender.recvfrom(2048)
                forger.answered(port, time.monotonic())
        for port in forger.due(time.monotonic()):
            stream = streams.setdefault(port, ForgedStream(chance))
            with suppress(OSError):
                sender.sendto(stream.packet(), (order.target_address, port))


def main() -> None:
    """Entry point."""
    data: Any = json.loads(sys.stdin.buffer.read())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        inject(from_data(Injection, data), sender)


if __name__ == "__main__":
    main()
