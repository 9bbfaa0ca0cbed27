"""Requests that the agent sends, and the answers it gives: text templates, filled in once a message."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass

from endpoints_emu.load.message import Request, lines_of

COOKIE = "z9hG4bK"
"""Begins every branch (RFC 3261 section 8.1.1.7)."""
ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY, UPDATE"
METHODS = frozenset(ALLOW.split(", "))
_process = secrets.token_hex(6)
_count = itertools.count()


def fresh() -> str:
    """A word that no other message of any agent carries: for tags, branches and Call-IDs."""
    return f"{_process}{next(_count):x}"


@dataclass(slots=True)
class Outgoing:
    """A request of the agent's own."""

    method: str
    uri: str
    via: str
    """The agent's Via without its branch."""
    sender: str
    """The value of From."""
    to: str
    call_id: str
    cseq: int
    routes: str = ""
    """Route fields, each a line with its end."""
    branch: str = ""

    def render(self, rest: str = "", body: str = "") -> bytes:
        """The request as it is sent; `rest`: further fields, each a line with its end."""
        self.branch = COOKIE + fresh()
        return self._text(self.method, rest, body)

    def ack(self, to: str) -> bytes:
        """The ACK of a refusal, within the INVITE's transaction (RFC 3261 section 17.1.1.3)."""
        self.to = to
        return self._text("ACK", "", "")

    def cancel(self) -> bytes:
        """The CANCEL of an INVITE (RFC 3261 section 9.1)."""
        return self._text("CANCEL", "", "")

    def _text(self, method: str, rest: str, body: str) -> bytes:
        return (
            f"{method} {self.uri} SIP/2.0\r\nVia: {self.via};branch={self.branch}\r\n{self.routes}"
            f"Max-Forwards: 70\r\nFrom: {self.sender}\r\nTo: {self.to}\r\nCall-ID: {self.call_id}\r\n"
            f"CSeq: {self.cseq} {method}\r\n{rest}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


def response_head(request: Request, tag: str, peer: tuple[str, int] | None) -> str:
    """The fields that every response to `request` repeats; `peer`: where a datagram came from (RFC 3581)."""
    vias = request.all("via")
    if peer and ";rport" in vias[0] and ";rport=" not in vias[0]:
        vias = [vias[0].replace(";rport", f";received={peer[0]};rport={peer[1]}", 1), *vias[1:]]
    to = request.first("to")
    if tag and to and "tag" not in to:
        to = f"{to};tag={tag}"
    return (
        f"{lines_of('Via', vias)}{lines_of('Record-Route', request.all('record-route'))}"
        f"From: {request.first('from')}\r\nTo: {to}\r\nCall-ID: {request.first('call-id')}\r\n"
        f"CSeq: {request.first('cseq')}\r\n"
    )


def response(status: int, reason: str, head: str, rest: str = "", body: str = "") -> bytes:
    """A response."""
    return f"SIP/2.0 {status} {reason}\r\n{head}{rest}Content-Length: {len(body)}\r\n\r\n{body}".encode()
