"""What one call takes, from payload to wire: the textbook's values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uclab.model.bandwidth import (
    LAYER_2_BYTES,
    TUNNEL_BYTES,
    MediaStream,
    media_stream,
    rtcp_kbps,
    signalling_kbps,
)
from uclab.model.load import load_topology
from uclab.model.traffic import CallTraffic, SiteTraffic

pytestmark = pytest.mark.req("Q2")


def g711(tag_bytes: int) -> MediaStream:
    return MediaStream("G711", payload_bytes=160, packet_ms=20, tag_bytes=tag_bytes)


def test_g711_over_plain_rtp_takes_80_kbps() -> None:
    assert g711(tag_bytes=0).media_kbps("ip") == 80


@pytest.mark.parametrize(
    ("layer", "kbps"), [("ip", 84), ("line", 89.6), ("ethernet", 91.2), ("tagged", 92.8), ("wire", 100.8)]
)
@pytest.mark.parametrize("codec", ["G711", "G722"])
def test_g711_and_g722_over_srtp_at_each_layer(codec: str, layer: str, kbps: float) -> None:
    stream = media_stream(CallTraffic.model_validate({"codec": codec}))
    assert stream.media_kbps(layer) == pytest.approx(kbps)  # type: ignore[arg-type]


@pytest.mark.parametrize(("opus_kbps", "kbps"), [(24, 44), (28, 48), (32, 52)])
def test_opus_over_srtp(opus_kbps: int, kbps: float) -> None:
    assert media_stream(CallTraffic(codec="Opus", opus_kbps=opus_kbps)).media_kbps("ip") == kbps


@pytest.mark.parametrize(
    ("suite", "kbps"),
    [
        ("AES_CM_128_HMAC_SHA1_80", 84),
        ("AES_CM_128_HMAC_SHA1_32", 81.6),
        ("AEAD_AES_128_GCM", 86.4),
        ("AEAD_AES_256_GCM", 86.4),
    ],
)
def test_srtp_tag_lengthens_each_packet(suite: str, kbps: float) -> None:
    stream = media_stream(CallTraffic.model_validate({"srtp_suite": suite}))
    assert stream.media_kbps("ip") == pytest.approx(kbps)


def test_rtcp_is_a_report_every_five_seconds() -> None:
    # 126 bytes over IP, as baresip sends it
    assert rtcp_kbps("ip") == pytest.approx(126 * 8 / 5000)
    assert g711(10).kbps("line") == pytest.approx(89.6 + 140 * 8 / 5000)


def test_signalling_is_registrations_and_busy_hour_together() -> None:
    traffic = CallTraffic(calls_per_hour=9, call_bytes=4000, registration_bytes=5000)
    assert signalling_kbps(traffic, 2000, spread_s=40) == pytest.approx(2000 * (1.0 + 0.08))


def test_a_tunnel_puts_66_bytes_around_every_packet() -> None:
    # given G.711 over an overlay, whose frames were 224 bytes inside and 290 outside in captures
    stream = media_stream(CallTraffic(), TUNNEL_BYTES)
    # then every layer has that more, also for RTCP and for signalling of 400 bytes a packet
    assert stream.media_kbps("line") == pytest.approx(290 * 8 / 20)
    assert media_stream(CallTraffic()).media_kbps("line") == pytest.approx(224 * 8 / 20)
    assert stream.kbps("line") - stream.media_kbps("line") == pytest.approx((140 + 66) * 8 / 5000)
    plain, inside = (signalling_kbps(CallTraffic(), 3, 4, around) for around in (0, TUNNEL_BYTES))
    assert inside == pytest.approx(plain * 466 / 400)


def test_phones_come_back_as_fast_as_their_policy_has_it() -> None:
    # given a policy by which phones ask every 4 s whether their connection stands, and wait 8 s at most
    policy = load_topology("small-office").policy
    assert (policy.registration.keepalive_s, policy.registration.retry_max_s) == (4, 8)
    # then all are back within the shorter, unless the policy says otherwise
    assert policy.registration_spread_s == 4
    patient = policy.registration.model_copy(update={"keepalive_s": 110})
    assert policy.model_copy(update={"registration": patient}).registration_spread_s == 8
    said = CallTraffic(registration_spread_s=60)
    assert policy.model_copy(update={"traffic": said}).registration_spread_s == 60


def test_site_overrides_only_what_it_says() -> None:
    general = CallTraffic(codec="Opus", simultaneous_pct=30)
    assert SiteTraffic().over(general) == general
    assert SiteTraffic(simultaneous_pct=50).over(general) == CallTraffic(codec="Opus", simultaneous_pct=50)


@given(opus=st.integers(6, 510), packet_ms=st.sampled_from([10, 20, 30, 40, 60]))
def test_every_layer_takes_more_and_longer_packets_take_less(opus: int, packet_ms: int) -> None:
    traffic = CallTraffic.model_validate({"codec": "Opus", "opus_kbps": opus, "packet_ms": packet_ms})
    rates = [media_stream(traffic).media_kbps(layer) for layer in LAYER_2_BYTES]
    assert rates == sorted(set(rates))
    assert rates[0] > opus
    longer = media_stream(traffic.model_copy(update={"packet_ms": packet_ms * 2}))
    assert longer.media_kbps("wire") < rates[-1]
