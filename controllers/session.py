"""What was sent on a switch's present connection, and whether the switch has carried it out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from os_ken.ofproto import ofproto_v1_3 as ofp

from controllers import openflow


class Session:
    """A switch's connection. Blocks of messages end with a barrier, whose answer says that all is done."""

    def __init__(self, connection: Any, generation: int = 0) -> None:
        self.connection = connection
        self.generation = generation
        self.sent: dict[int, object] = {}
        """What messages were about, by transaction number, until the barrier behind them is passed."""
        self.pending: int | None = None
        """Transaction number of the last barrier, until it is passed."""

    def send(self, messages: Iterable[openflow.Message]) -> None:
        """Send the messages and a barrier as one block."""
        block = bytearray()
        for message in (*messages, openflow.barrier()):
            self.connection.xid = self.connection.xid + 1 & ofp.MAX_XID
            self.sent[self.connection.xid] = message.about
            block += message.numbered(self.connection.xid)
        self.pending = self.connection.xid
        self.connection.send(bytes(block))

    def acknowledged(self) -> None:
        """The last barrier is passed."""
        self.sent.clear()
        self.pending = None
