"""The known signal is found in what was received, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoints_emu import audio

SECONDS = 2.0


def companded(samples: audio.Samples) -> audio.Samples:
    """Through G.711 mu-law (8 bits, mu = 255, as a continuous formula) and back."""
    mu = 255.0
    packed = np.sign(samples) * np.log1p(mu * np.abs(samples)) / np.log1p(mu)
    coarse = np.round(packed * 127) / 127
    return np.asarray(np.sign(coarse) * (np.power(1 + mu, np.abs(coarse)) - 1) / mu)


def noise(seconds: float, level: float, seed: int = 1) -> audio.Samples:
    return np.random.default_rng(seed).normal(0, level, round(seconds * audio.RATE_HZ))


def losing(samples: audio.Samples, share: float, seed: int) -> audio.Samples:
    """With that share of its 20 ms packets replaced by silence."""
    result = samples.copy()
    lost = np.random.default_rng(seed).random(len(samples) // 160) < share
    for packet in np.flatnonzero(lost):
        result[packet * 160 : (packet + 1) * 160] = 0
    return result


@settings(max_examples=60, deadline=None)
@given(hz=st.integers(300, 3300), level_db=st.floats(-30, -1))
def test_a_tone_is_heard_at_its_frequency_and_level(hz: int, level_db: float) -> None:
    heard = audio.hear(companded(audio.tone(hz, SECONDS, level_db=level_db)), hz)
    assert heard.heard
    assert heard.share is not None
    assert heard.share > 0.9
    assert heard.level_db == pytest.approx(level_db, abs=0.7)


@settings(max_examples=60, deadline=None)
@given(sent=st.integers(300, 3300), apart=st.integers(30, 1500))
def test_another_tone_is_not_taken_for_the_expected_one(sent: int, apart: int) -> None:
    assert not audio.hear(audio.tone(sent, SECONDS), sent + apart).heard


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), level=st.floats(0.001, 0.3))
def test_noise_is_no_tone(seed: int, level: float) -> None:
    heard = audio.hear(noise(SECONDS, level, seed), 1000)
    assert (heard.heard, heard.share) == (False, 0.0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0, 0.05))
def test_a_few_lost_packets_do_not_silence_a_tone(seed: int, share: float) -> None:
    assert audio.hear(losing(audio.tone(440, 5), share, seed), 440).heard


def test_most_packets_lost_is_not_heard() -> None:
    heard = audio.hear(losing(audio.tone(440, 5), 0.7, seed=3), 440)
    assert not heard.heard
    assert heard.share is not None
    assert heard.share < 0.5


def test_silence_is_not_heard() -> None:
    heard = audio.hear(np.zeros(audio.RATE_HZ), 440)
    assert (heard.heard, heard.share, heard.level_db) == (False, 0.0, -120.0)


def test_idle_noise_of_the_codec_is_not_heard() -> None:
    assert not audio.hear(audio.tone(440, 2, level_db=-60), 440).heard


def test_a_tone_below_a_louder_one_is_not_heard() -> None:
    both = audio.tone(440, SECONDS, level_db=-20) + audio.tone(1000, SECONDS, level_db=-10)
    assert not audio.hear(both, 440).heard
    assert audio.hear(both, 1000).heard


def test_a_tone_that_stops_half_way_is_heard_for_half_of_the_call() -> None:
    samples = np.concatenate([audio.tone(440, 1.0), np.zeros(audio.RATE_HZ)])
    assert audio.hear(samples, 440).share == pytest.approx(0.5, abs=0.06)


def test_what_was_not_recorded_counts_as_silence() -> None:
    assert audio.hear(audio.tone(440, 1.0), 440, seconds=4.0).share == pytest.approx(0.25, abs=0.03)


def test_two_tones_are_told_apart() -> None:
    samples = np.concatenate([audio.tone(440, 1.5), audio.tone(1000, 0.5)])
    found = audio.dominant_tones(samples)
    assert [tone.hz for tone in found] == [440, 1000]
    assert found[0].share == pytest.approx(0.75, abs=0.06)


def test_noise_has_no_dominant_tone() -> None:
    assert audio.dominant_tones(noise(SECONDS, 0.1)) == ()


def test_a_tone_begins_and_ends_without_a_click() -> None:
    samples = audio.tone(1000, 0.5)
    assert abs(samples[0]) < 1e-3
    assert abs(samples[-1]) < 1e-3
    assert np.max(np.abs(np.diff(samples))) <= 0.32 * 2 * np.pi * 1000 / audio.RATE_HZ


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    samples = audio.tone(440, 0.5)
    audio.write_wav(tmp_path / "a.wav", samples)
    read, rate_hz = audio.read_wav(tmp_path / "a.wav")
    assert rate_hz == audio.RATE_HZ
    assert np.allclose(read, samples, atol=1e-4)


def test_a_recording_whose_writer_died_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write_wav(path, audio.tone(440, 1))
    content = bytearray(path.read_bytes())
    content[40:44] = bytes(4)  # the length of the data, which is written last
    path.write_bytes(content)
    assert audio.listen(path, 440).heard


def test_an_empty_recording_is_silence(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    heard = audio.listen(tmp_path / "a.wav", 440)
    assert (heard.heard, heard.share) == (False, 0.0)


def test_without_a_recording_nothing_was_measured(tmp_path: Path) -> None:
    heard = audio.listen(tmp_path / "a.wav", 440)
    assert (heard.heard, heard.level_db, heard.share) == (False, None, None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"hello, world", "not a WAV file"), (b"RIFF....WAVEfmt \x10\0\0\0\3\0\1\0" + bytes(12), "format 3")],
)
def test_a_file_that_is_no_recording_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=problem) as error:
        audio.read_wav(path)
    assert str(path) in str(error.value)


def test_recordings_are_joined_in_order(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "1.wav", audio.tone(440, 0.5))
    audio.write_wav(tmp_path / "2.wav", audio.tone(1000, 1.0))
    audio.join([tmp_path / "1.wav", tmp_path / "2.wav"], tmp_path / "all.wav")
    samples, _ = audio.read_wav(tmp_path / "all.wav")
    assert len(samples) == 1.5 * audio.RATE_HZ
    assert [tone.hz for tone in audio.dominant_tones(samples)] == [1000, 440]


def test_nothing_joined_is_an_empty_recording(tmp_path: Path) -> None:
    audio.join([], tmp_path / "all.wav")
    assert audio.listen(tmp_path / "all.wav", 440).share == 0.0
