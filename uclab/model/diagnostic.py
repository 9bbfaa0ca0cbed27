"""An error in a file, worded so that its writer can fix it: where, what was found, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnostic:
    """One error. `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    path: str
    """Where in the file's structure, e.g. `sites[hq].switches[acc2].uplinks[0]`; empty for the whole file."""
    found: str
    allowed: str
    hint: str | None = None
    """The closest allowed value, where one is close."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:" if self.line else f"{self.file}:"
        path = f" {self.path}:" if self.path else ""
        hint = f" (did you mean `{self.hint}`?)" if self.hint else ""
        return printable(f"{where}{path} {self.found}; {self.allowed}{hint}")


class TopologyError(Exception):
    """A topology, or a profile or policy that it names, has errors: all of them, in the order of lines."""

    def __init__(self, mistakes: Iterable[Diagnostic]) -> None:
        self.mistakes = in_order(mistakes)
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        return "\n".join(str(mistake) for mistake in self.mistakes)


def in_order(mistakes: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Mistakes by file (in the order in which files were read) and place, without repeats."""
    unique = list(dict.fromkeys(mistakes))
    files = list(dict.fromkeys(mistake.file for mistake in unique))
    return tuple(sorted(unique, key=lambda m: (files.index(m.file), m.line, m.column, m.path, m.found)))


def closest(word: object, known: Iterable[str]) -> str | None:
    """The known word that is most like what was written, if one is like it."""
    if not isinstance(word, str) or len(word) > 80:
        return None
    matches = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def printable(text: str) -> str:
    """The text with an escape for each character that a terminal does not show as itself: whatever a message
    quotes, names of other entries too, somebody wrote."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(value: object) -> str:
    """A value as it is put into a message: in backticks, short, and harmless to a terminal."""
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = printable(str(value)[:60])
    return f"`{text[:40]}…`" if len(text) > 40 else f"`{text}`"


def listed(words: Iterable[str], most: int = 12) -> str:
    """Words for a message: `a`, `b`, `c`; shortened where there are many."""
    known = list(words)
    text = ", ".join(f"`{word}`" for word in known[:most])
    return f"{text} and {len(known) - most} more" if len(known) > most else text or "none"
