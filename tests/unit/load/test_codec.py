"""Codecs of load agents: lengths as capacity counts them, and signals that are found again."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints_emu import audio
from endpoints_emu.load import opus, sdp, signal
from endpoints_emu.load.codec import G711, Codec
from uclab.model.bandwidth import media_stream
from uclab.model.traffic import CallTraffic
from uclab.plan.load.record import OPUS_PAYLOAD, PACKET_MS

pytestmark = [pytest.mark.req("D11"), pytest.mark.req("C8")]


@pytest.mark.parametrize("packet_ms", PACKET_MS)
@pytest.mark.parametrize("name", ["G711", "Opus"])
def test_payloads_are_as_long_as_capacity_counts_them(name: str, packet_ms: int) -> None:
    traffic = CallTraffic.model_validate({"codec": name, "packet_ms": packet_ms, "opus_kbps": 32})
    codec = Codec(name, packet_ms, 32)  # type: ignore[arg-type]
    voice = codec.voice(7, 500.0, codec.payloads[0])
    lengths = {len(voice(number)) for number in range(300)}
    assert lengths == {codec.payload_bytes} == {media_stream(traffic).payload_bytes}


@pytest.mark.parametrize("packet_ms", PACKET_MS)
@given(first=st.integers(0, 65535), missing=st.integers(0, 9))
def test_a_gap_in_g711_is_no_disorder_and_a_repetition_is(packet_ms: int, first: int, missing: int) -> None:
    # given a speaker, when packets get lost on the way
    codec = Codec("G711", packet_ms)
    voice, listener = codec.voice(7, 500.0, 0), codec.listener()
    listener.hear(voice(first), 1)
    listener.hear(voice(first + 1 + missing), 1 + missing)
    # then what arrives still follows what was before
    assert (listener.heard, listener.out_of_order, listener.speakers) == (2, 0, (7,))
    # but audio that is played twice does not
    listener.hear(voice(first + 1 + missing), 1)
    assert listener.out_of_order == 1


def test_opus_is_known_again_and_noise_is_not() -> None:
    codec = Codec("Opus", 20, 24)
    voice, listener = codec.voice(7, 517.0, OPUS_PAYLOAD), codec.listener()
    for number in range(10):
        assert listener.hear(voice(number), 1)
    assert not listener.hear(bytes(codec.payload_bytes), 1)
    assert (listener.heard, listener.other) == (10, 1)


def test_opus_frames_decode_to_their_tone() -> None:
    # given packets of a tone, when libopus decodes them
    library = ctypes.CDLL("libopus.so.0")
    library.opus_decoder_create.restype = ctypes.c_void_p
    failed = ctypes.c_int(0)
    decoder = ctypes.c_void_p(library.opus_decoder_create(8000, 1, ctypes.byref(failed)))
    samples: list[int] = []
    for packet in opus.encode(600, 32, 20):
        room = (ctypes.c_int16 * 960)()
        count = library.opus_decode(decoder, packet, len(packet), room, 960, 0)
        samples += room[:count]
    library.opus_decoder_destroy(decoder)
    # then it is that tone
    heard = audio.hear(np.array(samples[1600:9600]) / 32768, 600)
    assert heard.heard, heard


def test_what_the_encoder_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match="libopus"):
        opus.encode(600, 32, 25)


def test_descriptions_name_codec_and_packet_time() -> None:
    codec = Codec("Opus", 60)
    own = sdp.Description("192.0.2.1", 4000, codec.payloads, key=bytes(30), packet_ms=60)
    text = own.render()
    assert f"a=rtpmap:{OPUS_PAYLOAD} opus/48000/2\r\n" in text
    assert "a=ptime:60\r\n" in text
    assert sdp.parse(text.encode()).payloads == (OPUS_PAYLOAD,)


def test_a_dynamic_number_without_its_name_is_nobodys_codec() -> None:
    text = sdp.Description("192.0.2.1", 4000, (OPUS_PAYLOAD,)).render().replace("opus/48000/2", "speex/8000")
    offer = sdp.parse(text.encode())
    assert offer.payloads == ()
    with pytest.raises(sdp.WrongDescription, match="no codec in common"):
        sdp.Description("192.0.2.2", 4000, G711.payloads).answering(offer)


def test_g711_of_20_ms_is_the_marked_signal_itself() -> None:
    assert G711.voice(7, 500.0, 0)(3) == signal.Voice(7, 500.0, 0).payload(3)
