"""What a deliberate fault is, and the list of all of them: modules of faults register theirs here (entry
points `uclab.faults`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from uclab.declarations import Declarations
from uclab.plan.schema.plan import Plan

T = TypeVar("T")
Change = Callable[[Plan, str | None], Plan]


@dataclass(frozen=True)
class Fault:
    """A deliberate fault. `apply` raises KeyError where the plan has nothing that it fits, or not that
    target."""

    name: str
    summary: str
    breaks: tuple[str, ...]
    """Ids of the findings that must fail; no others may, but those of `may_break`."""
    apply: Change
    may_break: tuple[str, ...] = ()
    """What fails as a consequence, or does not: chance has a say in how hard the fault strikes."""
    scenario: str = "reference"
    """In which it shows."""
    incidents: tuple[str, ...] = ()
    """Of that scenario; all where empty."""
    blames: str | None = None
    """The device, hop or port that the findings must name on `topology`; None where captures cannot tell."""
    topology: str = "small-office"
    """A reference topology that has something for it, where it is tried."""

    def is_caught_by(self, failed: Collection[str]) -> bool:
        """Whether these findings, having failed, are those of this fault."""
        return set(self.breaks) <= set(failed) <= {*self.breaks, *self.may_break}


FAULTS: Declarations[Fault] = Declarations("uclab.faults", "fault")
"""All faults by name."""


def registered(
    name: str,
    summary: str,
    *breaks: str,
    may_break: tuple[str, ...] = (),
    scenario: str = "reference",
    incidents: tuple[str, ...] = (),
    blames: str | None = None,
    topology: str = "small-office",
) -> Callable[[Change], Change]:
    """Puts a change of plans on the list of faults."""

    def register(change: Change) -> Change:
        def apply(plan: Plan, target: str | None = None) -> Plan:
            return replace(
                change(plan, target), faults=(*plan.faults, name if target is None else f"{name}:{target}")
            )

        FAULTS.declare(
            name, Fault(name, summary, breaks, apply, may_break, scenario, incidents, blames, topology)
        )
        return apply

    return register


def pick(things: Mapping[str, T], target: str | None, what: str) -> T:
    """The thing of that name, the first where none is asked for; KeyError that says what there is."""
    if target is None and things:
        return next(iter(things.values()))
    if target is None or target not in things:
        raise KeyError(f"no {what} {target or ''}".strip() + f"; there is {', '.join(things) or 'none'}")
    return things[target]
