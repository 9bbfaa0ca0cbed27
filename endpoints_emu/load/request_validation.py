"""What an agent refuses, and how (RFC 3261 sections 8.2 and 16.3; RFC 4475 has the examples)."""

from __future__ import annotations

from dataclasses import dataclass

from endpoints_emu.load.fields import parse_name_addr, parse_uri, parse_via, split
from endpoints_emu.load.message import MalformedMessage, Request, Response
from endpoints_emu.load.request import ALLOW, METHODS, fresh, response, response_head
from endpoints_emu.load.transactions import Connection, Peer

REASONS = {
    400: "Bad Request",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    481: "Call Does Not Exist",
    501: "Not Implemented",
    505: "Version Not Supported",
    513: "Message Too Large",
}
REGISTERED = METHODS | {"REGISTER", "SUBSCRIBE", "MESSAGE", "INFO", "PRACK", "PUBLISH"}
"""Methods that are somebody's; others are not implemented anywhere that we know."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer to a request that is not carried out."""

    status: int
    rest: str = ""
    """Further fields, each a line with its end."""

    @property
    def reason(self) -> str:
        """The words behind the number."""
        return REASONS[self.status]


def refusal(request: Request) -> Refusal | None:
    """Why a request that begins something is refused; None where it is not."""
    try:
        uri = parse_uri(request.uri)
        for via in request.all("via"):
            for hop in split(via, ","):
                parse_via(hop)
        parse_name_addr(request.first("from"))
        parse_name_addr(request.first("to"))
        for contact in request.all("contact"):
            for address in split(contact, ","):
                if address != "*":
                    parse_name_addr(address)
    except MalformedMessage:
        return Refusal(400)
    if request.method not in METHODS:
        return Refusal(405 if request.method in REGISTERED else 501, f"Allow: {ALLOW}\r\n")
    if uri.scheme not in ("sip", "sips"):
        return Refusal(416)
    if uri.headers:
        return Refusal(400)
    required = [word for value in request.all("require") for word in split(value, ",") if word]
    if required:
        return Refusal(420, f"Unsupported: {', '.join(required)}\r\n")
    if request.body and request.method in ("INVITE", "UPDATE"):
        kind = request.first("content-type").partition(";")[0].strip().lower()
        if kind != "application/sdp":
            return Refusal(415, "Accept: application/sdp\r\n")
    if request.method == "INVITE" and not _takes_sdp(request):
        return Refusal(406)
    return None


def _takes_sdp(request: Request) -> bool:
    accepted = [
        word.partition(";")[0].strip().lower() for v in request.all("accept") for word in split(v, ",")
    ]
    return not accepted or bool({"application/sdp", "application/*", "*/*"} & set(accepted))


def answer_malformed(
    error: MalformedMessage, message: Request | Response | None, connection: Connection, peer: Peer
) -> None:
    """A request that can be answered is; a response, and what is neither, is dropped."""
    if not isinstance(message, Request) or message.method == "ACK" or not message.first("via"):
        return
    head = response_head(message, fresh(), None if connection.reliable else peer)
    connection.send(response(error.status, REASONS.get(error.status, "Bad Request"), head), peer)
