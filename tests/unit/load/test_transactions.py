"""Transactions by the clock of RFC 3261 section 17, told to them: nothing waits here."""

from __future__ import annotations

import pytest

from endpoints_emu.load.message import Response
from endpoints_emu.load.request import Outgoing
from endpoints_emu.load.timing_wheel import Wheel
from endpoints_emu.load.transactions import ClientTransaction, Peer, ServerTransaction, Timing

pytestmark = pytest.mark.req("D11")
STEP_S = 0.05


class Line:
    """A connection that notes when what was sent."""

    transport = "UDP"

    def __init__(self, *, reliable: bool = False) -> None:
        self.reliable = reliable
        self.now = 0.0
        self.sent: list[tuple[float, bytes]] = []

    def send(self, data: bytes, peer: Peer) -> None:
        self.sent.append((self.now, data))

    def times(self, first: bytes) -> list[float]:
        """When messages that begin so were sent, to a tenth of a second."""
        return [round(now, 1) for now, data in self.sent if data.startswith(first)]


class Clock:
    """Turns the wheel, step by step."""

    def __init__(self, line: Line) -> None:
        self.line, self.wheel, self.now = line, Wheel(0.0), 0.0

    def run(self, until_s: float) -> None:
        while self.now < until_s:
            self.now = round(self.now + STEP_S, 3)
            self.line.now = self.now
            self.wheel.turn(self.now)


def begin(line: Line, method: str) -> tuple[Clock, ClientTransaction, list[Response | None], list[object]]:
    clock = Clock(line)
    answers: list[Response | None] = []
    forgotten: list[object] = []
    request = Outgoing(method, "sip:b@x", "SIP/2.0/UDP a", "<sip:a@x>;tag=1", "<sip:b@x>", "id", 1)
    transaction = ClientTransaction(
        clock.wheel, Timing(), line, None, request, request.render(), 0.0, answers.append, forgotten.append
    )
    return clock, transaction, answers, forgotten


def near(found: list[float], expected: list[float]) -> bool:
    """The same times, each at most two ticks late."""
    pairs = zip(found, expected, strict=False)
    return len(found) == len(expected) and all(want <= seen <= want + 0.15 for seen, want in pairs)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("INVITE", [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]),
        ("REGISTER", [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]),
    ],
)
def test_unanswered_request_is_repeated_over_udp_and_given_up_after_32_s(
    method: str, expected: list[float]
) -> None:
    line = Line()
    clock, _, answers, forgotten = begin(line, method)
    clock.run(31.9)
    assert near(line.times(method.encode()), expected), line.times(method.encode())
    assert answers == []
    clock.run(33.0)
    assert answers == [None]
    assert len(forgotten) == 1
    assert len(clock.wheel) == 0


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_over_a_connection_nothing_is_repeated(method: str) -> None:
    line = Line(reliable=True)
    clock, _, answers, _ = begin(line, method)
    clock.run(33.0)
    assert len(line.sent) == 1
    assert answers == [None]


def test_invite_that_rings_is_repeated_no_more() -> None:
    line = Line()
    clock, transaction, answers, _ = begin(line, "INVITE")
    clock.run(0.7)
    transaction.received(Response(status=180), clock.now)
    clock.run(60.0)
    assert near(line.times(b"INVITE"), [0, 0.5])
    assert [answer.status for answer in answers if answer] == [180]


def test_refused_invite_is_acknowledged_each_time_it_is_refused() -> None:
    line = Line()
    clock, transaction, answers, forgotten = begin(line, "INVITE")
    refused = Response({"to": ["<sip:b@x>;tag=2"]}, status=486)
    for _ in range(3):
        transaction.received(refused, clock.now)
    assert len(answers) == 1
    acks = [data for _, data in line.sent if data.startswith(b"ACK")]
    assert len(acks) == 3
    assert transaction.request.branch.encode() in acks[0]
    assert b"To: <sip:b@x>;tag=2\r\n" in acks[0]
    assert forgotten == []
    clock.run(33.0)
    assert len(forgotten) == 1
    assert answers == [refused]


def serve(line: Line, *, invite: bool) -> tuple[Clock, ServerTransaction, list[object], list[bool]]:
    clock = Clock(line)
    forgotten: list[object] = []
    unacknowledged: list[bool] = []
    transaction = ServerTransaction(clock.wheel, Timing(), line, None, "key", invite, forgotten.append)
    transaction.on_no_ack = lambda: unacknowledged.append(True)
    return clock, transaction, forgotten, unacknowledged


@pytest.mark.parametrize("reliable", [False, True])
def test_answered_invite_is_answered_again_until_acknowledged(reliable: bool) -> None:
    line = Line(reliable=reliable)
    clock, transaction, forgotten, unacknowledged = serve(line, invite=True)
    transaction.respond(180, b"180", 0.0)
    transaction.respond(200, b"200", 0.0)
    clock.run(4.0)
    assert near(line.times(b"200"), [0, 0.5, 1.5, 3.5])
    transaction.acknowledged(clock.now)
    clock.run(40.0)
    assert len(line.times(b"200")) == 4
    assert (len(forgotten), unacknowledged) == (1, [])


def test_answer_that_is_never_acknowledged_is_told_after_32_s() -> None:
    line = Line()
    clock, transaction, forgotten, unacknowledged = serve(line, invite=True)
    transaction.respond(200, b"200", 0.0)
    clock.run(33.0)
    assert (len(forgotten), unacknowledged) == (1, [True])
    assert len(line.sent) == 11


def test_repeated_request_gets_the_same_answer_once_each_time() -> None:
    line = Line()
    clock, transaction, forgotten, _ = serve(line, invite=False)
    transaction.repeated()
    transaction.respond(200, b"200", 0.0)
    transaction.respond(500, b"500", 0.0)
    transaction.repeated()
    assert [data for _, data in line.sent] == [b"200", b"200"]
    clock.run(33.0)
    assert len(forgotten) == 1
