"""SIP messages, from the fields that a dissector found in a packet. Any host may send anything to a SIP port,
so that nothing here fails: what makes no sense is no message."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

REQUEST_LINE = re.compile(r"[A-Z]{3,20} \S+ SIP/2\.0\s*", re.ASCII)
STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2}) ", re.ASCII)
"""RFC 3261 sections 7.1 and 7.2."""
WHOLE = re.compile(r"[0-9]{1,10}", re.ASCII)
EXPIRES_PARAMETER = re.compile(r";\s*expires\s*=\s*([0-9]{1,10})", re.IGNORECASE | re.ASCII)
LAST_PORT = 65535
FIELDS = (
    "request_line",
    "status_line",
    "call_id",
    "cseq_seq",
    "cseq_method",
    "from_user",
    "to_user",
    "contact",
    "expires",
    "sdp_media",
    "sdp_media_attr",
    "sdp_connection_info_address",
)
"""What `sip_message` reads, as pyshark names it."""
Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Flow:
    """Where a message came from and went to, as seen at the tap."""

    packet: int
    """Number in the capture file from which the extract was cut."""
    time: float
    """Seconds since the epoch."""
    src: str
    sport: int
    dst: str
    dport: int


@dataclass(frozen=True)
class Crypto:
    """An `a=crypto` line (RFC 4568): the key protects what the line's sender sends."""

    tag: int
    suite: str
    inline: str
    """Base64 of master key and salt."""


@dataclass(frozen=True)
class MediaDescription:
    """An `m=audio` line of an SDP body with its keys."""

    address: str
    port: int
    profile: str
    """E.g. `RTP/SAVP`; `RTP/AVP` is unencrypted."""
    cryptos: tuple[Crypto, ...]


@dataclass(frozen=True)
class SipMessage:
    """A SIP message, decrypted."""

    at: Flow
    start_line: str
    call_id: str
    cseq: str
    """Number and method, `1 INVITE` (RFC 3261 section 20.16)."""
    from_user: str
    to_user: str
    media: MediaDescription | None = None
    contacts: tuple[str, ...] = ()
    """Each with its parameters."""
    expires_s: int | None = None
    """For how long a registration is asked for, or granted; None where nothing says so."""

    @property
    def method(self) -> str:
        """Of the request, or of the request that is answered."""
        words = self.cseq.split()
        return words[-1] if len(words) == 2 else self.start_line.partition(" ")[0]

    @property
    def status(self) -> int | None:
        """Status code of a response; None for a request."""
        found = STATUS_LINE.match(self.start_line)
        return int(found[1]) if found else None


def sip_message(fields: Fields, at: Flow) -> SipMessage | None:
    """The message of these fields (`FIELDS`, each with its values); None where it is none that anybody could
    answer: without a start line or without CSeq."""

    def first(name: str) -> str:
        return next(iter(fields.get(name, ())), "")

    start, number, method = first("request_line"), first("cseq_seq"), first("cseq_method")
    if not start:
        start = first("status_line")
        if not STATUS_LINE.match(start + " "):
            return None
    elif not REQUEST_LINE.fullmatch(start):
        return None
    if not WHOLE.fullmatch(number) or not method or len(method.split()) != 1:
        return None
    contacts = tuple(fields.get("contact", ()))
    return SipMessage(
        at,
        start,
        first("call_id"),
        f"{number} {method}",
        first("from_user"),
        first("to_user"),
        _media(fields),
        contacts,
        _expires(first("expires"), contacts),
    )


def _expires(header: str, contacts: Sequence[str]) -> int | None:
    """The contacts' own parameter goes before the header (RFC 3261 section 10.2.1.1)."""
    own = [int(found[1]) for contact in contacts if (found := EXPIRES_PARAMETER.search(contact))]
    if own:
        return max(own)
    return int(header) if WHOLE.fullmatch(header) else None


def _media(fields: Fields) -> MediaDescription | None:
    cryptos = []
    for line in fields.get("sdp_media_attr", ()):
        name, _, rest = line.partition(":")
        parts = rest.split()
        if (
            name == "crypto"
            and len(parts) >= 3
            and WHOLE.fullmatch(parts[0])
            and parts[2].startswith("inline:")
        ):
            cryptos.append(Crypto(int(parts[0]), parts[1], parts[2][7:].split("|")[0]))
    for line in fields.get("sdp_media", ()):
        parts = line.split()
        if len(parts) < 3 or parts[0] != "audio" or not WHOLE.fullmatch(parts[1]):
            continue
        if int(parts[1]) <= LAST_PORT:
            address = next(iter(fields.get("sdp_connection_info_address", ())), "")
            return MediaDescription(address, int(parts[1]), parts[2], tuple(cryptos))
    return None
