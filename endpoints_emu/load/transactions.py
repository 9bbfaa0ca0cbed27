"""Transactions (RFC 3261 section 17): a request and its responses, repeated over UDP until answered, ended in
bounded time over anything.

Nothing here opens a socket or waits: connections are given, time is told by the wheel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from endpoints_emu.load.message import Response
from endpoints_emu.load.request import Outgoing
from endpoints_emu.load.timing_wheel import Wheel


@dataclass(frozen=True, slots=True)
class Timing:
    """RFC 3261's times, section 17.1.1.1; tests use shorter ones."""

    t1_s: float = 0.5
    """Estimate of the round trip: the first repetition over UDP."""
    t2_s: float = 4.0
    """Longest time between repetitions."""
    t4_s: float = 5.0
    """Longest life of a message in the network."""

    @property
    def timeout_s(self) -> float:
        """Timers B, F, H: after that long nothing is answered any more."""
        return 64 * self.t1_s


Peer = tuple[str, int] | None


class Connection(Protocol):
    """What carries messages."""

    reliable: bool
    transport: str

    def send(self, data: bytes, peer: Peer) -> None:
        """Send one message; `peer`: to whom, where the connection does not say. Never raises."""


class Transaction:
    """What both kinds share: the timer that sends again, and the end."""

    __slots__ = (
        "_ends_at",
        "_interval",
        "_next_at",
        "_peer",
        "_timing",
        "_wheel",
        "connection",
        "forget",
        "key",
        "slot",
    )

    def __init__(
        self,
        wheel: Wheel,
        timing: Timing,
        connection: Connection,
        peer: Peer,
        key: str,
        forget: Callable[[Any], None],
    ) -> None:
        self.connection = connection
        """What carries it."""
        self.key = key
        """What tells it apart from all others of its kind."""
        self.forget = forget
        """Called with it when nothing more can come of it."""
        self.slot = -1
        self._wheel = wheel
        self._timing = timing
        self._peer = peer
        self._interval = timing.t1_s
        self._ends_at = self._next_at = 0.0

    def _again_at(self, now: float, longest_s: float) -> float:
        """When to send next, after twice the time, but at most `longest_s`."""
        self._interval = min(2 * self._interval, longest_s)
        self._next_at = min(max(self._next_at + self._interval, now), self._ends_at)
        return self._next_at


class ClientTransaction(Transaction):
    """A request of ours, until `on_response` was told its final response, or None: nobody answered."""

    __slots__ = ("_data", "_on_response", "final", "provisional", "request")

    def __init__(
        self,
        wheel: Wheel,
        timing: Timing,
        connection: Connection,
        peer: Peer,
        request: Outgoing,
        data: bytes,
        now: float,
        on_response: Callable[[Response | None], None],
        forget: Callable[[ClientTransaction], None],
    ) -> None:
        key = self.key_of(request.branch, request.method)
        super().__init__(wheel, timing, connection, peer, key, forget)
        self.request = request
        self.final = False
        self.provisional = False
        self._data = data
        self._on_response = on_response
        self._ends_at = now + timing.timeout_s
        self._next_at = self._ends_at if connection.reliable else now + timing.t1_s
        wheel.at(self._next_at, self)
        connection.send(data, peer)

    @staticmethod
    def key_of(branch: str, method: str) -> str:
        """What a response shares with its request (RFC 3261 section 17.1.3); CANCEL has its INVITE's
        branch."""
        return branch if method != "CANCEL" else f"{branch} C"

    def received(self, response: Response, now: float) -> None:
        """A response that belongs to it."""
        invite = self.request.method == "INVITE"
        if response.status < 200:
            if not self.final:
                if invite and not self.provisional:  # answered in its own time: the caller's limit ends it
                    self._wheel.forget(self)
                self.provisional = True
                self._on_response(response)
            return
        if self.final:
            if invite and response.status >= 300:
                self.connection.send(self._data, self._peer)
            return
        self.final = True
        self._wheel.forget(self)
        if invite and response.status >= 300:
            self._data = self.request.ack(response.first("to"))
            self.connection.send(self._data, self._peer)
        if invite and response.status >= 300 and not self.connection.reliable:
            self._wheel.at(now + self._timing.timeout_s, self)  # timer D: the ACK may be lost
        else:  # timer K is not kept: a response that comes again belongs to nothing and is passed over
            self.forget(self)
        self._on_response(response)

    def give_up(self) -> None:
        """Nobody will answer any more: the connection is gone, or the caller's patience."""
        self._wheel.forget(self)
        self.forget(self)
        if not self.final:
            self.final = True
            self._on_response(None)

    def on_time(self, now: float) -> float | None:
        """Send again, or end."""
        if self.final or now >= self._ends_at:
            self.give_up()
            return None
        self.connection.send(self._data, self._peer)
        if self.provisional:
            self._interval = self._timing.t2_s
        invite = self.request.method == "INVITE"
        return self._again_at(now, self._timing.timeout_s if invite else self._timing.t2_s)


class ServerTransaction(Transaction):
    """A request of somebody else's, and what was answered: repeated when the request is.

    An INVITE's final response is repeated until it is acknowledged, over UDP or, if positive, over anything
    (RFC 3261 section 13.3.1.4).
    """

    __slots__ = ("_invite", "_last", "acked", "on_cancel", "on_no_ack", "status")

    def __init__(
        self,
        wheel: Wheel,
        timing: Timing,
        connection: Connection,
        peer: Peer,
        key: str,
        invite: bool,
        forget: Callable[[ServerTransaction], None],
    ) -> None:
        super().__init__(wheel, timing, connection, peer, key, forget)
        self.status = 0
        self.acked = False
        self.on_cancel: Callable[[], None] | None = None
        self.on_no_ack: Callable[[], None] | None = None
        self._invite = invite
        self._last = b""

    def respond(self, status: int, data: bytes, now: float) -> None:
        """Answer; after a final response further ones are not sent."""
        if self.status >= 200:
            return
        self.status, self._last = status, data
        self.connection.send(data, self._peer)
        if status < 200:
            return
        self._ends_at = now + self._timing.timeout_s
        if self._invite and (status < 300 or not self.connection.reliable):
            self._next_at = now + self._timing.t1_s
            self._wheel.at(self._next_at, self)
        elif self.connection.reliable and not self._invite:
            self.forget(self)
        else:
            self._wheel.at(self._ends_at, self)  # timer J

    def repeated(self) -> None:
        """The request came again."""
        if self._last and not self.acked:
            self.connection.send(self._last, self._peer)

    def acknowledged(self, now: float) -> None:
        """An ACK came for the final response."""
        if self.acked or self.status < 200:
            return
        self.acked = True
        self._wheel.forget(self)
        if self.connection.reliable:
            self.forget(self)
        else:
            self._wheel.at(now + self._timing.t4_s, self)  # timer I

    def on_time(self, now: float) -> float | None:
        """Send again, or end."""
        if self.acked or now >= self._ends_at:
            self.forget(self)
            if self._invite and not self.acked and self.on_no_ack:
                self.on_no_ack()
            return None
        if not self._invite:
            return self._ends_at
        self.connection.send(self._last, self._peer)
        return self._again_at(now, self._timing.t2_s)
