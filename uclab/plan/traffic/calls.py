"""The calls of the reference scenario, chosen from whatever endpoints a topology has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

from uclab.kinds.endpoint_kind import device_of
from uclab.plan.paths.line_loss import INTERRUPTED, call_s, long_enough, verdicts_on_loss
from uclab.plan.paths.reachability import Reachability
from uclab.plan.resolve.plan_edits import port_towards
from uclab.plan.schema.plan import Call, Endpoint, Plan

Kind = Literal["desk-desk", "desk-soft", "desk-pstn", "pstn-desk", "overload", "hold-transfer"]
KINDS: tuple[Kind, ...] = ("desk-desk", "desk-soft", "desk-pstn", "pstn-desk", "hold-transfer", "overload")

CALL_SECONDS, HOLD_SECONDS, OVERLOAD_SECONDS = 5.0, 8.0, 8.0
TRANSFERRED_SECONDS = 2.0
"""Of the second part of a transferred call, where other calls show what the lines between its sites do."""
OVERLOAD_CALLS = 4
"""At once, while bulk traffic fills the line (C8)."""
OUTSIDE = "pstn"
OVERLOAD_PAIRS = (
    ("phone", "computer"),
    ("computer", "phone"),
    ("phone", OUTSIDE),
    ("computer", OUTSIDE),
    ("phone", "phone"),
    ("phone", OUTSIDE),
    ("phone", OUTSIDE),
    ("phone", OUTSIDE),
)
"""Who calls whom then, as far as there are endpoints."""


class Picker:
    """Gives out endpoints, those first that have had the fewest calls, otherwise in the plan's order."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.used: Counter[str] = Counter()

    def pick(self, device: str, fits: Callable[[Endpoint], bool] = lambda _: True) -> Endpoint | None:
        """An endpoint that is such a device, or none; it is not counted as used before `use`."""
        found = [e for e in self.plan.endpoints if device_of(e.kind) == device and fits(e)]
        return min(found, key=lambda e: self.used[e.name], default=None)

    def is_free(self, endpoint: Endpoint) -> bool:
        """Whether it has had no call."""
        return not self.used[endpoint.name]

    def use(self, *names: str) -> None:
        """These have a call now."""
        self.used.update(names)

    def release(self, name: str) -> None:
        """It has one call less."""
        self.used[name] -= 1


def reference_calls(plan: Plan) -> tuple[Call, ...]:
    """One call of each kind that the topology allows, then four at once; the same ones for the same plan
    (C3, C4, C7).

    Calls of one `rounds` share no endpoint, so they can be placed side by side. They last as long as a
    verdict on the lines needs.
    """
    quiet = Picker(plan)
    makers = (_desk_desk, _desk_soft, _desk_pstn, _pstn_desk, _hold_transfer)
    calls = _with_transfers(plan, [call for maker in makers if (call := maker(plan, quiet)) is not None])
    conditions = (calls, _overload(plan, Picker(plan)))
    verdicts = verdicts_on_loss(plan, sum(map(bool, conditions)))
    return tuple(
        call
        for alike in conditions
        for group in long_enough(plan, rounds(plan, alike), verdicts)
        for call in group
    )


def _with_transfers(plan: Plan, calls: list[Call]) -> list[Call]:
    """The calls, those that are transferred with the length of their second part: long enough for a verdict
    where it is the only one between two sites."""
    site_of = Reachability(plan).site_of
    site = {endpoint.name: site_of[endpoint.node] for endpoint in plan.endpoints}

    def route(one: str, other: str) -> frozenset[str]:
        return frozenset((site.get(one, ""), site.get(other, "")))

    judged = {route(call.caller, call.callee) for call in calls if call.kind not in INTERRUPTED}

    def timed(call: Call) -> Call:
        if call.transfer_to is None:
            return call
        known = route(call.callee, call.transfer_to) in judged
        seconds = TRANSFERRED_SECONDS if known else call_s(plan, call.callee, call.transfer_to)
        return replace(call, transfer_seconds=seconds)

    return [timed(call) for call in calls]


def missing_kinds(plan: Plan) -> tuple[str, ...]:
    """Kinds of calls for which the topology has not the endpoints."""
    kinds = {call.kind for call in reference_calls(plan)}
    return tuple(kind for kind in KINDS if kind not in kinds)


def rounds(plan: Plan, calls: Iterable[Call]) -> tuple[tuple[Call, ...], ...]:
    """The calls in groups that can run at once: in none has an endpoint two calls (the PSTN may have many).

    Overload calls are in groups of their own.
    """
    groups: list[list[Call]] = []
    for call in calls:
        alike = [g for g in groups if (g[0].kind == "overload") == (call.kind == "overload")]
        group = next((g for g in alike if not any(_shared(plan, call, other) for other in g)), None)
        if group is None:
            groups.append([call])
        else:
            group.append(call)
    return tuple(tuple(group) for group in groups)


def _shared(plan: Plan, one: Call, other: Call) -> set[str]:
    endpoints = {endpoint.name for endpoint in plan.endpoints}
    return (
        endpoints
        & {one.caller, one.callee, one.transfer_to or ""}
        & {other.caller, other.callee, other.transfer_to}
    )


def _call(kind: Kind, caller: str, callee: str, seconds: float = CALL_SECONDS, to: str | None = None) -> Call:
    return Call(id=kind, caller=caller, callee=callee, kind=kind, seconds=seconds, transfer_to=to)


def _desk_desk(plan: Plan, picker: Picker) -> Call | None:
    """Neighbours on one access switch, where there are two: their call must still pass the cloud (C7)."""
    desks = [e for e in plan.endpoints if device_of(e.kind) == "phone"]
    switch = {desk.name: port_towards(plan, desk.node)[0].name for desk in desks}
    pairs = [(a.name, b.name) for a in desks for b in desks if a is not b]
    pair = min(pairs, key=lambda p: switch[p[0]] != switch[p[1]], default=None)
    if pair is None:
        return None
    picker.use(*pair)
    return _call("desk-desk", *pair)


def _desk_soft(plan: Plan, picker: Picker) -> Call | None:
    return _pair("desk-soft", picker.pick("phone"), picker.pick("computer"), picker)


def _desk_pstn(plan: Plan, picker: Picker) -> Call | None:
    desk = picker.pick("phone")
    if desk is None or not plan.pstn_peers:
        return None
    picker.use(desk.name)
    return _call("desk-pstn", desk.name, plan.pstn_peers[0].numbers[0])


def _pstn_desk(plan: Plan, picker: Picker) -> Call | None:
    desk = picker.pick("phone", lambda e: e.account.e164 is not None)
    if desk is None or not plan.pstn_peers:
        return None
    picker.use(desk.name)
    return _call("pstn-desk", plan.pstn_peers[0].endpoint.name, desk.name)


def _hold_transfer(plan: Plan, picker: Picker) -> Call | None:
    """The caller holds, takes up again, and transfers the callee to a third; three desk phones, or a
    softclient third."""
    caller = picker.pick("phone")
    callee = picker.pick("phone", lambda e: e is not caller)
    third = picker.pick("phone", lambda e: e not in (caller, callee)) or picker.pick("computer")
    if caller is None or callee is None or third is None:
        return None
    picker.use(caller.name, callee.name, third.name)
    return _call("hold-transfer", caller.name, callee.name, HOLD_SECONDS, third.name)


def _overload(plan: Plan, picker: Picker) -> tuple[Call, ...]:
    """Up to four calls that share no endpoint, of as many kinds as there are."""
    if not plan.bulk:
        return ()
    numbers = [number for peer in plan.pstn_peers for number in peer.numbers]
    calls: list[Call] = []
    for calling, called_device in OVERLOAD_PAIRS:
        caller = picker.pick(calling, picker.is_free)
        if caller is None or len(calls) == OVERLOAD_CALLS:
            continue
        picker.use(caller.name)
        if called_device == OUTSIDE:
            callee = numbers[len(calls) % len(numbers)] if numbers else None
        else:
            called = picker.pick(called_device, picker.is_free)
            callee = called.name if called is not None else None
        if callee is None:
            picker.release(caller.name)
            continue
        picker.use(callee)
        calls.append(Call(f"overload-{len(calls) + 1}", caller.name, callee, "overload", OVERLOAD_SECONDS))
    return tuple(calls)


def _pair(kind: Kind, caller: Endpoint | None, callee: Endpoint | None, picker: Picker) -> Call | None:
    if caller is None or callee is None:
        return None
    picker.use(caller.name, callee.name)
    return _call(kind, caller.name, callee.name)
