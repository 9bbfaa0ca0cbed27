"""Deliberate faults that only load brings to light, with the findings that must fail in a campaign (D11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from uclab.plan.faults.load_line_faults import LINE_FAULTS
from uclab.plan.load.load_placement import FIRST_EXTENSION
from uclab.plan.schema.fault import Fault
from uclab.plan.schema.plan import Account, Plan, SessionController

LOAD_FAULTS: dict[str, Fault] = dict(LINE_FAULTS)
"""Faults of campaigns by name."""
THROTTLE_PER_S = 2
"""REGISTER requests a second that a throttled registrar takes; a registration needs two of them."""
WRONG_ONE_IN = 100
RELAYED_CALLS = 2
"""Calls that a relay with too few ports has room for."""
PORTS_A_CALL = 8
"""Two ports for each of four streams: RTP and RTCP towards and from both sides."""

Change = Callable[[SessionController], SessionController]
Register = Callable[[Change], Change]


def _fault(name: str, summary: str, *breaks: str, may_break: tuple[str, ...] = ()) -> Register:
    """Puts a change of the session controllers on the list."""

    def register(change: Change) -> Change:
        def apply(plan: Plan, target: str | None = None) -> Plan:
            if target is not None:
                raise KeyError(f"`{name}` concerns every session controller: it takes no target")
            changed = tuple(change(controller) for controller in plan.session_controllers)
            return replace(plan, session_controllers=changed, faults=(*plan.faults, name))

        LOAD_FAULTS[name] = Fault(name, summary, breaks, apply, may_break)
        return change

    return register


@_fault(
    "registrar-throttled",
    f"The registrar takes {THROTTLE_PER_S} REGISTER requests a second and refuses the others (503)",
    "load.registered",
    may_break=("load.established",),
)
def _throttled(controller: SessionController) -> SessionController:
    return replace(controller, registers_per_s=THROTTLE_PER_S)


@_fault(
    "relay-out-of-ports",
    f"The media relay has ports for {RELAYED_CALLS} calls",
    "load.established",
    may_break=("load.heard", "load.quality"),
)
def _few_ports(controller: SessionController) -> SessionController:
    low, _ = controller.media_ports
    return replace(controller, media_ports=(low, low + RELAYED_CALLS * PORTS_A_CALL - 1))


@_fault(
    "passwords-wrong",
    f"The cloud has another password for one user of {WRONG_ONE_IN}",
    "load.registered",
    may_break=("load.established",),
)
def _passwords(controller: SessionController) -> SessionController:
    return replace(controller, accounts=tuple(map(_spoilt, controller.accounts)))


@_fault(
    "trunk-refused",
    "The session controllers know the telephone network by another name than its certificate shows",
    "load.established",
)
def _other_peer(controller: SessionController) -> SessionController:
    if controller.trunk_peer is None:
        return controller
    return replace(controller, trunk_peer=(f"other.{controller.domain}", controller.trunk_peer[1]))


def _impostor(plan: Plan, target: str | None = None) -> Plan:
    """The certificate is of the lab's authority, but for somebody else."""
    if target is not None:
        raise KeyError("`trunk-impostor` concerns the telephone network: it takes no target")
    names = {peer.certificate for peer in plan.pstn_peers}
    changed = tuple(
        replace(certificate, dns_names=(f"other.{certificate.name}",), addresses=())
        if certificate.name in names
        else certificate
        for certificate in plan.certificates
    )
    return replace(plan, certificates=changed, faults=(*plan.faults, "trunk-impostor"))


LOAD_FAULTS["trunk-impostor"] = Fault(
    "trunk-impostor",
    "The telephone network shows a certificate with another's name",
    ("load.established",),
    _impostor,
)


def _spoilt(account: Account) -> Account:
    number = int(account.user) - FIRST_EXTENSION if account.user.isdigit() else -1
    return replace(account, password="wrong") if number >= 0 and number % WRONG_ONE_IN == 0 else account
