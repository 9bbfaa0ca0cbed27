"""Deliberate faults of text messages at the session controller (C1, C9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from uclab.plan.schema.fault import pick, registered
from uclab.plan.schema.plan import Plan


@registered(
    "message-duplicated",
    "the session controller sends each text message to its recipient twice",
    "message.delivered",
    blames="fra1-sbc",
)
def _duplicated(plan: Plan, target: str | None) -> Plan:
    """`target` is a session controller."""
    return _mishandled(plan, target, message_fault="duplicated")


@registered(
    "message-swallowed",
    "the session controller accepts text messages and drops them",
    "message.delivered",
    blames="fra1-sbc",
)
def _swallowed(plan: Plan, target: str | None) -> Plan:
    """`target` is a session controller."""
    return _mishandled(plan, target, message_fault="swallowed")


@registered(
    "message-copied",
    "the session controller sends a readable copy of each text message to another server, by UDP",
    "message.private",
    "privacy.readable",
    blames="fra1-sbc",
)
def _copied(plan: Plan, target: str | None) -> Plan:
    """`target` is a session controller; the copies go to the cloud's name server."""
    to = f"{plan.name_servers[0].address}:5060"
    return _mishandled(plan, target, message_fault="copied", message_copy_to=to)


@registered(
    "receipts-missing",
    "the session controller does not tell authors when a message that waited was delivered",
    "message.receipt",
    blames="fra1-sbc",
    topology="enterprise-hq",
)
def _unreceipted(plan: Plan, target: str | None) -> Plan:
    """`target` is a session controller. Messages to a group always wait, if not for long."""
    if not plan.message_groups:
        raise KeyError(f"the fault needs a group for messages; in plan {plan.topology} there is none")
    return _mishandled(plan, target, message_fault="unreceipted")


def _mishandled(plan: Plan, target: str | None, **how: Any) -> Plan:
    """The plan with one session controller that does with messages what these fields of it say."""
    chosen = pick(
        {controller.name: controller for controller in plan.session_controllers}, target, "session controller"
    )
    return replace(
        plan,
        session_controllers=tuple(
            replace(controller, **how) if controller is chosen else controller
            for controller in plan.session_controllers
        ),
    )
