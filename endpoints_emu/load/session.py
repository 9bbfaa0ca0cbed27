"""What a call has whoever began it: its times, who asked for what, and how it ends."""

from __future__ import annotations

import time
from typing import Any

from gevent.event import AsyncResult, Event

from endpoints_emu.load.answer import Answer
from endpoints_emu.load.call_timings import CallTimings
from endpoints_emu.load.dialog import LocalUser
from endpoints_emu.load.measures import SessionAttempt
from endpoints_emu.load.negotiation import Negotiation
from endpoints_emu.load.transactions import Peer, ServerTransaction


class Session(Negotiation):
    """A call that stands, or is about to."""

    def __init__(self, agent: LocalUser, connection: Any, peer: Peer, *, media: bool = True) -> None:
        super().__init__(agent, connection, peer, media)
        self.ended = Event()
        self.why = ""
        """Why it ended."""
        self.by_peer = False
        self.asserted = ""
        """Who calls, as the session controller vouches for it towards a trunk (RFC 3325)."""
        self.replaced_by: Session | None = None
        """The call that this one was transferred to, where the other side asked for it."""
        self.invite: ServerTransaction | None = None
        """The last INVITE of the other side."""
        self.progress: AsyncResult | None = None
        """What came of our wish to put the call through: a status."""
        self.course = CallTimings()
        self._answer: Answer | None = None

    def reject(self, status: int = 486, reason: str = "Busy Here") -> None:
        """Refuse the call."""
        if self._answer is not None and self.state == "ringing":
            self._answer.send(status, reason)
            self.end(status, reason)

    def hang_up(self) -> None:
        """End the call: BYE, or a refusal where it rings. Nothing where it has ended."""
        if self.state == "ringing":
            self.reject(603, "Decline")
        elif self.state == "established":
            self.finish_media()
            self.state = "ended"
            self.course.finished = sent = time.monotonic()
            final = self.ask("BYE")
            if final is not None:
                self.course.disconnect_s = time.monotonic() - sent
            self.end(self.course.status, "hung up")

    def abandon(self, why: str) -> None:
        """Forget the call without a word: the other side is out of reach."""
        self.end(self.course.status, why)

    def attempt(self) -> SessionAttempt:
        """The call by RFC 6076; whole once it has ended."""
        wanted = self.why in ("hung up", "hung up by the other side")
        return self.course.attempt(completed=self.state == "ended" and wanted)

    def end(self, status: int, why: str) -> None:
        """It has ended, with this status where it was never established."""
        self.course.status = self.course.status if 200 <= self.course.status < 300 else status
        self.why = self.why or why
        self.finish_media()
        self.state = "ended"
        self.stack.calls.pop(self.tag, None)
        self.ended.set()
