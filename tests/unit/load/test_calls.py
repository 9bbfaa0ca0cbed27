"""Calls from agent to agent over UDP, TCP and TLS, with SRTP heard packet by packet."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from endpoints_emu import audio
from endpoints_emu.load import sdp, signal
from endpoints_emu.load.agent import UserAgent, speaker_of
from endpoints_emu.load.call import Call
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.message import Request, parse
from endpoints_emu.load.sdp import Direction
from endpoints_emu.load.transport import Transport, Udp
from tests.unit.load.conftest import QUICK, Loopback

pytestmark = pytest.mark.req("D11")
TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp", "tls")
TALK_S = 0.6


def wait_for(condition: Callable[[], object], deadline_s: float = 5.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        gevent.sleep(0.01)


def pair(
    loopback: Loopback, transport: Transport = "tls", **options: Any
) -> tuple[UserAgent, UserAgent, list[Call]]:
    """Alice, who can reach Bob; Bob, who answers; and the calls that came in."""
    bob, server = loopback.called("bob", transport, tone_hz=600, **options)
    taken: list[Call] = []

    def take(call: Call) -> None:
        taken.append(call)
        call.ring()
        call.answer()

    bob.on_call = take
    return loopback.agent("alice", server, tone_hz=450, **options), bob, taken


@pytest.mark.req("C9.4")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_both_hear_each_other_over_srtp_and_know_whom(loopback: Loopback, transport: Transport) -> None:
    # given a call that stands
    alice, _, taken = pair(loopback, transport)
    call = alice.call("bob")
    # when they have talked, and the caller hangs up
    gevent.sleep(TALK_S)
    call.hang_up()
    wait_for(lambda: taken[0].ended.is_set())
    # then each heard the other, packet by packet, encrypted and authenticated
    for mine, other in ((call.figures(), "bob"), (taken[0].figures(), "alice")):
        assert mine.encrypted
        assert mine.sent >= TALK_S / 0.02 * 0.8
        assert mine.received >= TALK_S / 0.02 * 0.8
        assert (mine.lost, mine.authentication_failures, mine.malformed, mine.replayed) == (0, 0, 0, 0)
        assert mine.signal_seen
        assert mine.speakers == (speaker_of(other),)
        assert (mine.out_of_order, mine.other_packets) == (0, 0)
    # and the call is told by the names of RFC 6076
    attempt = call.attempt()
    assert attempt.established
    assert attempt.completed
    assert attempt.request_delay_s is not None
    assert attempt.setup_s is not None
    assert 0 < attempt.request_delay_s <= attempt.setup_s < 1
    assert attempt.duration_s == pytest.approx(TALK_S, abs=0.3)
    assert attempt.disconnect_delay_s is not None
    assert taken[0].why == "hung up by the other side"
    assert loopback.stack.calls == {}


def test_the_called_side_hangs_up(loopback: Loopback) -> None:
    alice, _, taken = pair(loopback)
    call = alice.call("bob")
    wait_for(lambda: taken[0].state == "established")
    taken[0].hang_up()
    assert call.ended.wait(2)
    assert (call.by_peer, call.attempt().completed) == (True, True)


def test_plain_media_is_heard_too_and_said_to_be_plain(loopback: Loopback) -> None:
    alice, _, taken = pair(loopback, "udp", encrypted=False)
    call = alice.call("bob")
    gevent.sleep(0.3)
    call.hang_up()
    assert (call.figures().signal_seen, call.figures().encrypted) == (True, False)
    assert taken[0].figures().signal_seen


def test_plain_offer_to_an_agent_that_encrypts_is_refused(loopback: Loopback) -> None:
    _, server = loopback.called("bob", "tcp")
    alice = loopback.agent("alice", server, encrypted=False)
    with pytest.raises(CallFailed) as caught:
        alice.call("bob")
    assert caught.value.status == 488


def test_stun_between_the_packets_is_counted_and_noise_is_malformed(loopback: Loopback) -> None:
    alice, _, taken = pair(loopback)
    call = alice.call("bob")
    wait_for(lambda: taken[0].figures().received > 2)
    media = call.media
    assert media is not None
    request = bytes.fromhex("000100002112a442") + bytes(12)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        for port in (media.port, media.port + 1):
            phone.sendto(request, (media.address, port))
            phone.sendto(b"noise", (media.address, port))
    wait_for(lambda: (call.figures().stun, call.figures().malformed) == (2, 2))
    call.hang_up()
    assert call.figures().lost == 0


def test_wrong_key_is_counted_as_failed_authentication_and_nothing_is_heard(loopback: Loopback) -> None:
    alice, _, taken = pair(loopback, "udp")
    call = alice.call("bob")
    media = taken[0].media
    assert media is not None
    # when one side protects with another key than it told
    from pylibsrtp import Policy, Session

    media._out = Session(Policy(key=bytes(30), ssrc_type=Policy.SSRC_ANY_OUTBOUND))
    before = call.figures().received
    gevent.sleep(0.3)
    call.hang_up()
    # then the other hears nothing more of it, and says why
    assert call.figures().authentication_failures >= 8
    assert call.figures().received - before <= 2
    assert taken[0].figures().signal_seen


def test_tone_of_a_phone_is_found_in_what_was_not_our_signal(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, _, taken = pair(loopback, "udp")
    call = alice.call("bob")
    media = taken[0].media
    assert media is not None
    # when the other side sends a bare tone, as a phone does
    hz = 700
    samples = audio.tone(hz, 5.12)
    coded = signal.encode_ulaw(samples)
    bare = [coded[at : at + 160] for at in range(0, len(coded), 160)]
    monkeypatch.setattr(media, "_voice", lambda number: bare[number % 256])
    gevent.sleep(0.7)
    call.hang_up()
    # then it is found in what is kept
    assert call.media is not None
    assert call.figures().other_packets >= 20
    assert call.media.heard_tone(hz).heard
    assert not call.media.heard_tone(450).heard


def test_hold_and_resume_are_seen_by_the_other_side(loopback: Loopback) -> None:
    alice, _, taken = pair(loopback)
    call = alice.call("bob")
    call.hold()
    assert taken[0].held_by_peer
    held = taken[0].figures().sent
    gevent.sleep(0.2)
    assert taken[0].figures().sent == held
    call.resume()
    assert not taken[0].held_by_peer
    gevent.sleep(0.2)
    assert taken[0].figures().sent > held
    call.hang_up()


def test_who_holds_goes_on_holding_when_the_other_side_describes_itself_again(loopback: Loopback) -> None:
    # given a call that both sides hold
    alice, _, taken = pair(loopback)
    call = alice.call("bob")
    wait_for(lambda: taken[0].state == "established")
    call.hold()
    taken[0].hold()
    assert (call.held_by_peer, taken[0].held_by_peer) == (True, True)
    # when one comes back, then the other still holds it
    taken[0].resume()
    assert (call.held_by_peer, taken[0].held_by_peer) == (False, True)
    # when the other comes back too, then both are heard
    call.resume()
    sent = (call.figures().sent, taken[0].figures().sent)
    wait_for(lambda: call.figures().sent > sent[0] and taken[0].figures().sent > sent[1])
    call.hang_up()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_blind_transfer_puts_the_other_side_through(loopback: Loopback, transport: Transport) -> None:
    # given Alice in a call with Bob, whose own server is Carol
    carol, to_carol = loopback.called("carol", transport)
    heard: list[Call] = []

    def take(call: Call) -> None:
        heard.append(call)
        call.answer()

    carol.on_call = take
    alice, bob, taken = pair(loopback, transport)
    bob.server = to_carol
    call = alice.call("bob")
    wait_for(lambda: taken[0].state == "established")
    bob_at_home, bob._connection = bob._connection, None
    # when she puts him through
    call.transfer(f"sip:carol@127.0.0.1:{to_carol.port}")
    # then she is out, and Bob talks with Carol
    assert call.state == "ended"
    new = taken[0].replaced_by
    assert new is not None
    assert new.state == "established"
    wait_for(lambda: heard[0].figures().received > 5)
    assert heard[0].figures().speakers == (speaker_of("bob"),)
    new.hang_up()
    assert bob_at_home is not None


def test_transfer_to_nobody_fails_and_the_call_stays(loopback: Loopback) -> None:
    alice, bob, _ = pair(loopback, "udp")
    call = alice.call("bob")
    _, server = loopback.called("carol", "udp")
    bob.server = server
    with pytest.raises(CallFailed) as caught:
        call.transfer(f"sip:dave@127.0.0.1:{server.port}")
    assert caught.value.status == 404
    assert call.state == "established"
    call.hang_up()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_call_not_answered_is_cancelled_in_time(loopback: Loopback, transport: Transport) -> None:
    # given somebody who lets it ring
    alice, bob, _ = pair(loopback, transport)
    rung: list[Call] = []

    def ring(call: Call) -> None:
        rung.append(call)
        call.ring()

    bob.on_call = ring
    began = time.monotonic()
    with pytest.raises(CallFailed, match=r"no answer in 0\.3 s") as caught:
        alice.call("bob", ring_s=0.3)
    # then both ends know, soon
    assert caught.value.status == 487
    assert time.monotonic() - began < 2
    wait_for(lambda: rung[0].ended.is_set())
    assert rung[0].why == "cancelled by the caller"
    assert loopback.stack.calls == {}


def test_busy_is_told_and_is_no_ineffective_call(loopback: Loopback) -> None:
    alice, bob, _ = pair(loopback)
    bob.on_call = Call.reject
    with pytest.raises(CallFailed) as caught:
        alice.call("bob")
    assert caught.value.status == 486


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_peer_that_never_answers_ends_in_bounded_time(loopback: Loopback, transport: Transport) -> None:
    silent = loopback.registrar()
    silent.silent = True
    alice = loopback.agent("alice", loopback.server(silent.serve(transport), transport))
    began = time.monotonic()
    with pytest.raises(CallFailed) as caught:
        alice.call("bob")
    assert caught.value.status == 0
    assert QUICK.timeout_s <= time.monotonic() - began < QUICK.timeout_s + 1
    assert loopback.stack.calls == {}


def test_peer_that_vanishes_does_not_hold_up_the_end(loopback: Loopback) -> None:
    alice, _, taken = pair(loopback, "tcp")
    call = alice.call("bob")
    wait_for(lambda: taken[0].state == "established")
    taken[0].connection.close()
    began = time.monotonic()
    call.hang_up()
    assert time.monotonic() - began < 1
    assert (call.state, call.attempt().disconnect_delay_s) == ("ended", None)


def test_datagrams_lost_in_both_directions_are_made_good(loopback: Loopback) -> None:
    """Every third datagram of signalling is lost, in both directions."""
    alice, bob, taken = pair(loopback, "udp")
    lossy(alice.connection())
    lossy(bob._connection)
    for _ in range(5):
        call = alice.call("bob", media=False)
        call.hang_up()
        assert call.attempt().disconnect_delay_s is not None
    wait_for(lambda: all(call.ended.is_set() for call in taken))
    assert len(taken) == 5


def lossy(held: Any) -> None:
    """Lose every third datagram that is sent."""
    assert isinstance(held, Udp)
    send, count = held.send, iter(range(10**6))
    held.send = lambda data, peer: None if next(count) % 3 == 1 else send(data, peer)  # type: ignore[method-assign]


def test_call_that_is_never_acknowledged_is_ended(loopback: Loopback) -> None:
    alice, _, taken = pair(loopback, "udp")
    held = alice.connection()
    send = held.send
    held.send = lambda data, peer: None if data.startswith(b"ACK") else send(data, peer)  # type: ignore[method-assign]
    call = alice.call("bob")
    wait_for(lambda: call.ended.is_set(), QUICK.timeout_s + 3)
    assert taken[0].why == "never acknowledged"


def test_request_within_no_call_is_told_so(loopback: Loopback) -> None:
    alice, _, _ = pair(loopback, "udp")
    call = alice.call("bob", media=False)
    call.remote = call.remote.partition(";tag=")[0] + ";tag=another"
    answer = call.ask("OPTIONS")
    assert answer is not None
    assert answer.status == 481
    call.abandon("test")


def test_every_packet_is_marked(loopback: Loopback) -> None:
    """Signalling AF31, media and RTCP EF (facts: 26 and 46)."""
    import socket

    alice, _, _ = pair(loopback)
    call = alice.call("bob")
    assert call.media is not None
    sockets = (call.connection._socket, call.media._rtp, call.media._rtcp)
    assert [held.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2 for held in sockets] == [26, 46, 46]
    call.hang_up()


def test_reports_of_both_sides_are_exchanged(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endpoints_emu.load.media.REPORT_S", 0.15)
    alice, _, taken = pair(loopback, "udp")
    call = alice.call("bob")
    wait_for(lambda: taken[0].figures().peer_lost is not None and call.figures().round_trip_ms is not None)
    wait_for(lambda: call.figures().reports_sent >= 2 and call.figures().reports_received >= 2)
    figures = call.figures()
    call.hang_up()
    assert figures.peer_lost == 0
    assert figures.round_trip_ms is not None
    assert figures.round_trip_ms < 100


def test_twenty_calls_at_once_lose_nothing(loopback: Loopback) -> None:
    alice, _, taken = pair(loopback)
    greenlets = [gevent.spawn(alice.call, "bob") for _ in range(20)]
    gevent.joinall(greenlets, timeout=20)
    calls = [greenlet.get() for greenlet in greenlets]
    wait_for(lambda: all(call.figures().received > 30 for call in (*calls, *taken)), 20)
    gevent.joinall([gevent.spawn(call.hang_up) for call in calls], timeout=20)
    wait_for(lambda: all(call.ended.is_set() for call in taken))
    figures = [call.figures() for call in (*calls, *taken)]
    assert len(figures) == 40
    assert sum(one.lost + one.authentication_failures + one.out_of_order for one in figures) == 0
    assert all(one.signal_seen for one in figures)


def test_invite_is_as_strict_servers_want_it(loopback: Loopback) -> None:
    silent = loopback.registrar()
    silent.silent = True
    alice = loopback.agent("alice", loopback.server(silent.serve("udp"), "udp"))
    with pytest.raises(CallFailed):
        alice.call("bob", ring_s=0.1)
    invite = silent.seen[0]
    assert isinstance(parse(invite.to_bytes()), Request)
    assert (invite.method, invite.uri) == ("INVITE", "sip:bob@example.test")
    for name in ("max-forwards", "contact", "allow", "content-type", "content-length"):
        assert invite.first(name)
    assert invite.first("via").startswith("SIP/2.0/UDP 127.0.0.1:")
    assert ";branch=z9hG4bK" in invite.first("via")


def test_offer_may_come_with_the_answer_and_its_answer_with_the_ack(loopback: Loopback) -> None:
    # given an INVITE without a description
    bob, _ = loopback.called("bob", "udp", encrypted=False)
    held = bob.connection()
    assert isinstance(held, Udp)
    sent: list[bytes] = []
    held.send = lambda data, peer: sent.append(data)  # type: ignore[method-assign]
    head = "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{0}\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:bob@x>{1}\r\n"
    rest = "Call-ID: c\r\nCSeq: 1 {0}\r\nContact: <sip:a@127.0.0.1:9>\r\nContent-Length: {2}\r\n\r\n{3}"
    text = "{0} sip:bob@x SIP/2.0\r\n" + head + rest
    loopback.stack.received(text.format("INVITE", "", 0, "").encode(), held, ("127.0.0.1", 9))
    # when it is answered, then with an offer
    offer = parse(sent[-1])
    assert b"m=audio" in offer.body
    [call] = loopback.stack.calls.values()
    assert isinstance(call, Call)
    assert call.figures().sent == 0
    # when the ACK brings the answer, then media flows
    answer = sdp.Description("127.0.0.1", 40010).render()
    tag = f";tag={call.tag}"
    loopback.stack.received(text.format("ACK", tag, len(answer), answer).encode(), held, ("127.0.0.1", 9))
    wait_for(lambda: call.figures().sent > 3)
    call.abandon("test")


@pytest.mark.parametrize(("direction", "speaks"), [("sendonly", "caller"), ("recvonly", "callee")])
def test_only_one_side_speaks_and_the_other_keeps_the_way_open(
    loopback: Loopback, direction: Direction, speaks: str
) -> None:
    # given a call in which only one side speaks
    alice, _, taken = pair(loopback, "udp")
    call = alice.call("bob", direction=direction)
    speaker_side = call if speaks == "caller" else taken[0]
    with gevent.Timeout(10):
        while not speaker_side.figures().received:
            gevent.sleep(0.05)
    caller, callee = call.figures(), taken[0].figures()
    call.hang_up()
    # then the other is heard of only by a packet that carries nothing
    speaker, listener = (caller, callee) if speaks == "caller" else (callee, caller)
    assert listener.signal_seen
    assert listener.sent == 0
    assert speaker.signal_packets == speaker.other_packets == speaker.lost == 0
