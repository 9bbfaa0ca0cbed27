"""Text from files, packets and programs, made harmless for terminals, pictures, pages and logs (pure).

Control characters command a terminal (ECMA-48); marks of direction (Unicode's Bidi_Control) and separators
make a line read otherwise than it is. Neither has a place in a name, a title or a message.
"""

from __future__ import annotations

import html
import re

_DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
HARMFUL = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_DIRECTION}\ud800-\udfff\ufeff\ufffe\uffff]")
"""All but tabulator and line feed, which lay text out."""
_NAMES = {"\x1b": "ESC", "\r": "carriage return", "\x00": "NUL"}


def visible(text: str) -> str:
    """The text with every harmful character as an escape, such as `\\x1b`."""
    return HARMFUL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def harmful_in(text: str) -> str | None:
    """The first harmful character of a text in words; None where there is none."""
    found = HARMFUL.search(text)
    if found is None:
        return None
    mark = found.group()
    kind = "a mark of direction" if re.match(f"[{_DIRECTION}]", mark) else "a control character"
    name = f" ({_NAMES[mark]})" if mark in _NAMES else ""
    return f"{kind}, U+{ord(mark):04X}{name}"


def as_markup(text: str) -> str:
    """The text as a part of HTML, XML or SVG."""
    return html.escape(visible(text))
