"""A place in a file: what stands there, and how it is named in a message. The checks walk over places.

A file with mistakes has no typed form yet, so the checks read its raw values: each reader gives None for a
value that is absent or already reported, and a check that meets None has nothing to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from uclab.model.diagnostic import Diagnostic
from uclab.model.schema_types import DSCP_NAMES
from uclab.model.source import Node, plain

Key = str | int
Path = tuple[Key, ...]


@dataclass(frozen=True)
class Document:
    """A file that could be read: its nodes, and the paths at which a mistake is known already."""

    file: str
    root: Node
    wrong: frozenset[Path] = frozenset()

    @cached_property
    def touched(self) -> frozenset[Path]:
        """The paths at or below which a mistake is known."""
        return frozenset(path[:length] for path in self.wrong for length in range(len(path) + 1))


@dataclass(frozen=True)
class YamlLocation:
    """A value of a document, or the gap where one could be (`node` is None)."""

    document: Document
    path: Path = ()
    label: str = ""
    node: Node | None = None
    line: int = 0
    column: int = 0

    @staticmethod
    def top(document: Document) -> YamlLocation:
        root = document.root
        return YamlLocation(document, node=root, line=root.line, column=root.column)

    def __getitem__(self, key: str) -> YamlLocation:
        """The value of a key; where it is absent the place is that of the mapping."""
        child = self.node.value.get(key) if self.node and isinstance(self.node.value, dict) else None
        label = f"{self.label}.{key}" if self.label else key
        at = child or self
        return YamlLocation(self.document, (*self.path, key), label, child, at.line, at.column)

    def __iter__(self) -> Iterator[YamlLocation]:
        """The entries of a list; none where there is no list. An entry with a name is labelled by it."""
        if self.node is not None and isinstance(self.node.value, list):
            yield from (self._entry(index, child) for index, child in enumerate(self.node.value))

    def _entry(self, index: int, child: Node) -> YamlLocation:
        name = child.value.get("name") if isinstance(child.value, dict) else None
        shown = name.value if name and isinstance(name.value, str) and name.value.isprintable() else index
        label = f"{self.label}[{str(shown)[:40]}]"
        return YamlLocation(self.document, (*self.path, index), label, child, child.line, child.column)

    def at(self, path: Path) -> YamlLocation:
        """The place at a path below this one."""
        place = self
        for key in path:
            inside = place.node.value if place.node else None
            if isinstance(key, str):
                place = place[key]
            elif isinstance(inside, list) and key < len(inside):
                place = place._entry(key, inside[key])
        return place

    @property
    def given(self) -> bool:
        """Whether anything stands here."""
        return self.node is not None

    @property
    def whole(self) -> bool:
        """Whether nothing of a mapping is known to be wrong: only then an absent key means its default."""
        return self.given and self.path not in self.document.touched

    @property
    def value(self) -> object:
        """The bare value, None where there is none."""
        return plain(self.node) if self.node else None

    @property
    def text(self) -> str | None:
        """Text, also where it is no valid name: what refers to it must not be reported a second time."""
        return self.node.value if self.node and isinstance(self.node.value, str) else None

    @property
    def number(self) -> int | None:
        """A whole number that its own field allows."""
        value = self.node.value if self.node and self.path not in self.document.wrong else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def number_or(self, default: int) -> int | None:
        """A whole number, the default where none is given, None where it is wrong."""
        return self.number if self.given else default

    @property
    def code_point(self) -> int | None:
        """A DSCP by name or number."""
        named = DSCP_NAMES.get(self.text.upper()) if self.text is not None else self.number
        return named if named is not None and 0 <= named <= 63 else None

    @property
    def amount(self) -> float | None:
        """A number that its own field allows."""
        value = self.node.value if self.node and self.path not in self.document.wrong else None
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def network(self) -> IPv4Network | None:
        """A network without host bits."""
        try:
            return IPv4Network(self.text) if self.text and "/" in self.text else None
        except (AddressValueError, NetmaskValueError, ValueError):
            return None

    @property
    def address(self) -> IPv4Address | None:
        """A single address."""
        try:
            return IPv4Address(self.text) if self.text else None
        except AddressValueError:
            return None

    def mistake(self, found: str, allowed: str, hint: str | None = None) -> Diagnostic:
        """A mistake at this place."""
        return Diagnostic(self.document.file, self.line, self.column, self.label, found, allowed, hint)
