"""Findings of one kind as one row: how many hold, and what is expected of all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from uclab.judge.result.judgement import Finding, Verdict, worst

MARKS = {"pass": "✓", "fail": "✗", "not-shown": "?", "not-applicable": "-"}
"""A verdict in one character."""
ELSE = "…"
MOST_TEXTS = 3
"""So many different expectations of one finding are given in full."""
"""Stands for the words in which the members of a group differ."""


@dataclass(frozen=True)
class Group:
    """Findings with the same id and requirements."""

    id: str
    requirement: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict that stands for all of them."""
        return worst(finding.verdict for finding in self.findings)

    @property
    def held(self) -> int:
        return sum(finding.verdict == "pass" for finding in self.findings)

    @property
    def asked(self) -> int:
        """How many there are to hold: those of this run."""
        return sum(finding.verdict != "not-applicable" for finding in self.findings)

    @property
    def expected(self) -> str:
        """What is expected of all: `…` where members differ in a word; a few texts with little in common are
        all given."""
        texts = tuple(dict.fromkeys(finding.expected for finding in self.findings))
        shared = common_text(texts)
        kept = sum(word != ELSE for word in shared.split())
        if len(texts) <= MOST_TEXTS and 2 * kept < min(len(text.split()) for text in texts):
            return "; ".join(texts)
        return shared

    @property
    def differ(self) -> bool:
        """Whether something else is expected of one member than of another."""
        return len({finding.expected for finding in self.findings}) > 1


def grouped(findings: Sequence[Finding]) -> tuple[Group, ...]:
    """By requirement and id."""
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[", ".join(finding.requirement), finding.id].append(finding)
    return tuple(
        Group(name, requirement, tuple(members)) for (requirement, name), members in sorted(groups.items())
    )


def common_text(texts: Iterable[str]) -> str:
    """The words that all texts share in order, with `…` for the others: `… calls …: established`."""
    shared: list[str] | None = None
    for text in dict.fromkeys(texts):
        words = text.split()
        shared = words if shared is None else _shared(shared, words)
    return " ".join(shared or [])


def _shared(left: list[str], right: list[str]) -> list[str]:
    kept: list[str] = []
    at_left = at_right = 0
    for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
        differ = block.a > at_left or block.b > at_right
        if differ and kept[-1:] != [ELSE]:
            kept.append(ELSE)
        for word in left[block.a : block.a + block.size]:
            if word != ELSE or kept[-1:] != [ELSE]:
                kept.append(word)
        at_left, at_right = block.a + block.size, block.b + block.size
    return kept
