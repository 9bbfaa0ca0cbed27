"""Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760): MD5 and SHA-256, with and without qop.

Pure functions; a client's answer to a challenge, and a server's check of one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from endpoints_emu.load.fields import parse_challenge
from endpoints_emu.load.message import MalformedMessage


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


ALGORITHMS: dict[str, Callable[[str], str]] = {"MD5": _md5, "SHA-256": _sha256}


class NoAnswer(Exception):
    """No challenge among those offered can be answered: another scheme, algorithm or protection."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: str = ""
    """`auth`, or empty: without nonce counting (RFC 2069)."""
    opaque: str = ""
    stale: bool = False
    """Only the nonce was too old; the password is not doubted."""


def choose(values: Sequence[str]) -> Challenge:
    """The first challenge, in the server's order, that can be answered (RFC 8760 section 2.4).

    Raises `NoAnswer`.
    """
    for value in values:
        try:
            scheme, given = parse_challenge(value)
        except MalformedMessage:
            continue
        algorithm = given.get("algorithm", "MD5").upper()
        offered = [word.strip() for word in given.get("qop", "").lower().split(",") if word.strip()]
        if scheme != "digest" or algorithm not in ALGORITHMS or (offered and "auth" not in offered):
            continue
        if "realm" not in given or "nonce" not in given:
            continue
        return Challenge(
            given["realm"],
            given["nonce"],
            algorithm,
            "auth" if offered else "",
            given.get("opaque", ""),
            given.get("stale", "").lower() == "true",
        )
    raise NoAnswer(f"no challenge that can be answered: {list(values)}")


@lru_cache(maxsize=256)
def _what(algorithm: str, method: str, uri: str) -> str:
    """The hash of what is asked for: the same for all accounts of a server."""
    return ALGORITHMS[algorithm](f"{method}:{uri}")


def response(
    challenge: Challenge, user: str, password: str, method: str, uri: str, cnonce: str, count: int = 1
) -> str:
    """The hash that proves the password (RFC 7616 section 3.4.1)."""
    hashed = ALGORITHMS[challenge.algorithm]
    secret = hashed(f"{user}:{challenge.realm}:{password}")
    what = _what(challenge.algorithm, method, uri)
    if challenge.qop:
        return hashed(f"{secret}:{challenge.nonce}:{count:08x}:{cnonce}:{challenge.qop}:{what}")
    return hashed(f"{secret}:{challenge.nonce}:{what}")


def credentials(
    challenge: Challenge, user: str, password: str, method: str, uri: str, cnonce: str, count: int = 1
) -> str:
    """The value of Authorization or Proxy-Authorization."""
    answer = response(challenge, user, password, method, uri, cnonce, count)
    counted = f', qop=auth, nc={count:08x}, cnonce="{cnonce}"' if challenge.qop else ""
    opaque = f', opaque="{challenge.opaque}"' if challenge.opaque else ""
    return (
        f'Digest username="{user}", realm="{challenge.realm}", nonce="{challenge.nonce}", uri="{uri}", '
        f'response="{answer}", algorithm={challenge.algorithm}{counted}{opaque}'
    )


def accepts(challenge: Challenge, password: str, method: str, value: str) -> bool:
    """A server's check of credentials that answer its own `challenge`. Malformed ones are wrong ones."""
    try:
        scheme, given = parse_challenge(value)
        count = int(given.get("nc", "1"), 16)
    except ValueError:
        return False
    if scheme != "digest" or given.get("nonce") != challenge.nonce or given.get("realm") != challenge.realm:
        return False
    expected = response(
        challenge,
        given.get("username", ""),
        password,
        method,
        given.get("uri", ""),
        given.get("cnonce", ""),
        count,
    )
    return hmac.compare_digest(expected, given.get("response", ""))
