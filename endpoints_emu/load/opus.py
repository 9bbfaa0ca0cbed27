"""Opus (RFC 6716, RTP payload by RFC 7587) by libopus: tones, encoded once and sent over and over.

Constant rate, one frame a packet, mono. A lossy codec keeps no marked bits, so what is heard again is the
packet itself: an encoder of the same version makes the same frames of the same tone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np

CLOCK_HZ = 48_000
"""Of RTP timestamps, whatever is encoded (RFC 7587 section 4.1)."""
TONES_HZ = tuple(range(400, 2000, 100))
"""A speaker's tone is the nearest of these: what all agents send can be known beforehand."""
FRAMES = 64
"""Packets after which a tone repeats."""
LEVEL = 0.32
"""Of full scale: -10 dB."""
_LIBRARY = "libopus.so.0"
_VOIP, _SET_BITRATE, _SET_VBR = 2048, 4002, 4006
"""OPUS_APPLICATION_VOIP and requests of opus_defines.h."""
_LONGEST = 1500


class NoOpus(Exception):
    """The codec's library is not there."""


def encode(hz: float, kbps: int, packet_ms: int) -> tuple[bytes, ...]:
    """The packets of a tone, `kbps` x `packet_ms` / 8 bytes each. Raises `NoOpus`, or `ValueError` where the
    encoder refuses these figures."""
    library = _library()
    failed = ctypes.c_int(0)
    encoder = library.opus_encoder_create(CLOCK_HZ, 1, _VOIP, ctypes.byref(failed))
    if failed.value:
        raise ValueError(f"libopus: error {failed.value}")
    samples = CLOCK_HZ * packet_ms // 1000
    time = np.arange(FRAMES * samples) / CLOCK_HZ
    pcm = (LEVEL * 32767 * np.sin(2 * np.pi * hz * time)).astype(np.int16)
    room = ctypes.create_string_buffer(kbps * packet_ms // 8)
    packets = []
    try:
        for request, value in ((_SET_BITRATE, kbps * 1000), (_SET_VBR, 0)):
            library.opus_encoder_ctl(ctypes.c_void_p(encoder), request, ctypes.c_int32(value))
        for at in range(0, len(pcm), samples):
            part = np.ascontiguousarray(pcm[at : at + samples])
            size = library.opus_encode(
                ctypes.c_void_p(encoder), part.ctypes.data_as(ctypes.c_void_p), samples, room, len(room)
            )
            if size < 0:
                raise ValueError(f"libopus: error {size} at {kbps} kbit/s and {packet_ms} ms")
            packets.append(room.raw[:size])
    finally:
        library.opus_encoder_destroy(ctypes.c_void_p(encoder))
    return tuple(packets)


@cache
def tones(kbps: int, packet_ms: int) -> dict[int, tuple[bytes, ...]]:
    """All tones' packets."""
    return {hz: encode(hz, kbps, packet_ms) for hz in TONES_HZ}


@cache
def known(kbps: int, packet_ms: int) -> dict[bytes, int]:
    """Packet -> its tone, Hz."""
    return {packet: hz for hz, packets in tones(kbps, packet_ms).items() for packet in packets}


def voice(hz: float, kbps: int, packet_ms: int) -> Callable[[int], bytes]:
    """What a speaker with that tone sends as the packet of a number."""
    packets = tones(kbps, packet_ms)[min(TONES_HZ, key=lambda tone: abs(tone - hz))]
    return lambda number: packets[number % FRAMES]


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise NoOpus(f"{_LIBRARY} cannot be loaded ({error}); `uclab setup` installs it") from None
    library.opus_encoder_create.restype = ctypes.c_void_p
    return library
