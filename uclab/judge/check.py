"""What a check is: which runs it judges, which findings it makes, and what each of these says when it holds.

Checks declare themselves in their own modules (entry points `uclab.checks`); docs/judging.md is made of what
they declare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from uclab.declarations import Declarations
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.incidents import JudgedIncident
from uclab.judge.result.judgement import Finding
from uclab.judge.result.media import Walk
from uclab.records.run import Checks

EVERY_RUN: frozenset[Checks] = frozenset(("reference", "failover", "load", "capacity"))
WITH_CALLS: frozenset[Checks] = frozenset(("reference", "failover"))
"""Runs whose signalling is dissected: their calls are few."""
WITH_MEDIA: frozenset[Checks] = WITH_CALLS | {"load"}
REFERENCE: frozenset[Checks] = frozenset(("reference",))


@dataclass(frozen=True)
class Examined:
    """What a check looks at."""

    evidence: RunEvidence
    walks: tuple[Walk, ...] = ()
    """Media of calls from tap to tap, one for each direction that was seen."""
    incidents: tuple[JudgedIncident, ...] = ()


@dataclass(frozen=True)
class FindingKind:
    """A finding as it is documented."""

    id: str
    """`family.name`; `family.*` for several that another page describes."""
    requirements: tuple[str, ...]
    holds: str
    """When, as Markdown."""


@dataclass(frozen=True)
class Check:
    """One look at a run."""

    runs: frozenset[Checks]
    find: Callable[[Examined], Iterable[Finding]]
    findings: tuple[FindingKind, ...]


CHECKS: Declarations[Check] = Declarations("uclab.checks", "check")
"""All checks by name."""
FAMILIES = (
    *(
        "scenario",
        "call",
        "audio",
        "signalling",
        "message",
        "media",
        "privacy",
        "hub",
        "abuse",
        "qos",
        "carrier",
    ),
    *("sdwan", "path", "quality", "vlan", "peering", "circuit", "failover", "load", "capacity", "lab"),
    "capture",
)
"""In which order findings are told; those of other packages come last."""


def in_order() -> list[Check]:
    """All checks, by the family of their first finding and then by name."""

    def place(item: tuple[str, Check]) -> tuple[int, str]:
        family = item[1].findings[0].id.partition(".")[0]
        return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), item[0]

    return [check for _, check in sorted(CHECKS.items(), key=place)]
