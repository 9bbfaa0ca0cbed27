"""Who is told of what the stack receives: a dialog, and a user that is called."""

from __future__ import annotations

from typing import Any, Protocol

from endpoints_emu.load.answer import Answer
from endpoints_emu.load.message import Request
from endpoints_emu.load.transactions import Peer
from uclab.plan.schema.telephony import Account


class DialogSink(Protocol):
    """Who takes what belongs to a dialog."""

    def acknowledge_again(self) -> None:
        """The 200 to an INVITE came again."""

    def acknowledged(self, request: Request, now: float) -> None:
        """An ACK for a 200."""

    def requested(self, answer: Answer) -> None:
        """A request within the dialog."""

    def abandon(self, why: str) -> None:
        """The other side is out of reach."""


class CalledUser(Protocol):
    """Who takes calls that come in by a connection."""

    account: Account

    def called(self, answer: Answer, held: Any, peer: Peer) -> None:
        """An INVITE for this user."""
