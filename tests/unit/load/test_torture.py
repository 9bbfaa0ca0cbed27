"""RFC 4475: no message breaks the agent, and each gets the answer that is due."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.message import MalformedMessage, Request, Response, parse
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.transactions import Peer
from endpoints_emu.load.transport import Server
from tests.unit.load.torture import MESSAGES, Torture, sdp
from uclab.plan.schema.plan import Account

pytestmark = pytest.mark.req("D11")
ACCOUNT = Account("bob", "127.0.0.1", "secret", "bob")


class Recorder:
    """A connection that keeps what is sent."""

    reliable = False
    transport = "UDP"
    closed = False
    local = ("127.0.0.1", 5080)

    def __init__(self) -> None:
        self.users: dict[str, Any] = {}
        self.sent: list[bytes] = []

    def send(self, data: bytes, peer: Peer) -> None:
        self.sent.append(data)


def test_all_of_the_rfc_is_there() -> None:
    assert len(MESSAGES) == 49
    assert len({message.section for message in MESSAGES}) == 49


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_torture_message_is_read_or_refused(message: Torture) -> None:
    if message.parses:
        parsed = parse(message.data)
        again = parse(parsed.to_bytes())
        assert (again.fields, again.body, again.cseq) == (parsed.fields, parsed.body, parsed.cseq)
    else:
        with pytest.raises(MalformedMessage):
            parse(message.data)


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_torture_message_gets_the_answer_that_is_due(message: Torture) -> None:
    # given a stack without a user, so that a call that is in order ends with 404
    stack, connection = Stack(), Recorder()
    # when it is received
    stack.received(message.data, connection, ("192.0.2.99", 5060))
    # then it is answered, or dropped
    stack.close()
    statuses = [int(data.split(b" ", 2)[1]) for data in connection.sent]
    assert statuses == ([message.status] if message.status else [])
    if statuses and message.parses:
        request, answer = parse(message.data), parse(connection.sent[0])
        assert isinstance(request, Request)
        assert isinstance(answer, Response)
        assert answer.first("call-id") == request.first("call-id")
        assert answer.first("cseq") == request.first("cseq")
        assert len(answer.all("via")) == len(request.all("via"))


ORDERLY = tuple(
    (
        f"{method} sip:bob@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:5099;rport;branch=z9hG4bK{method}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:alice@127.0.0.1>;tag=9\r\nTo: <sip:bob@127.0.0.1>{tag}\r\n"
        f"Call-ID: c\r\nCSeq: {cseq} {method}\r\nContact: <sip:alice@127.0.0.1:5099>\r\n{rest}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    for method, cseq, tag, rest, body in (
        ("INVITE", 1, "", "Content-Type: application/sdp\r\n", sdp("127.0.0.1").replace("\n", "\r\n")),
        ("ACK", 1, ";tag=TAG", "", ""),
        ("UPDATE", 2, ";tag=TAG", "Content-Type: application/sdp\r\n", sdp("127.0.0.1")),
        ("REFER", 3, ";tag=TAG", "Refer-To: <sip:carol@127.0.0.1:1>\r\n", ""),
        ("NOTIFY", 4, ";tag=TAG", "Event: refer\r\n", "SIP/2.0 200 OK\r\n"),
        ("BYE", 5, ";tag=TAG", "", ""),
    )
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_messages_of_a_call_break_no_stack(data: st.DataObject) -> None:
    """A whole call, each message of it with up to three bytes changed, left out or put in."""
    stack, connection = Stack(), Recorder()
    agent = UserAgent(
        stack,
        ACCOUNT,
        Server("x", "127.0.0.1", 1, "udp"),
        local_address="127.0.0.1",
        encrypted=False,
        media=False,
    )
    agent.use(connection)  # type: ignore[arg-type]
    try:
        for text in ORDERLY:
            raw = bytearray(text.encode())
            for _ in range(data.draw(st.integers(0, 3))):
                position = data.draw(st.integers(0, len(text) - 1))
                raw[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
            tag = next(iter(stack.calls), "none")
            stack.received(bytes(raw).replace(b"TAG", tag.encode()), connection, ("127.0.0.1", 5099))
    finally:
        stack.close()
    assert all(sent.startswith((b"SIP/2.0 ", b"NOTIFY ", b"BYE ")) for sent in connection.sent)


def test_the_same_call_undamaged_is_answered_throughout() -> None:
    stack, connection = Stack(), Recorder()
    agent = UserAgent(
        stack,
        ACCOUNT,
        Server("x", "127.0.0.1", 1, "udp"),
        local_address="127.0.0.1",
        encrypted=False,
        media=False,
    )
    agent.use(connection)  # type: ignore[arg-type]
    for text in ORDERLY:
        tag = next(iter(stack.calls), "none")
        stack.received(text.replace("TAG", tag).encode(), connection, ("127.0.0.1", 5099))
    stack.close()
    assert [sent[8:11] for sent in connection.sent] == [b"200", b"200", b"202", b"200", b"200"]
