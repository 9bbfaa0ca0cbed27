"""Session descriptions (RFC 4566, RFC 3264, RFC 4568): one stream of G.711 or Opus, with or without SRTP.

Pure. What is not understood of another's description is passed over; what is needed and wrong raises
`WrongDescription`.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from dataclasses import dataclass, replace
from typing import Literal, cast

from endpoints_emu.load.codec import NAMES
from uclab.plan.load.record import OPUS_PAYLOAD

SUITE = "AES_CM_128_HMAC_SHA1_80"
KEY_BYTES = 30
"""Master key and salt of that suite (RFC 4568 section 6.2)."""
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: dict[str, tuple[bool, bool]] = {
    "sendrecv": (True, True),
    "sendonly": (True, False),
    "recvonly": (False, True),
    "inactive": (False, False),
}
"""Whether its sender sends, and whether it receives."""
STATIC = (0, 8)
"""Payload types that need no description (RFC 3551)."""


class WrongDescription(ValueError):
    """No media can be agreed upon by this description."""


@dataclass(frozen=True, slots=True)
class Description:
    """One side of a session."""

    address: str
    port: int
    """0: the stream is refused."""
    payloads: tuple[int, ...] = (0, 8)
    """Payload types, the preferred one first."""
    direction: Direction = "sendrecv"
    key: bytes | None = None
    """SRTP master key and salt that its sender protects with; None: plain RTP."""
    tag: int = 1
    """Of the crypto line."""
    rtcp_port: int = 0
    """0: the port after the media's."""
    version: int = 1
    packet_ms: int = 20

    @property
    def control_port(self) -> int:
        """Where RTCP goes."""
        return self.rtcp_port or self.port + 1

    def render(self, origin: str = "1") -> str:
        """As it stands in a message."""
        formats = " ".join(map(str, self.payloads))
        crypto = ""
        if self.key is not None:
            inline = base64.b64encode(self.key).decode()
            crypto = f"a=crypto:{self.tag} {SUITE} inline:{inline}\r\n"
        maps = "".join(f"a=rtpmap:{number} {NAMES[number]}\r\n" for number in self.payloads)
        return (
            f"v=0\r\no=- {origin} {self.version} IN IP4 {self.address}\r\ns=-\r\nc=IN IP4 {self.address}\r\n"
            f"t=0 0\r\nm=audio {self.port} RTP/{'SAVP' if self.key is not None else 'AVP'} {formats}\r\n"
            f"{maps}{crypto}a=ptime:{self.packet_ms}\r\na={self.direction}\r\n"
        )

    def answering(self, offer: Description) -> Description:
        """This side's answer to the other's offer. Raises `WrongDescription` where nothing fits."""
        common = tuple(number for number in offer.payloads if number in self.payloads)
        if not common:
            raise WrongDescription("no codec in common")
        if (self.key is None) != (offer.key is None):
            raise WrongDescription(f"the offer is {'plain' if offer.key is None else 'encrypted'} media")
        direction = _answering(self.direction, offer.direction)
        return replace(self, payloads=common[:1], direction=direction, tag=offer.tag)


def _answering(own: Direction, offered: Direction) -> Direction:
    """What to answer to an offer (RFC 3264 section 6.1): what both want, so that holding goes on."""
    sends, receives = DIRECTIONS[own]
    offers, takes = DIRECTIONS[offered]
    wanted = (sends and takes, receives and offers)
    return cast(Direction, next(name for name, both in DIRECTIONS.items() if both == wanted))


def parse(body: bytes) -> Description:
    """The first audio stream of a description. Raises `WrongDescription`."""
    try:
        lines = body.decode().splitlines()
    except UnicodeDecodeError:
        raise WrongDescription("not UTF-8") from None
    if not lines or lines[0].strip() != "v=0":
        raise WrongDescription("does not begin with v=0")
    address, media, here = "", None, True
    key, tag, rtcp_port = None, 1, 0
    known = set(STATIC)
    direction: Direction = "sendrecv"
    for line in lines[1:]:
        kind, equals, value = line.partition("=")
        if not equals or len(kind) != 1:
            raise WrongDescription(f"line {line[:40]!r}")
        if kind == "m":
            here = media is None and value.startswith("audio ")
            media = value.split() if here else media
        elif kind == "c" and here:
            address = value.rpartition(" ")[2].partition("/")[0]
        elif kind == "a" and here:
            name, _, text = value.partition(":")
            if name in DIRECTIONS:
                direction = cast(Direction, name)
            elif name == "rtpmap" and text.lower() == f"{OPUS_PAYLOAD} {NAMES[OPUS_PAYLOAD]}":
                known.add(OPUS_PAYLOAD)
            elif name == "rtcp":
                rtcp_port = _port(text.split()[0] if text else "")
            elif name == "crypto" and key is None:
                key, tag = _crypto(text)
    if media is None or len(media) < 4:
        raise WrongDescription("no audio stream")
    secure = media[2] in ("RTP/SAVP", "RTP/SAVPF")
    if not secure and media[2] not in ("RTP/AVP", "RTP/AVPF"):
        raise WrongDescription(f"profile {media[2][:20]}")
    port = _port(media[1])
    if secure and key is None and port:
        raise WrongDescription(f"SRTP without a key for {SUITE}")
    try:
        address = str(ipaddress.IPv4Address(address))
    except ValueError:
        raise WrongDescription(f"address {address[:40]!r}") from None
    payloads = tuple(
        int(word) for word in media[3:] if word.isascii() and word.isdigit() and int(word) in known
    )
    return Description(address, port, payloads, direction, key if secure else None, tag, rtcp_port)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise WrongDescription(f"port {text[:20]!r}")
    return int(text)


def _crypto(text: str) -> tuple[bytes | None, int]:
    """Key and tag of a crypto line; no key where it is for another suite."""
    words = text.split()
    if len(words) < 3 or words[1] != SUITE or not words[2].startswith("inline:"):
        return None, 1
    try:
        key = base64.b64decode(words[2][7:].partition("|")[0], validate=True)
        tag = int(words[0])
    except (binascii.Error, ValueError):
        raise WrongDescription("a key that is not base64") from None
    if len(key) != KEY_BYTES:
        raise WrongDescription(f"a key of {len(key)} bytes")
    return key, tag
