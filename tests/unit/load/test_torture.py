"""RFC 4475: no message breaks the agent, and each gets the answer that is due."""

from __future__ import annotations

from typing import Any

import pytest

from endpoints_emu.load.message import MalformedMessage, Request, Response, parse
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.transactions import Peer
from tests.unit.load.torture import MESSAGES, Torture

pytestmark = pytest.mark.req("D11")


class Recorder:
    """A connection that keeps what is sent."""

    reliable = False
    transport = "UDP"

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
