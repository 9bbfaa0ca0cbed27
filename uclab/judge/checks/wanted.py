"""What was asked of a run: a check of something that nobody asked for is not applicable, and neither holds
nor fails nor stays unshown."""

from __future__ import annotations

from dataclasses import dataclass

from uclab.judge.checks.scenario import asked_calls
from uclab.judge.evidence.run import Run
from uclab.records.scenario import BY_HAND

NO_CALL, NO_BULK = "the scenario placed no call", "the scenario had no PC send anything"
"""Why a check is not applicable."""
OVERLOAD = "overload"
"""Kind of the calls for which the reference scenario starts bulk traffic."""


@dataclass(frozen=True)
class Wanted:
    """What there was to be in a run."""

    calls: bool
    bulk: bool
    """Traffic of PCs that fills the lines."""


def asked_for(run: Run) -> Wanted:
    """By the scenario's plan, or the orders by hand. Where nothing says what was asked for, all was."""
    if run.scenario is None or (run.scenario.name != BY_HAND and run.scenario.asked is None):
        return Wanted(calls=True, bulk=True)
    calls = asked_calls(run)
    load = run.scenario.asked is not None and run.scenario.asked.load is not None
    ordered = any(
        order.what == "bulk" and order.stage == "done" and order.subject == "start" for order in run.orders
    )
    started = any(event.source == "lab" and event.kind == "bulk-start" for event in run.events)
    return Wanted(
        calls=bool(calls or run.calls or load),
        bulk=ordered or started or any(call.kind == OVERLOAD for call in calls),
    )
