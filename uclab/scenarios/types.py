"""What a scenario is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from uclab.lab.client import LabClient
from uclab.plan.records import CallRecord
from uclab.plan.types import Plan


@dataclass(frozen=True)
class Step:
    """Progress of a scenario: `done` of `total` calls; `record` is the call that just ended."""

    text: str
    done: int
    total: int
    record: CallRecord | None = None


class Scenario(Protocol):
    """Drives `lab`; tells `notify` how far it is. Raises `LabError` or `LabGone`; a call that fails is a
    record, not an error."""

    def __call__(self, lab: LabClient, plan: Plan, notify: Callable[[Step], None]) -> None: ...
