"""A request of somebody else's, with all that an answer to it needs."""

from __future__ import annotations

import time

from endpoints_emu.load.message import Request
from endpoints_emu.load.request import fresh, response, response_head
from endpoints_emu.load.transactions import Peer, ServerTransaction


class Answer:
    """A request of somebody else's, to be answered."""

    __slots__ = ("head", "request", "tag", "transaction")

    def __init__(self, request: Request, transaction: ServerTransaction, peer: Peer) -> None:
        self.request = request
        self.transaction = transaction
        self.tag = fresh()
        """The agent's, where the request begins something."""
        self.head = response_head(request, self.tag, peer)

    def send(self, status: int, reason: str, rest: str = "", body: str = "") -> None:
        """Answer; `rest`: further fields, each a line with its end."""
        self.transaction.respond(status, response(status, reason, self.head, rest, body), time.monotonic())
