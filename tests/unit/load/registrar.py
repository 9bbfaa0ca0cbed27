"""A registrar in the test's process, on the agent's own stack: it challenges, keeps, refuses, or is silent.

It registers only; calls go from agent to agent.
"""

from __future__ import annotations

from typing import Any

from endpoints_emu.load import digest
from endpoints_emu.load.message import Request, parse
from endpoints_emu.load.request import response, response_head
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.transactions import Peer
from endpoints_emu.load.transport import Listener, Udp


class Registrar:
    """Answers REGISTER on one port; everything that came in is in `seen`."""

    def __init__(
        self, stack: Stack, passwords: dict[str, str], algorithm: str = "MD5", least_s: int = 1
    ) -> None:
        self.stack = stack
        self.passwords = passwords
        self.algorithm = algorithm
        self.least_s = least_s
        self.silent = False
        self.lose = 0
        """So many messages are not answered, as if they were lost."""
        self.seen: list[Request] = []
        self.contacts: dict[str, str] = {}
        self.connections: list[Any] = []
        self._open: list[Udp | Listener] = []

    def serve(self, transport: str, tls: Any = None) -> int:
        """Begin; the port."""
        held: Udp | Listener
        if transport == "udp":
            held = Udp("127.0.0.1", 0, self._received)
        else:
            held = Listener(
                "127.0.0.1",
                0,
                self._received,
                lambda stream, why: None,
                tls=tls,
                on_connection=self.connections.append,
            )
        self._open.append(held)
        return held.local[1]

    def close(self) -> None:
        """End."""
        for held in (*self._open, *self.connections):
            held.close()

    def _received(self, data: bytes, connection: Any, peer: Peer) -> None:
        request = parse(data)
        assert isinstance(request, Request)
        self.seen.append(request)
        if self.lose:
            self.lose -= 1
            return
        if not self.silent:
            connection.send(self._answer(request, None if connection.reliable else peer), peer)

    def _answer(self, request: Request, peer: Peer) -> bytes:
        head = response_head(request, "registrar", peer)
        user = request.first("to").partition("sip:")[2].partition("@")[0]
        expires = int(request.first("expires"))
        if 0 < expires < self.least_s:
            return response(423, "Interval Too Brief", head, f"Min-Expires: {self.least_s}\r\n")
        given = request.first("authorization")
        nonce = f"nonce of {request.first('call-id')}"
        challenge = digest.Challenge("realm, with comma", nonce, self.algorithm, "auth")
        if not given:
            field = (
                f'WWW-Authenticate: Digest realm="realm, with comma", nonce="{nonce}", '
                f'algorithm={self.algorithm}, qop="auth,auth-int"\r\n'
            )
            return response(401, "Unauthorized", head, field)
        if not digest.accepts(challenge, self.passwords.get(user, "nobody's"), "REGISTER", given):
            return response(403, "Forbidden", head)
        contact = request.first("contact")
        if expires:
            self.contacts[user] = contact
        else:
            self.contacts.pop(user, None)
        return response(200, "OK", head, f"Contact: {contact}\r\n")
