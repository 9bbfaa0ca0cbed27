"""Values of header fields: URIs, name-addr, Via, parameters, challenges (RFC 3261 sections 19, 20 and 25).

All parsers are strict and raise `MalformedMessage`. What the agent needs in every message (tags, the branch)
has a short way that looks at nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from endpoints_emu.load.message import MalformedMessage

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*").fullmatch
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+").fullmatch
_DISPLAY = re.compile(r"[A-Za-z0-9\-.!%*_+`'~ \t]*").fullmatch
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]+\]").fullmatch
_USER = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/:]|%[0-9A-Fa-f]{2})+").fullmatch
_PARAMETER = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|%[0-9A-Fa-f]{2})+").fullmatch
_SEPARATED = {
    separator: re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*(?:>|$)|"|' + separator, re.DOTALL) for separator in ",;"
}
"""What is skipped on the way to a separator, and the separator."""
_PAIR = re.compile(r'\s*([A-Za-z0-9\-.!%*_+`\'~]+)\s*=\s*(?:"([^"\\]*)"|([^",;\s\\]+))\s*(?:,|$)')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True, slots=True)
class Uri:
    """A SIP or SIPS URI; of other schemes only `scheme` and, in `host`, what follows it."""

    scheme: str
    user: str
    host: str
    port: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: str = ""
    """What stands after a question mark."""

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port is not None else ""
        parameters = "".join(
            f";{name}={value}" if value else f";{name}" for name, value in self.parameters.items()
        )
        return f"{self.scheme}:{user}{self.host}{port}{parameters}{'?' if self.headers else ''}{self.headers}"


@dataclass(frozen=True, slots=True)
class NameAddr:
    """The value of From, To, Contact, Route, Refer-To."""

    uri: Uri
    display: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Via:
    """One hop of a request (RFC 3261 section 20.42)."""

    transport: str
    host: str
    port: int | None
    parameters: Mapping[str, str]


def split(text: str, separator: str) -> list[str]:
    """Parts between separators that stand neither in quotes nor in angle brackets."""
    if separator not in text:
        return [text.strip()]
    if '"' not in text and "<" not in text:
        return [part.strip() for part in text.split(separator)]
    parts, begun = [], 0
    for found in _SEPARATED[separator].finditer(text):
        token = found.group()
        if token == separator:
            parts.append(text[begun : found.start()].strip())
            begun = found.end()
        elif token == '"':
            raise MalformedMessage("quotation mark without its other")
    return [*parts, text[begun:].strip()]


def parse_parameters(text: str) -> dict[str, str]:
    """What follows the first semicolon: names in lower case, quoted values without their quotes."""
    found: dict[str, str] = {}
    for part in split(text, ";"):
        name, equals, value = part.partition("=")
        name, value = name.strip().lower(), value.strip()
        if not _TOKEN(name) or (equals and not value):
            raise MalformedMessage(f"parameter {part[:40]!r}")
        if name in found:
            raise MalformedMessage(f"parameter {name} stands twice")
        found[name] = unquote(value)
    return found


def unquote(value: str) -> str:
    """The text of a quoted string, or the value as it is."""
    if value[:1] == '"':
        inner = value[1:-1]
        if '"' not in inner and "\\" not in inner and value[-1] == '"' and len(value) > 1:
            return inner
        if not _QUOTED.fullmatch(value):
            raise MalformedMessage(f"quoted string {value[:40]!r}")
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def parse_uri(text: str) -> Uri:
    """A URI as it stands alone or in angle brackets."""
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME(scheme) or not rest or any(character in text for character in ' \t<>"'):
        raise MalformedMessage(f"URI {text[:60]!r}")
    scheme = scheme.lower()
    if scheme not in ("sip", "sips"):
        return Uri(scheme, "", rest)
    user, at, place = rest.rpartition("@")
    if at and not _USER(user):
        raise MalformedMessage(f"user of the URI {text[:60]!r}")
    place, question, headers = place.partition("?")
    host_port, *parameters = place.split(";")
    host, port = _host_and_port(host_port)
    pairs: dict[str, str] = {}
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        name = name.lower()
        if not _PARAMETER(name) or (equals and not _PARAMETER(value)) or name in pairs:
            raise MalformedMessage(f"parameter of the URI {text[:60]!r}")
        pairs[name] = value
    return Uri(scheme, user, host, port, pairs, headers if question else "")


def _host_and_port(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        host, colon, port = text, "", ""
    if not _HOST(host):
        raise MalformedMessage(f"host {host[:60]!r}")
    if not colon:
        return host, None
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise MalformedMessage(f"port {port[:20]!r}")
    return host, int(port)


def parse_name_addr(text: str) -> NameAddr:
    """`"Name" <uri>;parameters`, `Name <uri>`, or a URI alone, whose parameters are then the field's."""
    text = text.strip()
    display = ""
    quoted = _QUOTED.match(text)
    if quoted:
        display, text = unquote(quoted.group()), text[quoted.end() :].lstrip()
        if not text.startswith("<"):
            raise MalformedMessage("display name without an address in angle brackets")
    name, bracket, rest = text.partition("<")
    if not bracket:
        if "?" in text or "," in text:
            raise MalformedMessage("an address with a question mark or comma belongs in angle brackets")
        address, semicolon, parameters = text.partition(";")
        uri = parse_uri(address.rstrip())
    else:
        if not _DISPLAY(name):
            raise MalformedMessage(f"display name {name[:40]!r}")
        address, closing, after = rest.partition(">")
        if not closing:
            raise MalformedMessage("angle bracket without its other")
        display = display or name.strip()
        uri = parse_uri(address)
        before, semicolon, parameters = after.partition(";")
        if before.strip():
            raise MalformedMessage(f"between address and parameters: {before[:40]!r}")
    return NameAddr(uri, display, parse_parameters(parameters) if semicolon else {})


def parse_via(text: str) -> Via:
    """The topmost hop of a value."""
    first = split(text, ",")[0]
    head, semicolon, parameters = first.partition(";")
    protocol, _, sent_by = re.sub(r"\s*/\s*", "/", head.strip()).partition(" ")
    parts = protocol.split("/")
    if len(parts) != 3 or parts[0].upper() != "SIP" or parts[1] != "2.0" or not _TOKEN(parts[2]):
        raise MalformedMessage(f"Via {first[:60]!r}")
    host, port = _host_and_port(re.sub(r"\s*:\s*", ":", sent_by.strip()))
    return Via(parts[2].upper(), host, port, parse_parameters(parameters) if semicolon else {})


def tag_of(value: str) -> str:
    """The tag of a From or To, looking at nothing else; empty where there is none."""
    _, found, rest = value[value.rfind(">") + 1 :].partition(";tag=")
    if found:
        return rest.partition(";")[0].strip()
    if "tag" not in value.lower():
        return ""
    return parse_name_addr(value).parameters.get("tag", "")


def branch_of(via: str) -> str:
    """The branch of the topmost hop of a value, looking at nothing else; empty where there is none."""
    _, found, rest = via.partition(";branch=")
    if found:
        return rest.partition(";")[0].partition(",")[0].strip()
    return parse_via(via).parameters.get("branch", "")


def address_in(value: str) -> str:
    """The URI of a name-addr as it was written."""
    _, bracket, rest = value.partition("<")
    return rest.partition(">")[0] if bracket else value.partition(";")[0].strip()


def parse_challenge(value: str) -> tuple[str, dict[str, str]]:
    """Scheme, in lower case, and parameters of WWW-Authenticate, Authorization and their like."""
    scheme, _, rest = value.strip().partition(" ")
    parameters: dict[str, str] = {}
    end = count = 0
    for pair in _PAIR.finditer(rest):  # as they are usually written
        if pair.start() != end:
            break
        end, count = pair.end(), count + 1
        parameters[pair[1].lower()] = pair[3] if pair[2] is None else pair[2]
    if 0 < count == len(parameters) and end == len(rest) and rest[-1:] != ",":
        return scheme.lower(), parameters
    parameters = {}
    for part in split(rest, ","):
        name, equals, text = part.partition("=")
        name, text = name.strip().lower(), text.strip()
        if not equals or not _TOKEN(name) or name in parameters or (text[:1] != '"' and " " in text):
            raise MalformedMessage(f"challenge {value[:60]!r}")
        parameters[name] = unquote(text)
    return scheme.lower(), parameters
