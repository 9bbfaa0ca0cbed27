"""A dialog (RFC 3261 section 12): who both sides are, which way requests go, and requests within it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, Protocol

from endpoints_emu.load import digest
from endpoints_emu.load.fields import address_in, parse_uri, split
from endpoints_emu.load.message import MalformedMessage, Request, Response, lines_of
from endpoints_emu.load.request import Outgoing, fresh
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.transactions import Peer
from uclab.plan.schema.telephony import Account

State = Literal["new", "calling", "ringing", "established", "ended"]


class LocalUser(Protocol):
    """Whose side of a dialog this is, as far as a dialog needs to know."""

    stack: Stack
    account: Account
    via: str
    contact: str
    local_address: str
    encrypted: bool
    tone_hz: float
    speaker: int
    on_transferred: Callable[[Any, Any], None]

    def authorization(self, challenge: Response, method: str, uri: str) -> str:
        """The field that answers a challenge. Raises `NoAnswer`."""

    def call(self, target: str, *, media: bool | None = None) -> Any:
        """Place another call. Raises `CallFailed`."""


def routes_of(message: Request | Response, *, reverse: bool = False) -> str:
    """The way that requests take: what the other side's message recorded (section 12.1)."""
    values = message.all("record-route")
    if any("," in value for value in values):
        values = [route for value in values for route in split(value, ",")]
    return lines_of("Route", reversed(values) if reverse else values)


class Dialog:
    """The part of a call that knows nothing of media."""

    def __init__(self, agent: LocalUser, connection: Any, peer: Peer) -> None:
        self.agent = agent
        self.stack = agent.stack
        self.connection = connection
        self.peer = peer
        self.state: State = "new"
        self.tag = fresh()
        self.call_id = ""
        self.local = f"<{agent.account.aor}>;tag={self.tag}"
        """The value of From as we send it."""
        self.remote = ""
        """The value of To as we send it."""
        self.target = ""
        """The other side's contact."""
        self.routes = ""
        """Route fields, each a line with its end."""
        self.cseq = 0
        self.remote_cseq = -1
        self.last_ack = b""

    def request(self, method: str) -> Outgoing:
        """A request within the dialog, or the one that begins it."""
        return Outgoing(
            method, self.target, self.agent.via, self.local, self.remote, self.call_id, self.cseq, self.routes
        )

    def ask(self, method: str, rest: str = "", body: str = "") -> Response | None:
        """Send a request and wait; a challenge is answered once. None: nobody answered. A positive answer to
        an INVITE is still to be acknowledged."""
        self.cseq += 1
        request = self.request(method)
        final = self.stack.exchange(self.connection, self.next_hop(), request, request.render(rest, body))
        if final is None or final.status not in (401, 407):
            return final
        try:
            rest += self.agent.authorization(final, method, self.target)
        except digest.NoAnswer:
            return final
        self.cseq += 1
        request = self.request(method)
        return self.stack.exchange(self.connection, self.next_hop(), request, request.render(rest, body))

    def acknowledge(self, number: int) -> None:
        """ACK a 200: a request of its own, with the INVITE's number (RFC 3261 section 13.2.2.4)."""
        request = self.request("ACK")
        request.cseq = number
        self.last_ack = request.render()
        self.connection.send(self.last_ack, self.next_hop())

    def acknowledge_again(self) -> None:
        """The 200 came again: the ACK was lost."""
        if self.last_ack:
            self.connection.send(self.last_ack, self.next_hop())

    def take_contact(self, message: Request | Response) -> None:
        """Further requests go where the other side says (section 12.1). Raises `MalformedMessage`."""
        contact = message.first("contact")
        if contact:
            target = address_in(contact)
            if not target or any(character in target for character in ' \t<>"'):
                raise MalformedMessage("contact of a call")
            self.target = target
        elif not self.target:
            raise MalformedMessage("a call without a contact")

    def next_hop(self) -> Peer:
        """Over UDP the first route, or where the other side is; a connection is its own way."""
        if self.connection.reliable:
            return None
        route = self.routes.partition("\r\n")[0].partition("<")[2].partition(">")[0]
        return _datagrams_to(route or self.target) or self.peer


@lru_cache(maxsize=4096)
def _datagrams_to(target: str) -> Peer:
    """Address and port of a URI; None where it has a name instead of an address."""
    try:
        uri = parse_uri(target)
    except MalformedMessage:
        return None
    return (uri.host, uri.port or 5060) if uri.host[-1:].isdigit() else None
