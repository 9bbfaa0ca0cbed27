"""What a scenario is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from uclab.lab.client import LabClient
from uclab.plan.schema.plan import Call, Plan
from uclab.records.run import CallRecord, Checks
from uclab.records.scenario import Asked, AskedCall


@dataclass(frozen=True)
class ScenarioProgress:
    """How far a scenario is: `done` of `total` calls; `record` is the call that just ended."""

    text: str
    done: int
    total: int
    record: CallRecord | None = None
    unit: str = "calls"
    """What is counted."""


@dataclass(frozen=True)
class Options:
    """What a user chose of a scenario."""

    incidents: tuple[str, ...] = ()
    """Names of incidents; all that the network can have where empty."""
    repeat: int = 1
    """How often each."""


class Drive(Protocol):
    """Drives `lab`; tells `notify` how far it is. Raises `LabError` or `LabGone`; a call that fails is a
    record, not an error."""

    def __call__(
        self, lab: LabClient, plan: Plan, notify: Callable[[ScenarioProgress], None], options: Options
    ) -> None: ...


@dataclass(frozen=True)
class Scenario:
    """What happens in a lab, and by which checks that is judged."""

    drive: Drive
    asked: Callable[[Plan, Options], Asked]
    """What is to happen: just this is driven, and recorded before."""
    checks: Checks = "reference"
    breaks: bool = False
    """It has incidents, which a user may choose."""


def asked_call(call: Call) -> AskedCall:
    """A planned call as it is written down before it is placed."""
    return AskedCall(call.id, call.caller, call.callee, call.kind, call.seconds, call.transfer_to)
