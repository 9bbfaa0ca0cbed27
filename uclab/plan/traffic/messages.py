"""The text messages of the reference scenario (C1): between those who call each other, both ways."""

from __future__ import annotations

from uclab.plan.schema.plan import Plan
from uclab.plan.traffic.calls import reference_calls
from uclab.records.scenario import AskedMessages

EACH_WAY = 3
"""In a row, so that their order shows."""
KINDS = ("desk-desk", "desk-soft")
"""Calls between two that are registered: neighbours, and a phone and a PC."""


def reference_messages(plan: Plan) -> tuple[AskedMessages, ...]:
    """What each writes to the other; none where nobody calls a colleague."""
    registered = {endpoint.name for endpoint in plan.endpoints if endpoint.registers}
    pairs = [
        (call.caller, call.callee)
        for call in reference_calls(plan)
        if call.kind in KINDS and {call.caller, call.callee} <= registered
    ]
    return tuple(
        AskedMessages(f"messages-{sender}-{recipient}", sender, recipient, EACH_WAY)
        for first, second in dict.fromkeys(pairs)
        for sender, recipient in ((first, second), (second, first))
    )
