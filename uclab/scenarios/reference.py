"""The reference scenario: one call of each kind side by side on a quiet line, and text messages meanwhile;
then four calls at once while bulk traffic overloads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait

from uclab.lab.client import CallOrder, LabClient, MessageOrder
from uclab.plan.schema.plan import Call, Plan
from uclab.plan.traffic.calls import reference_calls, rounds
from uclab.plan.traffic.messages import reference_messages
from uclab.records.scenario import Asked, AskedMessages
from uclab.scenarios.types import Options, ScenarioProgress, asked_call


def reference(
    lab: LabClient, plan: Plan, notify: Callable[[ScenarioProgress], None], options: Options
) -> None:
    """Places the calls of `reference_calls(plan)` and sends its messages (C1 to C4, C7, C8); there is nothing
    to choose."""
    calls, messages = reference_calls(plan), reference_messages(plan)
    done = 0
    with ThreadPoolExecutor(max_workers=max(1, len(messages))) as writers:
        sent = [writers.submit(lab.messages, order_of_messages(asked)) for asked in messages]
        for group in rounds(plan, calls):
            overloaded = group[0].kind == "overload"
            if overloaded:
                wait(sent)
                lab.bulk("start")
            try:
                done = place_side_by_side(lab, group, notify, done=done, total=len(calls))
            finally:
                if overloaded:
                    lab.bulk("stop")
        for order in sent:
            order.result()


def asked_of_reference(plan: Plan, options: Options) -> Asked:
    """The calls that `reference` places, and the messages that it sends."""
    return Asked(tuple(map(asked_call, reference_calls(plan))), messages=reference_messages(plan))


def place_side_by_side(
    lab: LabClient,
    calls: Sequence[Call],
    notify: Callable[[ScenarioProgress], None],
    *,
    done: int,
    total: int,
) -> int:
    """Place all these calls at once and wait for their ends; returns how many calls are done now."""
    with ThreadPoolExecutor(max_workers=len(calls)) as callers:
        placed = {callers.submit(lab.call, order_of(call)): call for call in calls}
        for ended in as_completed(placed):
            record = ended.result()
            done += 1
            notify(ScenarioProgress(f"{record.caller} → {record.callee}", done, total, record))
    return done


def order_of_messages(asked: AskedMessages) -> MessageOrder:
    """The order that the lab gets for planned messages."""
    return MessageOrder(asked.id, asked.sender, asked.recipient, asked.count)


def order_of(call: Call) -> CallOrder:
    """The order that the lab gets for a planned call."""
    return CallOrder(
        id=call.id,
        caller=call.caller,
        callee=call.callee,
        kind=call.kind,
        seconds=call.seconds,
        hold=call.kind == "hold-transfer",
        transfer_to=call.transfer_to,
        transfer_seconds=call.transfer_seconds,
    )
