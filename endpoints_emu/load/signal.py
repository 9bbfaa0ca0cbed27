"""The signal that an agent sends, and finds again in what it receives: a sine of its own frequency, in which
the lowest bits of 40 samples of each packet say who speaks and which packet it is.

Phones and people hear a tone (`endpoints_emu.audio` finds it); an agent reads packet by packet whether it
hears whom it should, and whether audio was left out, repeated or mixed up. G.711 is carried bit by bit from
end to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from endpoints_emu.load.rtp import RATE_HZ, SAMPLES

FRAMES = 256
"""The signal repeats after so many packets (5.12 s)."""
SYNC = 0xA5
"""Eight bits that mark a packet with our signal."""
MARKED = 40
"""Samples that carry a bit each: 8 of `SYNC`, 8 of the packet's number, 24 of the speaker."""
LEVEL = 0.32
"""Of full scale: -10 dB."""
_LOWEST = int.from_bytes(b"\x01" * MARKED, "big")


def encode_ulaw(samples: NDArray[np.float64]) -> bytes:
    """Mu-law of samples between -1 and 1 (ITU-T G.711)."""
    pcm = np.clip(np.round(samples * 32767), -32635, 32635).astype(np.int32)
    sign = np.where(pcm < 0, 0x80, 0)
    value = np.abs(pcm) + 132
    exponent = np.floor(np.log2(value)).astype(np.int32) - 7
    mantissa = (value >> (exponent + 3)) & 0x0F
    return bytes((~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8))


def encode_alaw(samples: NDArray[np.float64]) -> bytes:
    """A-law of samples between -1 and 1 (ITU-T G.711)."""
    pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int32)
    sign = np.where(pcm >= 0, 0x80, 0)
    value = np.minimum(np.where(pcm >= 0, pcm, -pcm - 1), 32767)
    exponent = np.maximum(np.floor(np.log2(np.maximum(value, 1))).astype(np.int32) - 7, 0)
    mantissa = (value >> np.where(exponent > 0, exponent + 3, 4)) & 0x0F
    return bytes(((sign | (exponent << 4) | mantissa) ^ 0x55).astype(np.uint8))


def _decode_ulaw() -> NDArray[np.float64]:
    code = ~np.arange(256) & 0xFF
    value = ((((code & 0x0F) << 3) + 132) << ((code >> 4) & 7)) - 132
    return np.asarray(np.where(code & 0x80, -value, value) / 32768, dtype=np.float64)


def _decode_alaw() -> NDArray[np.float64]:
    code = np.arange(256) ^ 0x55
    exponent = (code >> 4) & 7
    value = ((code & 0x0F) << 4) + np.where(exponent > 0, 0x108, 8)
    value = value << np.maximum(exponent - 1, 0)
    return np.asarray(np.where(code & 0x80, value, -value) / 32768, dtype=np.float64)


DECODED = {0: _decode_ulaw(), 8: _decode_alaw()}
"""Sample of each byte, by payload type."""


def decode(payloads: bytes, payload_type: int) -> NDArray[np.float64]:
    """Samples between -1 and 1."""
    return np.asarray(DECODED[payload_type][np.frombuffer(payloads, dtype=np.uint8)])


@lru_cache(maxsize=256)
def _tone(hz: float, payload_type: int) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
    """Of each packet the marked samples as one number, without the speaker's bits, and the other samples."""
    time = np.arange(FRAMES * SAMPLES) / RATE_HZ
    samples = LEVEL * np.sin(2 * np.pi * hz * time)
    coded = encode_ulaw(samples) if payload_type == 0 else encode_alaw(samples)
    rows = [coded[at : at + SAMPLES] for at in range(0, len(coded), SAMPLES)]
    heads = tuple(
        (int.from_bytes(row[:MARKED], "big") & ~_LOWEST) | _spread((SYNC << 32) | (number << 24))
        for number, row in enumerate(rows)
    )
    return heads, tuple(row[MARKED:] for row in rows)


def _spread(word: int) -> int:
    """The 40 bits of a word as the lowest ones of 40 bytes."""
    return int.from_bytes(bytes(word >> at & 1 for at in range(MARKED - 1, -1, -1)), "big")


class Voice:
    """What one speaker (24 bits) sends: a tone of `hz`, marked."""

    __slots__ = ("_heads", "_speaker", "_tails")

    def __init__(self, speaker: int, hz: float, payload_type: int = 0) -> None:
        self._heads, self._tails = _tone(hz, payload_type)
        self._speaker = _spread(speaker & 0xFFFFFF)

    def payload(self, number: int) -> bytes:
        """That of a packet, whose number counts modulo `FRAMES`."""
        number &= FRAMES - 1
        return (self._heads[number] | self._speaker).to_bytes(MARKED, "big") + self._tails[number]


def read(payload: bytes) -> tuple[int, int] | None:
    """Speaker and number of a payload; None where it is not of our signal."""
    if len(payload) < MARKED:
        return None
    lowest = int.from_bytes(payload[:MARKED], "big") & _LOWEST
    word = int(lowest.to_bytes(MARKED, "big").translate(_DIGITS), 2)
    if word >> 32 != SYNC:
        return None
    return word & 0xFFFFFF, (word >> 24) & 0xFF


_DIGITS = bytes(48 + (value & 1) for value in range(256))


@dataclass(slots=True)
class Listener:
    """Reads the signal of what arrives. Packets of a speaker follow each other; a jump that is not the
    packets' own means that audio was left out or put in between."""

    speaker: int | None = None
    """Who was heard last."""
    heard: int = 0
    """Packets with our signal."""
    other: int = 0
    """Packets without it: a phone's tone, silence, noise."""
    out_of_order: int = 0
    """Packets with a number that does not fit the packets before."""
    speakers: tuple[int, ...] = ()
    """All who were heard, in order."""
    step: int = 1
    """By how much the mark's number goes on from packet to packet."""
    _number: int = 0

    def hear(self, payload: bytes, ahead: int) -> bool:
        """Take a payload whose packet is so far ahead of the one before; whether it is our signal."""
        found = read(payload)
        if found is None:
            self.other += 1
            return False
        self.heard += 1
        speaker, number = found
        if speaker != self.speaker:
            self.speaker = speaker
            self.speakers = (*self.speakers, speaker)
        elif (self._number + ahead * self.step) & 0xFF != number:
            self.out_of_order += 1
        if ahead > 0:
            self._number = number
        return True
