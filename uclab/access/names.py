"""Names that become paths, addresses of the API and commands of phones: patterns, held wherever a name comes
in."""

from __future__ import annotations

import re
from dataclasses import dataclass


class WrongName(ValueError):
    """A name that is none; the message says what was found and what is allowed."""


@dataclass(frozen=True)
class Form:
    """How the names of one kind of thing look."""

    pattern: str
    """The whole name; without anchors."""
    allowed: str
    """The same in words."""

    @property
    def whole(self) -> str:
        """The pattern with anchors, as models and JSON Schema take it."""
        return f"^(?:{self.pattern})$"

    def fits(self, name: str) -> bool:
        """Whether a name is of this form."""
        return re.fullmatch(self.pattern, name) is not None

    def checked(self, what: str, name: str) -> str:
        """The name itself; `WrongName` where it is not of this form."""
        if not self.fits(name):
            raise WrongName(f"{what} {quoted(name)} is no name; allowed: {self.allowed}")
        return name


LAB = Form(
    "[A-Za-z0-9][A-Za-z0-9._-]{0,79}",
    "at most 80 letters, digits, `.`, `_` and `-`, of which the first is a letter or a digit",
)
"""A lab: its folder is called so."""
DEVICE = Form(
    "[A-Za-z0-9][A-Za-z0-9._:-]{0,63}",
    "at most 64 letters, digits, `.`, `_`, `:` and `-`, of which the first is a letter or a digit",
)
"""What a network consists of: devices, switches, endpoints, links, circuits; and kinds of calls. Wider than
any such name is, so that who mistypes one is told those that there are."""
PARTY = Form(
    r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}|\+[0-9]{1,20}",
    "the name of an endpoint, or a telephone number of `+` and digits",
)
"""Who is called."""
CALL = Form(
    "[A-Za-z0-9+][A-Za-z0-9+._-]{0,159}",
    "at most 160 letters, digits, `+`, `.`, `_` and `-`, of which the first is a letter, a digit or `+`",
)
"""A call: its recordings are called so."""
MESSAGES = Form(
    "[A-Za-z0-9][A-Za-z0-9._:-]{0,159}",
    "at most 160 letters, digits, `.`, `_`, `:` and `-`, of which the first is a letter or a digit",
)
"""Messages that are sent one after the other; each of them has a number behind it."""
TEXT = Form("[ -~]{1,500}", "a line of 1 to 500 ASCII characters")
"""What a text message says: the same bytes wherever it passes."""
PORT = Form(
    r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}(?:/[0-9]{1,5})?",
    "a customer as `uclab circuit list` shows it, or a port such as `sdx1-1/1`",
)
"""Where a private circuit ends."""


ADDRESS = Form(
    "[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?", "an address such as `192.168.56.10`, or a host's name"
)
"""Another machine."""


def as_name(text: str) -> str:
    """A text with hyphens for all that no name has, for what is named after something (pure)."""
    return re.sub("[^A-Za-z0-9._-]", "-", text)[:60].lstrip(".-_") or "unnamed"


def quoted(name: str) -> str:
    """A name as a message shows it: short, and harmless to a terminal."""
    text = name[:60].encode("unicode_escape").decode() if not name.isprintable() else name[:60]
    return f"`{text[:40]}…`" if len(text) > 40 else f"`{text}`"
