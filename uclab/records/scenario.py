"""What was to happen in a run, and how it ended: without these nobody could tell a whole run from one that
was stopped half-way, or whose records have been cut.

```
scenario.json      the `ScenarioRecord`, written before the first action
scenario.end.json  the `ScenarioEnd`, of a scenario that is driven from outside the lab
orders.jsonl       an `OrderRecord` a line: what was asked of the lab, when it was asked and when it was done
lab.end.json       the `LabEnd`, the lab's last word: how long each file of records is
```
A lab that is driven by hand (`up`, `call`, `fail`, `down`) is a scenario of its own, `BY_HAND`: what was
asked by hand is what must be there. Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from uclab.records.run import Checks

SCENARIO, SCENARIO_END = "scenario.json", "scenario.end.json"
ORDERS, LAB_END = "orders.jsonl", "lab.end.json"
BY_HAND = "by-hand"
RECORD_FILES = (
    "calls.json",
    "messages.json",
    ORDERS,
    "events.jsonl",
    "incidents.json",
    "host.json",
    "sdwan/paths.jsonl",
    "pressure.jsonl",
    "captures/times.jsonl",
    "lines/*.json",
    "campaign/campaign.json",
    "campaign/measuring.json",
    "campaign/*.legs.jsonl",
    "campaign/*.accounts.jsonl",
    "campaign/*.callers.jsonl",
    "campaign/*.admissions.jsonl",
    "campaign/usage.jsonl",
    "campaign/queues.jsonl",
)
"""Patterns of the files that grow while a lab runs, and that the judge believes."""


@dataclass(frozen=True)
class AskedCall:
    """A call that is to be placed."""

    id: str
    caller: str
    callee: str
    """Endpoint, or an E.164 number."""
    kind: str
    seconds: float
    """How long it is to last."""
    transfer_to: str | None = None


@dataclass(frozen=True)
class AskedMessages:
    """Text messages that are to be sent, each when the one before was answered: `<id>-1`, `<id>-2`..."""

    id: str
    sender: str
    recipient: str
    count: int

    @property
    def ids(self) -> tuple[str, ...]:
        """Of each message, in order."""
        return tuple(f"{self.id}-{number}" for number in range(1, self.count + 1))


@dataclass(frozen=True)
class AskedIncident:
    """Something that is to be broken and restored."""

    name: str
    subject: str
    round: int


@dataclass(frozen=True)
class AskedLoad:
    """A campaign, or a measurement of capacity."""

    users: int
    generators: tuple[str, ...]
    duration_s: float
    """How long users are to be there; of a measurement from one call to the next."""
    calls: int = 0
    """How many calls are placed at most, of a measurement."""


@dataclass(frozen=True)
class Asked:
    """All that is to happen."""

    calls: tuple[AskedCall, ...] = ()
    incidents: tuple[AskedIncident, ...] = ()
    load: AskedLoad | None = None
    messages: tuple[AskedMessages, ...] = ()


@dataclass(frozen=True)
class ScenarioRecord:
    """Which scenario runs, the checks that it is to be judged by, and what is to happen."""

    name: str
    checks: Checks
    began_at: float = 0.0
    asked: Asked | None = None
    """None of a lab driven by hand: `orders.jsonl` has it."""


Ending = Literal["whole", "interrupted", "crashed"]


@dataclass(frozen=True)
class ScenarioEnd:
    """How a scenario ended."""

    at: float
    how: Ending
    why: str = ""
    """What interrupted it, or what it crashed with."""


@dataclass(frozen=True)
class OrderRecord:
    """Something was asked of the lab, or what was asked has been done."""

    number: int
    """The same of an order and of its end."""
    at: float
    stage: Literal["asked", "done", "refused"]
    what: Literal["call", "message", "bulk", "fail", "heal"]
    subject: str
    """Id of a call or of messages, link or device, `start` or `stop`."""
    call: AskedCall | None = None
    why: str = ""
    """Why it was refused."""
    messages: AskedMessages | None = None


@dataclass(frozen=True)
class FileLength:
    """How long a file of records was when the lab ended."""

    name: str
    bytes: int
    lines: int


@dataclass(frozen=True)
class LabEnd:
    """The lab has ended in order."""

    at: float
    files: tuple[FileLength, ...]
