"""Calls over a trunk, both ways, between ends that verify each other; whoever else comes is refused."""

from __future__ import annotations

from dataclasses import dataclass

import gevent
import pytest

from endpoints_emu.load.agent import UserAgent, speaker_of
from endpoints_emu.load.call import Call
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.tls import server_tls, shown_names
from endpoints_emu.load.transport import Server
from endpoints_emu.load.trunk import Line, Trunk
from tests.unit.load.conftest import Loopback
from tests.unit.load.test_calls import wait_for

pytestmark = pytest.mark.req("D11", "C3", "C4", "C9.1")
CONTROLLER, NETWORK = "sbc.example.test", "other.example.test"
INSIDE, OUTSIDE = "+49305552700001", "+4930555301"


@dataclass
class Ends:
    """A subscriber's number at the session controller's trunk port, and the telephone network's end."""

    loopback: Loopback
    subscriber: UserAgent
    port: int
    trunk: Trunk

    def to_the_network(self, certificate: str) -> UserAgent:
        """Somebody at the session controller who calls by the trunk, and shows that certificate."""
        issued = self.loopback.certificates.issued[certificate]
        server = Server(
            *(NETWORK, "127.0.0.1", self.trunk.port, "tls", self.loopback.certificates.trusted),
            certificate=issued.certificate,
            key=issued.key,
        )
        return self.loopback.agent("alice", server)


def network(loopback: Loopback, port: int, certificate: str = "misnamed") -> Trunk:
    """The telephone network's end, with the certificate that is its own, or another."""
    issued = loopback.certificates.issued[certificate]
    server = Server(
        *(CONTROLLER, "127.0.0.1", port, "tls", loopback.certificates.trusted),
        certificate=issued.certificate,
        key=issued.key,
    )
    return Trunk(
        *(loopback.stack, server),
        domain="example.test",
        host_name=NETWORK,
        address="127.0.0.1",
        port=0,
        callers=(CONTROLLER,),
    )


@pytest.fixture
def ends(loopback: Loopback) -> Ends:
    subscriber = loopback.agent(INSIDE, loopback.server(1, "udp"), tone_hz=600)
    issued = loopback.certificates.issued["good"]
    tls = server_tls(issued.certificate, issued.key, loopback.certificates.trusted)
    port = loopback.stack.listen("127.0.0.1", 0, subscriber, tls, (NETWORK,)).local[1]
    return Ends(loopback, subscriber, port, network(loopback, port))


def hear_each_other(call: Call, taken: list[Call], caller: str, called: str) -> None:
    gevent.sleep(0.4)
    call.hang_up()
    wait_for(lambda: taken[0].ended.is_set())
    for mine, other in ((call.figures(), called), (taken[0].figures(), caller)):
        assert (mine.encrypted, mine.signal_seen, mine.authentication_failures) == (True, True, 0)
        assert mine.speakers == (speaker_of(other),)
    assert call.attempt().completed


def test_a_number_outside_calls_a_subscriber_without_registering(ends: Ends) -> None:
    # given a subscriber who notes who calls
    taken: list[Call] = []

    def take(call: Call) -> None:
        taken.append(call)
        call.answer()

    ends.subscriber.on_call = take
    # when somebody in the telephone network dials the direct number
    call = Line(ends.trunk, OUTSIDE, tone_hz=450).call(INSIDE)
    # then both hear each other, and the called side sees the caller's number
    assert OUTSIDE in taken[0].remote
    assert taken[0].target == f"sip:{OUTSIDE}@127.0.0.1:{ends.trunk.port};transport=tls"
    hear_each_other(call, taken, OUTSIDE, INSIDE)


def test_all_lines_share_one_connection_and_make_it_again_when_it_is_lost(ends: Ends) -> None:
    lines = [Line(ends.trunk, f"{OUTSIDE}{number}") for number in range(4)]
    calling = [gevent.spawn(line.call, INSIDE) for line in lines]
    gevent.joinall(calling, raise_error=True)
    held = {call.value.connection for call in calling}
    assert len(held) == 1
    # when the session controller has gone and come back
    held.pop().close()
    again = lines[0].call(INSIDE)
    assert not again.connection.closed
    again.hang_up()


def test_a_number_outside_is_called_and_sees_the_number_that_is_vouched_for(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Call] = []
    line = Line(ends.trunk, OUTSIDE, tone_hz=450)

    def take(call: Call) -> None:
        taken.append(call)
        call.ring()
        call.answer()

    line.on_call = take
    # given a session controller that names the caller as Kamailio does (RFC 3325)
    monkeypatch.setattr(
        Call,
        "fields",
        lambda self: f"Contact: {self.agent.contact}\r\nP-Asserted-Identity: <sip:{INSIDE}@x>\r\n",
    )
    call = ends.to_the_network("good").call(OUTSIDE)
    assert taken[0].asserted == f"sip:{INSIDE}@x"
    hear_each_other(call, taken, "alice", OUTSIDE)
    # and a number that nobody has is told to be so
    line.close()
    with pytest.raises(CallFailed) as caught:
        ends.to_the_network("good").call(OUTSIDE)
    assert caught.value.status == 404


def test_the_called_side_outside_hangs_up(ends: Ends) -> None:
    taken: list[Call] = []
    line = Line(ends.trunk, OUTSIDE)

    def take(call: Call) -> None:
        taken.append(call)
        call.answer()

    line.on_call = take
    call = ends.to_the_network("good").call(OUTSIDE)
    taken[0].hang_up()
    assert call.ended.wait(2)
    assert call.by_peer


@pytest.mark.parametrize("certificate", ["misnamed", "foreign"])
def test_who_is_no_session_controller_is_not_listened_to(ends: Ends, certificate: str) -> None:
    # given somebody with a certificate of another name, or of an authority that nobody trusts
    Line(ends.trunk, OUTSIDE)
    with pytest.raises(CallFailed) as caught:
        ends.to_the_network(certificate).call(OUTSIDE)
    assert caught.value.status == 0
    assert ends.trunk.listener.refused == 1


def test_the_telephone_network_with_another_s_certificate_is_refused(ends: Ends) -> None:
    other = network(ends.loopback, ends.port, "good")
    with pytest.raises(CallFailed) as caught:
        Line(other, OUTSIDE).call(INSIDE)
    assert caught.value.status == 0


def test_a_trunk_without_a_certificate_is_an_error_of_the_program(loopback: Loopback) -> None:
    with pytest.raises(ValueError, match="certificate and key"):
        Trunk(
            *(loopback.stack, loopback.server(1, "tls")),
            domain="example.test",
            host_name=NETWORK,
            address="127.0.0.1",
            port=0,
            callers=(),
        )


def test_names_that_a_certificate_shows() -> None:
    assert shown_names({"subjectAltName": (("DNS", "a.test"), ("IP Address", "198.18.0.1"))}) == {"a.test"}
    assert shown_names(None) == set()
