"""Codecs that load agents speak: G.711 with a signal in its lowest bits, and Opus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from endpoints_emu.load import opus, signal
from endpoints_emu.load.rtp import RATE_HZ
from uclab.plan.load.record import OPUS_PAYLOAD, PoolCodec

TICK_MS = 20
"""The pacer's: packets are sent every so often, or every second or third time."""
NAMES = {0: "PCMU/8000", 8: "PCMA/8000", OPUS_PAYLOAD: "opus/48000/2"}
"""How SDP names payload types (RFC 3551, RFC 7587 section 7)."""


class Listens(Protocol):
    """What looks for agents' signals in what arrives."""

    heard: int
    other: int
    out_of_order: int
    speakers: tuple[int, ...]

    def hear(self, payload: bytes, ahead: int) -> bool:
        """Take a payload whose packet is so far ahead of the one before; whether it is an agent's."""


@dataclass(frozen=True)
class Codec(PoolCodec):
    """What an agent offers, and sends every `packet_ms` (20, 40 or 60)."""

    @property
    def payloads(self) -> tuple[int, ...]:
        """RTP payload types, the preferred one first."""
        return (0, 8) if self.name == "G711" else (OPUS_PAYLOAD,)

    @property
    def clock_hz(self) -> int:
        """Of RTP timestamps."""
        return RATE_HZ if self.name == "G711" else opus.CLOCK_HZ

    @property
    def step(self) -> int:
        """Timestamp units a packet."""
        return self.clock_hz * self.packet_ms // 1000

    @property
    def ticks(self) -> int:
        """Turns of the pacer a packet."""
        return self.packet_ms // TICK_MS

    @property
    def payload_bytes(self) -> int:
        """Length of a payload."""
        return (64 if self.name == "G711" else self.opus_kbps) * self.packet_ms // 8

    def voice(self, speaker: int, hz: float, payload_type: int) -> Callable[[int], bytes]:
        """What a speaker sends as the packet of a number."""
        if self.name == "Opus":
            return opus.voice(hz, self.opus_kbps, self.packet_ms)
        payload = signal.Voice(speaker, hz, payload_type).payload
        if self.ticks == 1:
            return payload
        parts = range(self.ticks)
        return lambda number: b"".join(payload(number * self.ticks + part) for part in parts)

    def listener(self) -> Listens:
        """For what arrives."""
        if self.name == "Opus":
            return _OpusListener(opus.known(self.opus_kbps, self.packet_ms))
        return signal.Listener(step=self.ticks)


G711 = Codec()


class _OpusListener:
    """Knows every packet that an agent may send; not which agent, nor whether one was left out."""

    def __init__(self, known: dict[bytes, int]) -> None:
        self._known = known
        self.heard = self.other = self.out_of_order = 0
        self.speakers: tuple[int, ...] = ()

    def hear(self, payload: bytes, ahead: int) -> bool:
        """Whether an agent's."""
        ours = payload in self._known
        self.heard += ours
        self.other += not ours
        return ours
