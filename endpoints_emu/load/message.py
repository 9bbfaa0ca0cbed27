"""SIP messages (RFC 3261 section 7): bytes to a checked message, and back.

`parse` is strict in what decides where a message goes and whom it answers: start line, the five mandatory
header fields, values that may stand only once, Content-Length. Other values are read by `fields` when asked.
Whatever is wrong raises `MalformedMessage`, and nothing else is ever raised.

Why no library: `sipmessage` (the one kept parser on PyPI, 0.7.1) reads folded lines as further fields,
splits `qop="auth,auth-int"` at its comma, has no limits on numbers, and looks fields up in a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

VERSION: Final = "SIP/2.0"
MOST_HEADER_BYTES: Final = 65_535
LARGEST_CSEQ: Final = 2**31 - 1
"""RFC 3261 section 8.1.1.5."""

COMPACT: Final = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
}
"""Short names of header fields (RFC 3261 section 7.3.3 and the registry of IANA)."""
TITLES: Final = {
    "call-id": "Call-ID",
    "cseq": "CSeq",
    "www-authenticate": "WWW-Authenticate",
    "mime-version": "MIME-Version",
}
_ONCE = frozenset(
    {
        "from",
        "to",
        "call-id",
        "cseq",
        "max-forwards",
        "content-length",
        "content-type",
        "expires",
        "refer-to",
        "event",
    }
)
_KNOWN = _ONCE | {
    "via",
    "contact",
    "route",
    "record-route",
    "allow",
    "supported",
    "require",
    "proxy-require",
    "www-authenticate",
    "proxy-authenticate",
    "authorization",
    "proxy-authorization",
    "user-agent",
    "server",
    "accept",
    "min-expires",
}
_METHODS = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS"})
"""Those that need no second look."""
_MANDATORY = ("via", "from", "to", "call-id", "cseq")
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+").fullmatch
_REQUEST_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s<>]+").fullmatch
_FOLD = re.compile(r"[ \t]*\r\n[ \t]+")
_DIGITS = re.compile(r"[0-9]+").fullmatch


def title(name: str) -> str:
    """A header field's name as it is usually written."""
    return TITLES.get(name) or name.title()


_NAMES = (
    {title(name): name for name in _KNOWN}
    | {name: name for name in _KNOWN}
    | COMPACT
    | {short.upper(): name for short, name in COMPACT.items()}
)


class MalformedMessage(ValueError):
    """What was received cannot be taken for a SIP message; `status` is the answer to a request (RFC 3261)."""

    def __init__(self, why: str, status: int = 400, message: Request | Response | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.message = message
        """What could be read of it; None where not even the start line and the fields are."""


@dataclass(slots=True)
class Message:
    """What requests and responses share. Names of fields are in lower case and long."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""
    cseq: int = 0
    cseq_method: str = ""

    def first(self, name: str, otherwise: str = "") -> str:
        """The first value of a field."""
        values = self.fields.get(name)
        return values[0] if values else otherwise

    def all(self, name: str) -> list[str]:
        """All values of a field, as they stood line by line."""
        return self.fields.get(name, [])

    def start_line(self) -> str:
        """The first line."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """As it goes over the network; Content-Length is always told."""
        self.fields["content-length"] = [str(len(self.body))]
        lines = [f"{title(name)}: {value}" for name, values in self.fields.items() for value in values]
        return "\r\n".join((self.start_line(), *lines, "", "")).encode() + self.body


@dataclass(slots=True)
class Request(Message):
    """A request."""

    method: str = ""
    uri: str = ""

    def start_line(self) -> str:
        return f"{self.method} {self.uri} {VERSION}"


@dataclass(slots=True)
class Response(Message):
    """A response."""

    status: int = 0
    reason: str = ""

    def start_line(self) -> str:
        return f"{VERSION} {self.status} {self.reason}"


def parse(data: bytes, *, stream: bool = False) -> Request | Response:
    """One message. `stream`: it was cut out of a connection by its Content-Length, which it then must have.

    Raises `MalformedMessage`.
    """
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        raise MalformedMessage("no empty line ends the header")
    if len(head) > MOST_HEADER_BYTES:
        raise MalformedMessage("header too long", 513)
    try:
        text = head.decode()
    except UnicodeDecodeError:
        raise MalformedMessage("header is not UTF-8") from None
    tab = "\t" in text
    if "\n " in text or (tab and "\n\t" in text):
        text = _FOLD.sub(" ", text)
    first, *lines = text.split("\r\n")
    if not text.count("\r") == text.count("\n") == len(lines):
        raise MalformedMessage("CR and LF stand apart")
    message, wrong = _start(first)
    message.body = body
    fields, names = message.fields, _NAMES
    spaced = tab or "  " in text or " \r" in text or text[-1:] == " "
    for line in lines:
        name, colon, value = line.partition(": ")
        known = names.get(name)
        if known is None or spaced:  # not as it is usually written
            name, colon, value = line.partition(":")
            known, value = _name(name), value.strip(" \t")
            if not colon or not known:
                wrong = wrong or MalformedMessage(f"not a field: {line[:40]!r}")
                continue
        if known not in fields:
            fields[known] = [value]
        elif known in _ONCE:
            wrong = wrong or MalformedMessage(f"{title(known)} stands twice")
        else:
            fields[known].append(value)
    try:
        if wrong:
            raise wrong
        _check(message, stream)
    except MalformedMessage as error:
        error.message = message
        raise
    return message


def _start(line: str) -> tuple[Request | Response, MalformedMessage | None]:
    """The message that a start line begins, and what is wrong with it where it can still be answered."""
    if line.startswith("SIP/2.0 "):
        status, reason = _status(line)
        return Response(status=status, reason=reason), None
    method, _, rest = line.partition(" ")
    uri, _, version = rest.partition(" ")
    if method not in _METHODS and not _TOKEN(method):
        raise MalformedMessage("start line is neither a request's nor a response's")
    request = Request(method=method, uri=uri)
    if version != VERSION:
        other = re.fullmatch(r"SIP/[0-9]+\.[0-9]+", version, re.IGNORECASE)
        return request, MalformedMessage(f"version {version[:20]!r}", 505 if other else 400)
    if not _REQUEST_URI(uri):
        return request, MalformedMessage(f"request URI {uri[:60]!r}")
    return request, None


@lru_cache(maxsize=256)
def _status(line: str) -> tuple[int, str]:
    parts = line.split(" ", 2)
    code = parts[1]
    if len(code) != 3 or not _DIGITS(code) or not "1" <= code[0] <= "6":
        raise MalformedMessage(f"no status code: {code[:20]!r}")
    return int(code), parts[2] if len(parts) > 2 else ""


def _name(written: str) -> str:
    """The long name of a field as somebody wrote it; empty where it is none."""
    name = written.rstrip(" \t")
    if not _TOKEN(name):
        return ""
    name = name.lower()
    return COMPACT.get(name, name)


def _check(message: Request | Response, stream: bool) -> None:
    fields = message.fields
    for name in _MANDATORY:
        if name not in fields or not fields[name][0]:
            raise MalformedMessage(f"no {title(name)}")
    message.cseq, message.cseq_method = _cseq(fields["cseq"][0])
    if isinstance(message, Request) and message.cseq_method != message.method:
        raise MalformedMessage(f"method {message.method} with CSeq of {message.cseq_method}")
    length = fields.get("content-length")
    if length is None:
        if stream:
            raise MalformedMessage("no Content-Length on a connection")
        return
    if not (length[0].isascii() and length[0].isdigit()) or len(length[0]) > 9:
        raise MalformedMessage("Content-Length is no number")
    size, given = int(length[0]), len(message.body)
    if size > given:
        raise MalformedMessage("body shorter than its Content-Length")
    if size < given:
        message.body = message.body[:size]


@lru_cache(maxsize=256)
def _cseq(value: str) -> tuple[int, str]:
    number, _, method = value.partition(" ")
    method = method.strip()
    if not _TOKEN(method):
        raise MalformedMessage("CSeq without a method")
    if not (number.isascii() and number.isdigit()) or len(number) > 10 or int(number) > LARGEST_CSEQ:
        raise MalformedMessage("CSeq is not a number below 2**31")
    return int(number), method


def lines_of(name: str, values: Iterable[str]) -> str:
    """A field in all its values, each a line with its end, to be put into a template."""
    return "".join(f"{name}: {value}\r\n" for value in values)
