"""Messages cut out of a stream of bytes (RFC 3261 section 18.3), and keep-alives between them (RFC 5626)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from endpoints_emu.load.message import MOST_HEADER_BYTES, MalformedMessage

MOST_BODY_BYTES = 1_000_000
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)


class Frames:
    """What has arrived of a connection and is no whole message yet."""

    def __init__(self) -> None:
        self._held = b""
        self.pings = 0
        """Double CRLFs between messages that have not been answered (RFC 5626 section 3.5.1)."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The whole messages that are there now.

        Raises `MalformedMessage` where the end of a message cannot be told: the connection is of no use then.
        """
        held = self._held + data if self._held else data
        try:
            while True:
                while held[:2] == b"\r\n":
                    if held[:4] == b"\r\n\r\n":
                        self.pings += 1
                        held = held[2:]
                    held = held[2:]
                end = held.find(b"\r\n\r\n")
                if end < 0:
                    if len(held) > MOST_HEADER_BYTES:
                        raise MalformedMessage("header without end on a connection")
                    return
                length = _LENGTH.search(held, 0, end + 2)
                if length is None:
                    raise MalformedMessage("no Content-Length on a connection")
                size = int(length[1])
                if size > MOST_BODY_BYTES:
                    raise MalformedMessage("body too long", 513)
                whole = end + 4 + size
                if len(held) < whole:
                    return
                message, held = held[:whole], held[whole:]
                yield message
        finally:
            self._held = held
