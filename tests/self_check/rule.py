"""What a rule is: changes of a clean run's evidence, each with what the judge must say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from tests.self_check.evidence import CleanRun, Copy
from uclab.judge.result.judgement import Finding, Judgement

Kind = Literal["fault", "lost", "harmless"]
"""`fault`: the network or an endpoint did wrong. `lost`: the evidence is not whole, or contradicts itself;
the network did nothing. `harmless`: nothing of any weight."""
Outcome = Literal["found", "missed", "wrong culprit", "false accusation"]


@dataclass(frozen=True)
class Change:
    """One change at one place."""

    rule: str
    kind: Kind
    place: str
    apply: Callable[[Copy], None]
    findings: frozenset[str] = frozenset()
    """At least one of these must fail (of a fault), or be not shown (of lost evidence)."""
    culprits: frozenset[str] = frozenset()
    """One of these must be blamed, and nobody else; none: no device is to be blamed."""
    or_not_shown: bool = False
    """Of a fault: enough if one of the findings is not shown. Of lost evidence: nothing may tell."""


@dataclass(frozen=True)
class Result:
    """What the judge said of a change."""

    rule: str
    kind: Kind
    place: str
    topology: str
    outcome: Outcome
    words: str


Maker = Callable[[CleanRun], Iterator[Change]]


@dataclass
class Rules:
    """All rules by name, in the order of the table."""

    makers: dict[str, tuple[Kind, str, Maker]] = field(default_factory=dict)

    def rule(self, name: str, kind: Kind) -> Callable[[Maker], Maker]:
        """Registers a rule; its docstring says what it does and what must come of it."""

        def take(maker: Maker) -> Maker:
            self.makers[name] = kind, " ".join((maker.__doc__ or "").split()), maker
            return maker

        return take


RULES = Rules()
rule = RULES.rule


def outcome(change: Change, before: Judgement, after: Judgement) -> tuple[Outcome, str]:
    """Holds what was said of the changed evidence against the declaration; and the words that tell."""
    known = {(f.id, f.subject, f.verdict) for f in before.findings}
    new = [f for f in after.findings if (f.id, f.subject, f.verdict) not in known]
    failed = [f for f in new if f.verdict == "fail"]
    unsure = [f for f in new if f.verdict == "not-shown"]
    if change.kind == "fault":
        return _of_fault(change, failed, unsure)
    if failed:
        return "false accusation", _in_words(failed[0])
    if change.kind == "harmless":
        return ("false accusation", _in_words(unsure[0])) if unsure else ("found", "")
    right = [f for f in unsure if f.id in change.findings]
    if right and after.verdict == "not-shown":
        return "found", _in_words(right[0])
    if change.or_not_shown and not unsure:
        return "found", "nothing"
    return "missed", _in_words(unsure[0]) if unsure else "nothing"


def _of_fault(change: Change, failed: list[Finding], unsure: list[Finding]) -> tuple[Outcome, str]:
    def is_one(blame: str | None) -> bool:
        """A device, or a port of it."""
        return blame is not None and bool({blame, blame.partition(":")[0]} & change.culprits)

    right = [f for f in failed if f.id in change.findings]
    others = [f for f in failed if f.blame is not None and not is_one(f.blame)]
    if others:
        return "wrong culprit", _in_words(others[0])
    if right and (not change.culprits or any(is_one(f.blame) for f in right)):
        return "found", _in_words(right[0])
    if right:
        return "wrong culprit", _in_words(right[0])
    doubted = [f for f in unsure if f.id in change.findings]
    if doubted and change.or_not_shown:
        return "found", _in_words(doubted[0])
    told = [*failed, *unsure]
    return "missed", _in_words(told[0]) if told else "nothing"


def _in_words(finding: Finding) -> str:
    blamed = f", blames {finding.blame}" if finding.blame else ""
    return f"{finding.id} {finding.subject} {finding.verdict}{blamed}: {finding.observed[:140]}"
