"""The pure parts: timers, descriptions, RTP's counters, the signal, and measures by RFC 6076."""

from __future__ import annotations

import gc
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoints_emu import audio
from endpoints_emu.load import measures, process, rtp, sdp, signal
from endpoints_emu.load.measures import RegistrationAttempt, SessionAttempt
from endpoints_emu.load.timing_wheel import TICK_S, Wheel

pytestmark = pytest.mark.req("D11")
KEY = bytes(range(30))
OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/SAVP 8 0 101\r\n"
    b"a=rtcp:4005\r\na=rtpmap:8 PCMA/8000\r\na=crypto:3 AES_256_CM_HMAC_SHA1_80 inline:zzzz\r\n"
    b"a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^20\r\n"
    b"a=sendonly\r\n"
    b"m=video 4002 RTP/SAVP 96\r\nc=IN IP4 192.0.2.8\r\na=inactive\r\n"
)


class Bell:
    """A timed thing that remembers when it was looked at."""

    def __init__(self, every_s: float | None = None) -> None:
        self.slot = -1
        self.every_s = every_s
        self.rung: list[float] = []

    def on_time(self, now: float) -> float | None:
        self.rung.append(now)
        return None if self.every_s is None else now + self.every_s


@settings(max_examples=100, deadline=None)
@given(times=st.lists(st.floats(0, 40), max_size=20), step=st.floats(0.001, 7))
def test_wheel_looks_at_all_in_time_and_never_before(times: list[float], step: float) -> None:
    wheel, now = Wheel(100.0), 100.0
    bells = [(100.0 + time, Bell()) for time in times]
    for when, bell in bells:
        wheel.at(when, bell)
    while now < 145:
        now += step
        wheel.turn(now)
    for when, bell in bells:
        assert len(bell.rung) == 1
        assert when <= bell.rung[0] + 1e-9
        assert bell.rung[0] <= when + step + 2 * TICK_S
    assert len(wheel) == 0


def test_what_is_forgotten_is_not_looked_at_and_what_comes_again_is() -> None:
    wheel, once, often = Wheel(0.0), Bell(), Bell(every_s=1.0)
    wheel.at(1.0, once)
    wheel.at(1.0, often)
    wheel.forget(once)
    for now in np.arange(0, 5.5, 0.1):
        wheel.turn(float(now))
    assert once.rung == []
    assert 4 <= len(often.rung) <= 5


def test_description_is_read_as_it_was_written() -> None:
    own = sdp.Description("192.0.2.1", 5000, key=KEY, direction="sendonly")
    assert sdp.parse(own.render().encode()) == own
    assert sdp.parse(sdp.Description("192.0.2.1", 5000).render().encode()).key is None


def test_description_of_another_is_read_for_its_audio_alone() -> None:
    offer = sdp.parse(OFFER)
    assert (offer.address, offer.port, offer.payloads) == ("192.0.2.7", 4000, (8, 0))
    assert (offer.direction, offer.key, offer.tag, offer.control_port) == ("sendonly", KEY, 7, 4005)
    answer = sdp.Description("192.0.2.1", 5000, key=KEY).answering(offer)
    assert (answer.payloads, answer.direction, answer.tag) == ((8,), "recvonly", 7)


@pytest.mark.parametrize(
    ("own", "offered", "answer"),
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendrecv", "sendonly", "recvonly"),
        ("sendrecv", "recvonly", "sendonly"),
        ("sendrecv", "inactive", "inactive"),
        ("sendonly", "sendrecv", "sendonly"),
        ("sendonly", "sendonly", "inactive"),
        ("sendonly", "recvonly", "sendonly"),
        ("sendonly", "inactive", "inactive"),
    ],
)
def test_answer_sends_and_receives_what_both_sides_want(
    own: sdp.Direction, offered: sdp.Direction, answer: str
) -> None:
    offer = sdp.Description("192.0.2.2", 4000, key=KEY, direction=offered)
    assert sdp.Description("192.0.2.1", 5000, key=KEY, direction=own).answering(offer).direction == answer


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xff",
        b"v=0\r\n",
        OFFER.replace(b"AES_CM_128", b"AES_CM_129"),
        OFFER.replace(b"AAEC", b"A!EC"),
        OFFER.replace(b"AAECAwQF", b""),
        OFFER.replace(b"4000", b"70000"),
        OFFER.replace(b"RTP/SAVP 8", b"UDP/TLS/RTP/SAVPF 8"),
        OFFER.replace(b"192.0.2.7", b"phone.example"),
    ],
)
def test_description_without_what_is_needed_is_refused(broken: bytes) -> None:
    with pytest.raises(sdp.WrongDescription):
        sdp.parse(broken)


def test_answer_with_nothing_in_common_is_refused() -> None:
    own = sdp.Description("192.0.2.1", 5000, key=KEY)
    for offer in (sdp.Description("192.0.2.2", 1, key=None), sdp.Description("192.0.2.2", 1, (), key=KEY)):
        with pytest.raises(sdp.WrongDescription):
            own.answering(offer)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200))
def test_no_description_breaks_anything(data: bytes) -> None:
    try:
        sdp.parse(b"v=0\r\n" + data)
    except sdp.WrongDescription:
        return


def test_reception_counts_loss_disorder_and_a_new_sender() -> None:
    reception = rtp.Reception()
    # given packets around the end of the numbers, 3 missing, two in the wrong order
    numbers = [65533, 65534, 0, 65535, 1, 2, 6, 7]
    ahead = [reception.packet(1, number, n * 160, n * 0.02) for n, number in enumerate(numbers)]
    assert ahead == [1, 1, 2, -1, 1, 1, 4, 1]
    assert (reception.received, reception.expected, reception.lost) == (8, 11, 3)
    # when another sender follows
    reception.packet(2, 40000, 5, 0.2)
    reception.packet(2, 40002, 325, 0.24)
    assert (reception.received, reception.expected, reception.lost) == (10, 14, 4)


def test_jitter_is_that_of_rfc_3550() -> None:
    """Packets that come alternately 0 and 8 ms late: the difference is 8 ms each time."""
    reception = rtp.Reception()
    for number in range(400):
        reception.packet(1, number, number * 160, number * 0.02 + (number % 2) * 0.008)
    assert reception.jitter_ms == pytest.approx(8.0, abs=0.05)


def test_reports_are_read_as_they_were_written() -> None:
    reception = rtp.Reception()
    for number in (0, 1, 2, 5):
        reception.packet(77, number, number * 160, number * 0.02)
    packet = rtp.report(5, "me", reception.block(0x01020304, 65536), (rtp.ntp(0.5), 800, 10, 1600))
    middle, blocks = rtp.blocks_of(packet)
    assert middle == (rtp.ntp(0.5) >> 16) & 0xFFFFFFFF
    assert [(block.ssrc, block.lost, block.last_sender_report, block.delay_s) for block in blocks] == [
        (77, 2, 0x01020304, 1.0)
    ]
    assert blocks[0].fraction_lost == pytest.approx(2 / 6, abs=0.01)
    assert rtp.blocks_of(rtp.report(5, "me", b"", None)) == (None, [])
    assert len(packet) % 4 == 0


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=120), kind=st.sampled_from([200, 201, 202]))
def test_no_report_breaks_anything(data: bytes, kind: int) -> None:
    rtp.blocks_of(struct.pack("!BBH", 0x9F, kind, len(data) // 4) + data)
    rtp.blocks_of(data)


@pytest.mark.parametrize("payload_type", [0, 8])
def test_signal_is_a_tone_to_people_and_says_who_speaks_to_agents(payload_type: int) -> None:
    voice = signal.Voice(0xABCDEF, 450, payload_type)
    frames = [voice.payload(number) for number in range(256)]
    assert [signal.read(frame) for frame in frames] == [(0xABCDEF, number) for number in range(256)]
    heard = audio.hear(signal.decode(b"".join(frames), payload_type), 450)
    assert heard.heard
    assert heard.share == 1.0
    assert not audio.hear(signal.decode(b"".join(frames), payload_type), 500).heard


@pytest.mark.parametrize(("payload_type", "silence"), [(0, b"\xff"), (8, b"\xd5")])
def test_companding_is_that_of_g_711(payload_type: int, silence: bytes) -> None:
    encode = signal.encode_ulaw if payload_type == 0 else signal.encode_alaw
    samples = np.linspace(-0.98, 0.98, 5001)
    error = np.abs(signal.decode(encode(samples), payload_type) - samples)
    assert np.max(error / np.maximum(np.abs(samples), 0.02)) < 0.04
    assert encode(np.zeros(1)) == silence


def test_what_is_no_signal_is_not_taken_for_one() -> None:
    assert signal.read(b"\xff" * 160) is None
    assert signal.read(b"") is None
    noise = np.random.default_rng(3).integers(0, 256, (2000, 160), dtype=np.uint8)
    assert sum(signal.read(bytes(row)) is not None for row in noise) < 40


def test_left_out_repeated_and_foreign_audio_is_seen() -> None:
    mine = [signal.Voice(1, 450).payload(number) for number in range(256)]
    other = signal.Voice(2, 500).payload(0)
    listener = signal.Listener()
    for number in range(10):
        listener.hear(mine[number], 1)
    listener.hear(mine[12], 3)  # two packets lost on the way: no disorder
    assert (listener.heard, listener.out_of_order, listener.speakers) == (11, 0, (1,))
    listener.hear(mine[12], 1)  # the same audio again, as a new packet
    listener.hear(mine[20], 1)  # audio left out, though no packet is missing
    assert listener.out_of_order == 2
    listener.hear(other, 1)
    assert listener.speakers == (1, 2)


def test_prepared_process_is_not_stopped_by_the_collector() -> None:
    thresholds = gc.get_threshold()
    try:
        process.prepare()
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold() == (process.YOUNG, process.MIDDLE, process.OLD)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def test_measures_are_those_of_rfc_6076() -> None:
    registrations = [RegistrationAttempt(status, 0.1, 0.2) for status in (200, 200, 403, 0, 302, 401)]
    assert measures.ineffective_registrations_pct(registrations) == pytest.approx(100 * 2 / 6)
    sessions = [SessionAttempt(200, 0.1, 1.0, 30.0, 0.1, completed=True), SessionAttempt(200, 0.1, 1.0, 3.0)]
    sessions += [SessionAttempt(status, 0.1) for status in (486, 480, 503, 302)] + [SessionAttempt(0, None)]
    assert measures.establishment_ratio_pct(sessions) == pytest.approx(100 * 2 / 6)
    assert measures.establishment_effectiveness_pct(sessions) == pytest.approx(100 * 4 / 6)
    assert measures.ineffective_sessions_pct(sessions) == pytest.approx(100 * 2 / 7)
    assert measures.completion_ratio_pct(sessions) == pytest.approx(100 / 7)
    assert measures.establishment_ratio_pct([]) is None
