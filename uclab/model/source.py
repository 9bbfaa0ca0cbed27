"""From a file to a tree of values that know their line and column.

YAML is read as a stream of events by PyYAML and turned into nodes here, not by a constructor: so each value
keeps its place, duplicate keys are seen, nesting and aliases are bounded, and no tag creates an object.
Scalars follow the core schema of YAML 1.2: `yes`, `010`, `12:30` are text, no truth value, octal or base 60.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from uclab.model.diagnostic import Diagnostic, TopologyError, shown
from uclab.model.syntax import syntax_mistake
from uclab.model.visible import harmful_in, visible

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 50_000

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip

Scalar = str | int | float | bool | None
Plain = Scalar | list["Plain"] | dict[str, "Plain"]


@dataclass(eq=False)
class Node:
    """A value of the file and its place (from 1)."""

    line: int
    column: int
    value: Scalar | list[Node] | dict[str, Node]
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Line and column of each key of a mapping."""
    size: int = 1
    """Values in it, aliases counted in full."""
    depth: int = 1
    tagged: bool = False
    """Whether a tag stands before it: a mistake already, whatever the value."""


def plain(node: Node) -> Plain:
    """The bare value of a node."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def read_text(path: Path, file: str, below: Path | None = None) -> str:
    """The text of a file; raises TopologyError with the one mistake that it cannot be had.

    A file that another file names is `below` a folder, whatever links are on the way: else who writes a
    topology for root to check could have any file of the machine read to him.
    """

    def refuse(found: str, allowed: str, line: int = 0) -> TopologyError:
        return TopologyError([Diagnostic(file, line, 1 if line else 0, "", found, allowed)])

    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise refuse("is a directory", "name a YAML file in it")
        if not stat.S_ISREG(mode):
            raise refuse("is not a regular file", "name a YAML file")
        with open(path, "rb", opener=_at_once) as stream:
            if not _is_below(stream.fileno(), below):
                raise refuse("leads out of its folder by a link", "files below the topology's folder")
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise refuse("there is no such file", "name an existing YAML file") from None
    except PermissionError:
        raise refuse("may not be read by this user", "give read permission") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise refuse(f"cannot be read ({reason})", "name a readable YAML file") from None
    if len(raw) > MAX_BYTES:
        raise refuse("is larger than 1 MiB", "a topology is at most 1 MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        if b"\0" in raw:
            raise refuse("is not a text file", "YAML in UTF-8") from None
        raise refuse(f"byte 0x{raw[error.start]:02x} is not UTF-8", "save the file as UTF-8", line) from None
    for number, content in enumerate(text.split("\n"), 1):
        if odd := re.search(r"[^\t\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", content):
            code = ord(odd.group())
            raise refuse(
                f"character U+{code:04X} is not printable", "YAML in UTF-8 without control characters", number
            )
    return text


def _at_once(path: str, flags: int) -> int:
    """An opener that does not wait for whoever writes a FIFO."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def _is_below(descriptor: int, folder: Path | None) -> bool:
    """Whether an open file is below a folder; asked of the file itself, which nobody can exchange any
    more."""
    return folder is None or Path(os.readlink(f"/proc/self/fd/{descriptor}")).is_relative_to(folder.resolve())


def parse(text: str, file: str) -> tuple[Node, list[Diagnostic]]:
    """The file's one document as nodes, and mistakes that leave it readable (duplicate keys, tags).

    Raises TopologyError where nothing further can be known: wrong syntax, no document or several, too deep,
    too many values.
    """
    try:
        return _Composer(file).compose(yaml.parse(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise TopologyError([syntax_mistake(error, file, text)]) from None


class _Composer:
    """Builds nodes from events, with a stack of its own: no input can make it recurse."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Diagnostic] = []
        self.root: Node | None = None
        self.open: list[Node] = []
        self.pending: list[tuple[str, int, int] | None] = []
        """For each open mapping the key that waits for its value."""
        self.anchors: dict[str, Node] = {}
        self.total = 0

    def compose(self, events: Iterator[yaml.Event]) -> tuple[Node, list[Diagnostic]]:
        for event in events:
            mark = event.start_mark
            line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
            match event:
                case yaml.DocumentStartEvent() if self.root is not None:
                    raise self._stop(
                        line, column, "a second document begins (`---`)", "one document in a file"
                    )
                case yaml.ScalarEvent():
                    self._begin(event, Node(line, column, self._scalar(event, line, column)))
                case yaml.MappingStartEvent():
                    self._nest(event, Node(line, column, {}))
                case yaml.SequenceStartEvent():
                    self._nest(event, Node(line, column, []))
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self.pending.pop()
                    self._attach(self.open.pop())
                case yaml.AliasEvent():
                    alias = self._aliased(event.anchor or "", line, column)
                    self._attach(alias, counts=alias.size)
        if self.root is None or self.root.value is None:
            raise TopologyError([Diagnostic(self.file, 0, 0, "", "is empty", "keys and values are needed")])
        return self.root, self.mistakes

    def _stop(self, line: int, column: int, found: str, allowed: str) -> TopologyError:
        return TopologyError([*self.mistakes, Diagnostic(self.file, line, column, "", found, allowed)])

    def _scalar(self, event: yaml.ScalarEvent, line: int, column: int) -> Scalar:
        text: str = event.value
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise self._stop(line, column, "half of a surrogate pair in an escape", "whole characters")
        if harmful := harmful_in(text):
            self.mistakes.append(
                Diagnostic(
                    self.file, line, column, "", f"{harmful} in {shown(text)}", "text without such characters"
                )
            )
            text = visible(text)
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
            number = float(text)
            return number if abs(number) < 1e300 else text
        return text

    def _begin(self, event: yaml.NodeEvent, node: Node) -> None:
        self._know(event, node)
        self._attach(node)

    def _nest(self, event: yaml.NodeEvent, node: Node) -> None:
        self._know(event, node)
        if len(self.open) >= MAX_DEPTH:
            raise self._stop(
                node.line, node.column, f"nested deeper than {MAX_DEPTH} levels", "a topology needs 6"
            )
        self.open.append(node)
        self.pending.append(None)

    def _know(self, event: yaml.NodeEvent, node: Node) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            node.tagged = True
            written = "!!" + tag[18:] if tag.startswith("tag:yaml.org,2002:") else tag
            self.mistakes.append(
                Diagnostic(
                    self.file,
                    node.line,
                    node.column,
                    "",
                    f"tag {shown(written)}",
                    "values are written without tags",
                )
            )
        if event.anchor is not None:
            self.anchors[event.anchor] = node

    def _aliased(self, anchor: str, line: int, column: int) -> Node:
        node = self.anchors.get(anchor)
        if node is None:
            raise self._stop(
                line, column, f"alias {shown('*' + anchor)} has no anchor before it", f"define `&{anchor}`"
            )
        if node in self.open:
            raise self._stop(
                line, column, f"alias {shown('*' + anchor)} contains itself", "aliases of finished values"
            )
        return node

    def _attach(self, node: Node, counts: int = 1) -> None:
        """Put a finished node where it belongs: into the list or mapping that is open, as key or as value."""
        self.total += counts
        if self.total > MAX_VALUES:
            raise self._stop(
                node.line, node.column, "too many values, aliases counted", f"at most {MAX_VALUES}"
            )
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        if isinstance(parent.value, list):
            parent.value.append(node)
        elif isinstance(parent.value, dict) and not self._keep_pair(parent, parent.value, node):
            return
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if len(self.open) + node.depth > MAX_DEPTH + 1:
            raise self._stop(
                node.line, node.column, f"nested deeper than {MAX_DEPTH} levels", "a topology needs 6"
            )

    def _keep_pair(self, parent: Node, pairs: dict[str, Node], node: Node) -> bool:
        """Take a node of a mapping, in turn key and value; True where a pair is complete and new."""
        waiting = self.pending[-1]
        if waiting is None:
            if isinstance(node.value, list | dict):
                raise self._stop(node.line, node.column, f"{shown(plain(node))} as a key", "keys are words")
            key = str(node.value) if node.value is not None else ""
            self.pending[-1] = (key, node.line, node.column)
            return False
        self.pending[-1] = None
        key, line, column = waiting
        if key in pairs:
            first = parent.keys[key][0]
            self.mistakes.append(
                Diagnostic(
                    self.file,
                    line,
                    column,
                    "",
                    f"key {shown(key)} is given twice",
                    f"first given on line {first}",
                )
            )
            return False
        pairs[key] = node
        parent.keys[key] = (line, column)
        return True
