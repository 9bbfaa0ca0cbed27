"""The course of a call: its times, as RFC 6076 wants them, and for how long it may ring."""

from __future__ import annotations

from typing import Protocol

from endpoints_emu.load.measures import SessionAttempt
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.transactions import ClientTransaction, Peer

CANCELLED_S = 5.0
"""How long after a CANCEL the INVITE's final response is waited for."""


class CallTimings:
    """When what happened; seconds of the monotonic clock, 0 where it has not."""

    __slots__ = ("answered", "began", "disconnect_s", "finished", "indicated", "sent", "status")

    def __init__(self) -> None:
        self.status = 0
        """Of the INVITE."""
        self.began = 0.0
        """The first INVITE."""
        self.sent = 0.0
        """The INVITE with all that is needed."""
        self.indicated: float | None = None
        """The first response that tells of the called side."""
        self.answered = 0.0
        self.finished = 0.0
        """BYE, sent or received."""
        self.disconnect_s: float | None = None
        """From our BYE to its response."""

    @property
    def established(self) -> bool:
        """Whether it was answered."""
        return 200 <= self.status < 300

    def attempt(self, *, completed: bool) -> SessionAttempt:
        """By RFC 6076; `completed`: it ended as somebody wanted."""
        return SessionAttempt(
            self.status,
            self.indicated - self.sent if self.indicated is not None else None,
            self.answered - self.began if self.established else None,
            self.finished - self.answered if self.established and self.finished else None,
            self.disconnect_s,
            self.established and completed,
        )


class Ringing(Protocol):
    """A call that has not been answered yet."""

    why: str
    stack: Stack
    peer: Peer


class NoAnswerTimer:
    """Cancels a call that rings for too long, and does not wait for ever for that either."""

    __slots__ = ("call", "over", "ring_s", "slot", "transaction")

    def __init__(self, call: Ringing, transaction: ClientTransaction, ring_s: float) -> None:
        self.call = call
        self.transaction = transaction
        self.ring_s = ring_s
        self.over = False
        self.slot = -1

    def on_time(self, now: float) -> float | None:
        if self.over:
            self.transaction.give_up()
            return None
        self.over = True
        self.call.why = f"no answer in {self.ring_s:g} s"
        self.call.stack.cancel(self.transaction, self.call.peer)
        return now + CANCELLED_S
