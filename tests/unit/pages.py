"""README and docs as tests read them: fenced blocks, commands in them, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGES = (
    PROJECT / "README.md",
    *sorted((PROJECT / "docs").glob("*.md")),
    PROJECT / "benchmarks" / "README.md",
)

FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(?P<text>[^`\n]+)`(?!`)")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
STATUS = re.compile(r"# exit status (?P<status>\d+)")
SEPARATORS = {"|", "&&", ";"}
PREFIXES = {"sudo", "nice"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """One command that a page tells its reader to run."""

    page: str
    words: tuple[str, ...]
    """Without `sudo`, variables in front and `.venv/bin/`."""
    status: int = 0
    """What the page says of its exit status in a comment."""

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def blocks(*languages: str) -> Iterator[Block]:
    """All fenced blocks in these languages."""
    for page in PAGES:
        for found in FENCE.finditer(page.read_text()):
            if found["language"] in languages:
                yield Block(name_of(page), found["language"], found["text"])


def name_of(page: Path) -> str:
    """A page's path from the project's folder."""
    return str(page.relative_to(PROJECT))


def commands() -> Iterator[Command]:
    """All commands in `sh` blocks and, behind their prompts, in `console` blocks."""
    for block in blocks("sh", "console"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if block.language == "console":
                if not line.startswith("$ "):
                    continue
                line = line.removeprefix("$ ")
            yield from in_line(block.page, line)


def in_line(page: str, line: str) -> Iterator[Command]:
    """The commands of one line of shell."""
    stated = STATUS.search(line)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in SEPARATORS:
            words.append(word)
            continue
        while words and (words[0] in PREFIXES or re.match(r"\w+=", words[0])):
            words.pop(0)
        if words:
            words[0] = words[0].removeprefix(".venv/bin/")
            yield Command(page, tuple(words), int(stated["status"]) if stated else 0)
        words = []


def inline_commands(program: str) -> Iterator[Command]:
    """Commands of a program in the running text: `uclab plan T`."""
    for page in PAGES:
        text = FENCE.sub("", page.read_text())
        for found in INLINE.finditer(text):
            words = found["text"].removeprefix(".venv/bin/").split()
            if words[:1] == [program] and len(words) > 1:
                yield Command(name_of(page), tuple(words))


def links() -> Iterator[tuple[Path, str]]:
    """All links to places in the project: the page and the target."""
    for page in PAGES:
        for found in LINK.finditer(FENCE.sub("", page.read_text())):
            if not re.match(r"\w+:", found["target"]):
                yield page, found["target"]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and GitLab make them."""
    headings = (found["text"] for found in HEADING.finditer(FENCE.sub("", page.read_text())))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
