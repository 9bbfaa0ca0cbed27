"""The known signal: make it, and find it again in what was received.

Every endpoint sends a sine of its own frequency (`Endpoint.tone_hz`) and records what it hears. A call's
audio counts as arrived when the far end's tone dominates the recording. Pure functions on samples; only
`read_wav`, `write_wav` and `listen` touch files.
"""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uclab.records.run import HeardAudio

Samples = NDArray[np.float64]
"""Mono audio, full scale is 1.0."""

RATE_HZ = 8000
"""Sampling rate of G.711 (ITU-T G.711)."""
WINDOW_S = 0.1
"""A tone is looked for in windows of this length; it resolves frequencies 10 Hz apart."""
DOMINANT_SHARE = 0.5
"""A tone is there when at least this share of a window's energy is at its frequency."""
FAINTEST_DB = -45.0
"""Below this level, relative to a full-scale sine, a tone counts as silence (idle noise of G.711 is below -60
dB)."""
HEARD_SHARE = 0.5
"""A signal was heard when its tone was there in at least this share of the windows."""
_EDGE_S = 0.005
"""Rise and fall of a tone, so that it begins and ends without a click."""


@dataclass(frozen=True)
class Tone:
    """A tone found in a recording."""

    hz: float
    level_db: float
    """Relative to a full-scale sine."""
    share: float
    """Share (0..1) of windows that it dominates."""


def tone(hz: float, seconds: float, *, level_db: float = -10.0, rate_hz: int = RATE_HZ) -> Samples:
    """A sine with click-free ends; `level_db` is relative to a full-scale sine."""
    count = round(seconds * rate_hz)
    time = np.arange(count) / rate_hz
    samples = 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * time)
    edge = min(round(_EDGE_S * rate_hz), count // 2)
    if edge:
        ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(edge) / edge)
        samples[:edge] *= ramp
        samples[-edge:] *= ramp[::-1]
    return np.asarray(samples, dtype=np.float64)


def write_wav(path: Path, samples: Samples, *, rate_hz: int = RATE_HZ) -> None:
    """Write mono 16-bit PCM; what exceeds full scale is clipped."""
    pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm.tobytes())


def read_wav(path: Path) -> tuple[Samples, int]:
    """Samples (first channel) and rate of a 16-bit PCM file, also of one whose writer died before it wrote
    the lengths.

    Raises `ValueError` that names the file where it is not such a file. An empty file is no samples: the
    recorder was opened and nothing was received.
    """
    content = path.read_bytes()
    if not content:
        return np.zeros(0), RATE_HZ
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError(f"{path}: not a WAV file")
    position, channels, rate_hz = 12, 1, RATE_HZ
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        position += 8
        if name == b"fmt ":
            encoding, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", content, position)
            if encoding != 1 or bits != 16 or not channels:
                raise ValueError(f"{path}: WAV of format {encoding} with {bits} bits; wanted 16-bit PCM")
        elif name == b"data":
            end = position + size if size and position + size <= len(content) else len(content)
            body = content[position:end]
            pcm = np.frombuffer(body[: len(body) // (2 * channels) * 2 * channels], dtype="<i2")
            return pcm[::channels].astype(np.float64) / 32768, rate_hz
        position += size + size % 2
    return np.zeros(0), rate_hz


def join(parts: Iterable[Path], path: Path) -> None:
    """Write the recordings `parts`, one after the other, to `path`."""
    pieces = [read_wav(part) for part in parts]
    rate_hz = pieces[0][1] if pieces else RATE_HZ
    write_wav(path, np.concatenate([samples for samples, _ in pieces] or [np.zeros(0)]), rate_hz=rate_hz)


def _windows(samples: Samples, rate_hz: int) -> Samples:
    """Whole windows of `WINDOW_S`, one a row."""
    size = round(WINDOW_S * rate_hz)
    count = len(samples) // size
    return samples[: count * size].reshape(count, size)


def _amplitude(windows: Samples, hz: float, rate_hz: int) -> Samples:
    """Amplitude of the sine of `hz` in each window (the Goertzel sum, G. Goertzel 1958)."""
    size = windows.shape[1]
    angle = 2 * np.pi * hz * np.arange(size) / rate_hz
    return np.asarray(np.hypot(windows @ np.cos(angle), windows @ np.sin(angle)) * 2 / size)


def _present(windows: Samples, hz: float, rate_hz: int) -> tuple[NDArray[np.bool_], Samples]:
    """For each window: does the tone dominate it, and with which amplitude."""
    amplitude = _amplitude(windows, hz, rate_hz)
    energy = np.mean(windows**2, axis=1)
    present = (amplitude**2 / 2 >= DOMINANT_SHARE * energy) & (amplitude >= 10 ** (FAINTEST_DB / 20))
    return present, amplitude


def hear(
    samples: Samples, expected_hz: int, *, rate_hz: int = RATE_HZ, seconds: float | None = None
) -> HeardAudio:
    """Whether the tone `expected_hz` arrived.

    `seconds` is how long the audio should have lasted, where that is longer than what was recorded: what is
    missing counts as silence.
    """
    windows = _windows(samples, rate_hz)
    expected = max(len(windows), int(seconds / WINDOW_S) if seconds else 0)
    if not expected:
        return HeardAudio(expected_hz=expected_hz, heard=False, level_db=None, share=0.0)
    present, amplitude = _present(windows, expected_hz, rate_hz)
    share = float(np.count_nonzero(present)) / expected
    level = float(np.median(amplitude[present])) if present.any() else float(np.max(amplitude, initial=0.0))
    level_db = 20 * float(np.log10(max(level, 1e-6)))
    return HeardAudio(
        expected_hz=expected_hz,
        heard=share >= HEARD_SHARE,
        level_db=round(level_db, 1),
        share=round(share, 4),
    )


def listen(path: Path, expected_hz: int, *, seconds: float | None = None) -> HeardAudio:
    """`hear` for a recording; without a file nothing was heard and nothing measured."""
    if not path.exists():
        return HeardAudio(expected_hz=expected_hz, heard=False)
    samples, rate_hz = read_wav(path)
    return hear(samples, expected_hz, rate_hz=rate_hz, seconds=seconds)


def dominant_tones(samples: Samples, *, rate_hz: int = RATE_HZ, at_least: float = 0.02) -> tuple[Tone, ...]:
    """The tones that dominate at least the share `at_least` of the windows, most frequent first: who was
    heard instead?

    Frequencies come from the spectrum of each window, to 10 Hz.
    """
    windows = _windows(samples, rate_hz)
    if not len(windows):
        return ()
    spectrum = np.abs(np.fft.rfft(windows * np.hanning(windows.shape[1]), axis=1))
    bins, counts = np.unique(np.argmax(spectrum, axis=1), return_counts=True)
    found = []
    for index in bins[np.argsort(-counts)]:
        hz = float(index) / WINDOW_S
        present, amplitude = _present(windows, hz, rate_hz)
        share = float(np.count_nonzero(present)) / len(windows)
        if hz and share >= at_least:
            found.append(
                Tone(hz, round(20 * float(np.log10(np.median(amplitude[present]))), 1), round(share, 4))
            )
    return tuple(sorted(found, key=lambda found_tone: -found_tone.share))
