"""The text messages of the scenarios (C1)."""

from __future__ import annotations

from uclab.plan.schema.plan import Plan
from uclab.plan.traffic.calls import reference_calls
from uclab.plan.traffic.incidents import in_turn
from uclab.records.scenario import AskedMessages

EACH_WAY = 3
"""In a row, so that their order shows."""
KINDS = ("desk-desk", "desk-soft")
"""Calls between two that are registered: neighbours, and a phone and a PC."""


THROUGH_AN_INCIDENT = 6
"""One way, from before something fails until after."""


def failover_messages(plan: Plan, incident: str) -> tuple[AskedMessages, ...]:
    """What two write to each other, at different sites where there are several, while something fails."""
    pair = [endpoint.name for endpoint in in_turn(plan)[:2]]
    if len(pair) < 2:
        return ()
    return tuple(
        AskedMessages(f"messages-{incident}-{sender}-{recipient}", sender, recipient, THROUGH_AN_INCIDENT)
        for sender, recipient in (pair, pair[::-1])
    )


def reference_messages(plan: Plan) -> tuple[AskedMessages, ...]:
    """What each of those who call each other writes to the other, and what the first member of each group
    writes to it."""
    groups = tuple(
        AskedMessages(f"messages-{group.members[0]}-{group.name}", group.members[0], group.name, EACH_WAY)
        for group in plan.message_groups
    )
    registered = {endpoint.name for endpoint in plan.endpoints if endpoint.registers}
    pairs = [
        (call.caller, call.callee)
        for call in reference_calls(plan)
        if call.kind in KINDS and {call.caller, call.callee} <= registered
    ]
    between = tuple(
        AskedMessages(f"messages-{sender}-{recipient}", sender, recipient, EACH_WAY)
        for first, second in dict.fromkeys(pairs)
        for sender, recipient in ((first, second), (second, first))
    )
    return (*between, *groups)
