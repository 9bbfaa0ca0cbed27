"""The figures behind the verdicts: E-model, jitter, delay and loss, keys, policy rules, each against a value
known otherwise."""

from __future__ import annotations

import base64
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from testbed.frames import Packet, rtp
from testbed.made_up_network import reference_plan
from uclab.capture.dissect import Crypto, Flow, MediaDescription, SipMessage
from uclab.capture.headers import decode
from uclab.capture.packets import Packets
from uclab.judge.checks.trust_boundary import remarked
from uclab.judge.evidence.network import PlannedNetwork, dscp_name, number
from uclab.judge.measure.emodel import G711, G711_PLAIN, Codec, mos, r_factor
from uclab.judge.measure.jitter import Jitter
from uclab.judge.measure.media import MediaFollower, MediaRows
from uclab.judge.measure.payload_entropy import PayloadEntropy
from uclab.judge.measure.srtp import Authentication, KeyRing, MediaSecrecy, SdesKey, key_ring
from uclab.judge.measure.streams import CallWindow, Stream, window_for
from uclab.judge.quality.figures import media_quality

SECOND = 1_000_000_000


@pytest.mark.req("C8")
@pytest.mark.parametrize(
    ("delay_ms", "loss_pct", "codec", "expected"),
    [
        (20, 0, G711, 4.40),
        (50, 0.5, G711, 4.34),
        (150, 1, G711, 4.23),
        (150, 1, G711_PLAIN, 3.67),
        (300, 1, G711, 3.54),
    ],
)
def test_the_e_model_gives_the_values_of_g_107(
    delay_ms: float, loss_pct: float, codec: Codec, expected: float
) -> None:
    assert mos(r_factor(delay_ms, loss_pct, codec)) == pytest.approx(expected, abs=0.005)


@pytest.mark.req("C8")
@given(delay=st.floats(0, 1000), loss=st.floats(0, 100))
def test_more_delay_or_loss_never_sounds_better(delay: float, loss: float) -> None:
    here = r_factor(delay, loss)
    assert r_factor(delay + 10, loss) < here
    assert r_factor(delay, min(loss + 1, 100)) <= here
    assert 1.0 <= mos(here) <= 4.5


@pytest.mark.parametrize(("delay", "loss", "burst"), [(-1, 0, 1), (0, 101, 1), (0, 0, 0.5)])
def test_figures_that_cannot_be_are_refused(delay: float, loss: float, burst: float) -> None:
    with pytest.raises(ValueError, match="E-model"):
        r_factor(delay, loss, burst_r=burst)


@pytest.mark.req("C8")
@settings(deadline=None)
@given(
    arrivals=st.lists(st.integers(0, 60_000_000), min_size=2, max_size=700),
    cuts=st.lists(st.integers(1, 699), max_size=3),
    start=st.integers(0, 2**32 - 1),
)
def test_jitter_is_that_of_rfc_3550_packet_by_packet(
    arrivals: list[int], cuts: list[int], start: int
) -> None:
    # given packets that left every 20 ms and took as long as drawn
    times = np.array([n * 20_000_000 + extra for n, extra in enumerate(arrivals)], np.int64)
    stamps = np.array([(start + n * 160) % 2**32 for n in range(len(arrivals))], np.uint32)

    # when they are taken in any portions
    jitter = Jitter()
    for part in np.split(np.arange(len(times)), sorted(cut for cut in cuts if cut < len(times))):
        jitter.add(times[part], stamps[part])

    # then the estimate is the one of appendix A.8
    expected = 0.0
    for before, after in itertools.pairwise(times):
        expected += (abs((after - before) / 1e6 - 20.0) - expected) / 16.0
    assert jitter.now_ms == pytest.approx(expected, rel=1e-9, abs=1e-9)


def rows(
    tap: int, sender: int, times: list[int], seqs: list[int], leg: int = 0, port: int = 30000
) -> MediaRows:
    count = len(times)
    return MediaRows(
        np.array(times, np.int64),
        np.full(count, tap, np.int32),
        np.full(count, leg, np.int8),
        np.full(count, 7, np.uint32),
        np.array(seqs, np.int32),
        np.array([s * 160 for s in seqs], np.uint32),
        np.zeros(count, np.int16),
        np.full(count, sender, np.int16),
        np.full(count, port, np.int32),
    )


def follower(answered: int = 0, end: int = 100 * SECOND) -> MediaFollower:
    window = CallWindow("c1", 0, 1, 0, answered, end)
    return MediaFollower(["desk1:eth0", "edge:wan1", "desk2:eth0"], {0: 0, 2: 1}, [window])


def _in_order(*parts: MediaRows) -> MediaRows:
    joined = MediaRows.join(parts)
    return joined.pick(np.argsort(joined.time_ns, kind="stable"))


@pytest.mark.parametrize("together", [True, False])
def test_a_packet_that_the_first_capture_holds_twice_was_sent_when_it_was_first_seen(together: bool) -> None:
    # given ten packets, the third a second time in the sender's capture, behind the next tap's
    sent = [SECOND + n * 20_000_000 for n in range(10)]
    seqs = list(range(1, 11))
    parts = [
        rows(0, 0, sent[:3], seqs[:3]),
        rows(1, -1, [t + 500 for t in sent[:3]], seqs[:3]),
        rows(0, 0, [sent[2] + 1000], [3]),
        rows(0, 0, sent[3:], seqs[3:]),
        rows(1, -1, [t + 500 for t in sent[3:]], seqs[3:]),
    ]
    media = follower()
    for batch in [_in_order(*parts)] if together else [_in_order(*parts[:2]), _in_order(*parts[2:])]:
        media.add(batch)
    # then both taps saw ten, and ten were sent
    assert [hop.packets for hop in media.hops.values()] == [10, 10]
    assert [hop.repeated for hop in media.hops.values()] == [1, 0]
    assert (media.streams[0].sent, media.unmatched) == (10, {})


@pytest.mark.req("C8")
def test_delay_loss_and_gap_of_a_stream() -> None:
    # given 200 packets of which two get lost on the way, one before and one behind the second tap
    sent = [SECOND + n * 20_000_000 for n in range(200)]
    seqs = [(65_500 + n) % 65_536 for n in range(200)]
    media = follower()
    media.add(
        MediaRows.join(
            [
                rows(0, 0, sent, seqs),
                rows(
                    1,
                    -1,
                    [t + 1_000_000 for n, t in enumerate(sent) if n != 50],
                    [s for n, s in enumerate(seqs) if n != 50],
                ),
                rows(
                    2,
                    -1,
                    [t + 30_000_000 for n, t in enumerate(sent) if n not in (50, 60)],
                    [s for n, s in enumerate(seqs) if n not in (50, 60)],
                    leg=1,
                ),
            ]
        )
    )

    # then all figures are exact
    stream = media.streams[0]
    assert (stream.sent, stream.received, stream.lost, stream.receiver) == (200, 198, 2, 1)
    assert stream.delay_sum_ms / stream.received == pytest.approx(30.0)
    assert stream.gap_max_ms == pytest.approx(40.0)
    hops = {hop.tap: (hop.packets, hop.median_us) for hop in media.hops.values()}
    assert hops == {"desk1:eth0": (200, 0.0), "edge:wan1": (199, 1000.0), "desk2:eth0": (198, 30_000.0)}


@pytest.mark.req("C8")
def test_a_direction_that_never_arrives_has_no_delay_and_no_jitter() -> None:
    # given a direction of which every packet got lost
    lost = Stream(ssrc=1, sender=2, payload_type=0, first_ns=0, window=None, sent=50)
    # when its figures are taken
    quality = media_quality(lost)
    # then loss is whole, and what cannot be known is not given as a good value
    assert quality is not None
    assert (quality.loss_pct, quality.delay_ms, quality.jitter_ms, quality.mos) == (100.0, None, None, 1.0)


@pytest.mark.req("C8")
def test_packets_outside_the_call_do_not_count() -> None:
    # given a call answered at 1 s whose way opens 40 ms later, and which ends at 3 s
    sent = [SECOND // 2 + n * 20_000_000 for n in range(200)]
    media = follower(answered=SECOND, end=3 * SECOND)
    arrived = [n for n, t in enumerate(sent) if SECOND + 40_000_000 <= t <= 3 * SECOND]
    media.add(
        MediaRows.join(
            [
                rows(0, 0, sent, list(range(200))),
                rows(2, -1, [sent[n] + 1_000_000 for n in arrived], arrived, leg=1),
            ]
        )
    )
    stream = media.streams[0]
    assert stream.early == 2
    assert stream.lost == 0


@pytest.mark.req("C8")
def test_a_way_that_opens_too_late_is_loss() -> None:
    sent = [SECOND + n * 20_000_000 for n in range(200)]
    media = follower(answered=SECOND)
    media.add(
        MediaRows.join(
            [
                rows(0, 0, sent, list(range(200))),
                rows(2, -1, [sent[n] + 1_000_000 for n in range(100, 200)], list(range(100, 200)), leg=1),
            ]
        )
    )
    assert media.streams[0].early == 50
    assert media.streams[0].lost == 50


@pytest.mark.req("C8", "D11")
@pytest.mark.parametrize(("packets", "lost"), [(2, 0), (100, 100)], ids=["hung up at once", "silent"])
def test_a_call_that_ends_before_its_way_can_have_opened_lost_nothing(packets: int, lost: int) -> None:
    # given a call of which nothing arrives, when it ends after so many packets
    media = follower(answered=SECOND)
    media.add(rows(0, 0, [SECOND + n * 20_000_000 for n in range(packets)], list(range(packets))))
    # then only what was sent after the opening second too is a loss
    assert media.streams[0].lost == lost


def test_a_repeated_packet_counts_once() -> None:
    sent = [SECOND + n * 20_000_000 for n in range(10)]
    media = follower()
    media.add(rows(0, 0, sent, list(range(10))))
    late = rows(2, -1, [t + SECOND for t in sent], list(range(10)), leg=1)
    media.add(MediaRows.join([late, late]))
    media.add(late)
    assert (media.streams[0].received, media.streams[0].duplicates) == (10, 20)


def test_long_streams_are_thinned_to_the_same_packets_at_every_tap() -> None:
    media = follower()
    for start in range(0, 30_000, 1000):
        seqs = [n % 65_536 for n in range(start, start + 1000)]
        sent = [n * 20_000_000 for n in range(start, start + 1000)]
        media.add(MediaRows.join([rows(0, 0, sent, seqs), rows(1, -1, [t + 5000 for t in sent], seqs)]))
    first, second = media.hops.values()
    assert len(first.seqs) <= 512
    assert first.seqs.tolist() == second.seqs.tolist()
    assert second.median_us == pytest.approx(5.0)


def test_two_calls_of_one_endpoint_are_told_apart_by_their_ports() -> None:
    one = CallWindow("one", 0, 1, 0, 0, SECOND, frozenset({30000}))
    two = CallWindow("two", 0, 2, 10, 10, SECOND, frozenset({40000}))
    chosen = [window_for([one, two], 0, 20, port) for port in (30000, 40000, 50000)]
    assert [window.call for window in chosen if window] == ["one", "two", "two"]
    assert window_for([one, two], 3, 20, 30000) is None


def message(src: str, dst: str, port: int, key: bytes, sport: int = 40000, dport: int = 5096) -> SipMessage:
    crypto = Crypto(1, "AES_CM_128_HMAC_SHA1_80", base64.b64encode(key).decode())
    media = MediaDescription(src, port, "RTP/SAVP", (crypto,))
    return SipMessage(
        Flow(1, 0.0, src, sport, dst, dport), "INVITE sip:x SIP/2.0", "id", "1 INVITE", "a", "b", media
    )


@pytest.mark.req("C9.4")
def test_each_side_s_key_belongs_to_what_it_sends() -> None:
    hub, phone = "198.18.10.11", "203.0.113.2"
    own, theirs = bytes(30), bytes(range(30))
    offer = message(phone, hub, 16384, own)
    answer = message(hub, phone, 30000, theirs, sport=5096, dport=40000)
    ring = key_ring([offer, answer], frozenset({number(hub)}))
    assert [key.master() for key in ring.of("up", 30000)] == [own]
    assert [key.master() for key in ring.of("down", 30000)] == [theirs]
    assert ring.of("up", 16384) == []


@pytest.mark.req("C9.4", "C6.3")
def test_between_data_centres_each_controller_s_key_belongs_to_the_other_one_s_port() -> None:
    here, there = "198.18.10.11", "198.18.11.11"
    own, theirs = bytes(30), bytes(range(30))
    offer = message(here, there, 30000, own, sport=40000, dport=5061)
    answer = message(there, here, 41000, theirs, sport=5061, dport=40000)
    # both controllers' taps show both messages
    ring = key_ring([offer, answer, offer, answer], frozenset({number(here), number(there)}))
    assert [key.master() for key in ring.of("up", 41000)] == [own]
    assert [key.master() for key in ring.of("up", 30000)] == [theirs]
    assert not ring.of("down", 30000) + ring.of("down", 41000)
    assert ring.profiles["up", 41000] == {"RTP/SAVP"}
    assert ring.call_ids == {30000: {"id"}, 41000: {"id"}}


def captured(frames: list[bytes]) -> Packets:
    """The frames as one interface's capture gives them."""
    lengths = np.array([len(frame) for frame in frames], np.int64)
    numbers = np.arange(1, len(frames) + 1)
    data = np.frombuffer(b"".join(frames), np.uint8)
    interface = np.zeros(len(frames), np.int32)
    return Packets(
        data, numbers, numbers * 20_000_000, interface, np.cumsum(lengths) - lengths, lengths, lengths
    )


@pytest.mark.req("C9.4", "C6.3")
def test_a_stream_that_passes_a_controller_s_tap_to_two_ports_is_authenticated_with_two_keys() -> None:
    keys = {30000: bytes(range(30)), 41000: bytes(range(1, 31))}
    suite = "AES_CM_128_HMAC_SHA1_80"
    ring = KeyRing(
        {("up", port): [SdesKey(suite, base64.b64encode(key).decode(), 1)] for port, key in keys.items()}
    )
    secrecy = MediaSecrecy(ring, frozenset({"fra1-sbc:eth0"}))
    frames = []
    for port, key in keys.items():
        policy = Policy(
            key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80
        )
        sender = Session(policy)
        macs, ends = ("02:00:00:00:00:01", "02:00:00:00:00:02"), ("203.0.113.2", "198.18.10.11")
        wire = (sender.protect(rtp(7, n, n * 160, bytes(160))) for n in range(20))
        frames += [bytes(Packet(*macs, *ends, 16384, port, payload)) for payload in wire]
    taken = captured(frames)
    columns = decode(taken)
    every = np.ones(len(taken), np.bool_)
    secrecy.add(taken, columns, ["fra1-sbc:eth0"], every, np.zeros(len(taken), np.int8))
    found = {one.port: (one.tried, one.authenticated) for one in secrecy.authentications.values()}
    assert found == {30000: (20, 20), 41000: (20, 20)}


@pytest.mark.req("C9.4")
@pytest.mark.parametrize("suite", ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"])
def test_the_right_key_opens_and_a_wrong_one_does_not(suite: str) -> None:
    right, wrong = bytes(range(30)), bytes(range(1, 31))
    profile = {"AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80}.get(
        suite, Policy.SRTP_PROFILE_AES128_CM_SHA1_32
    )
    sender = Session(Policy(key=right, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
    wire = [sender.protect(rtp(7, n, n * 160, bytes(160))) for n in range(20)]
    for key, opened in ((right, 20), (wrong, 0)):
        ring = KeyRing({("up", 30000): [SdesKey(suite, base64.b64encode(key).decode(), 1)]})
        found = Authentication("desk1:eth0", "up", 7, 30000)
        for index, packet in enumerate(wire):
            found.check(packet, index, ring)
        assert (found.tried, found.authenticated) == (20, opened)
        assert found.wrong_key_refused == found.wrong_key_tried == min(opened, 8)


@pytest.mark.req("C9.4")
def test_encrypted_bytes_are_told_from_voice() -> None:
    generator = np.random.default_rng(1)
    noise = PayloadEntropy(
        "t", "up", 1, counts=np.bincount(generator.integers(0, 256, 48 * 120), minlength=256)
    )
    tone = PayloadEntropy("t", "up", 1, counts=np.bincount(np.tile(np.arange(40), 144), minlength=256))
    assert (noise.readable, tone.readable) == (False, True)
    assert PayloadEntropy("t", "up", 1).chi_squared is None


@pytest.mark.req("C8")
@pytest.mark.parametrize(
    ("dst", "proto", "dport", "expected"),
    [
        ("198.18.10.12", 17, 20000, 46),
        ("198.18.10.12", 17, 9, 0),
        ("198.18.10.11", 6, 5097, 26),
        ("198.19.0.6", 17, 20000, 0),
        ("198.19.0.6", 17, 8860, 34),
    ],
)
def test_a_pc_s_packets_are_marked_by_port_only(dst: str, proto: int, dport: int, expected: int) -> None:
    assert remarked(PlannedNetwork(reference_plan("desk1")), number(dst), proto, dport) == expected


@pytest.mark.parametrize(
    ("dscp", "name"), [(46, "EF"), (26, "AF31"), (34, "AF41"), (0, "0"), (40, "CS5"), (47, "47"), (-1, "-1")]
)
def test_dscps_are_called_by_their_names(dscp: int, name: str) -> None:
    assert dscp_name(dscp) == name
