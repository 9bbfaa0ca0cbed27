"""Who a call is between: the phones of the names and numbers that were ordered."""

from __future__ import annotations

from collections.abc import Mapping

from endpoints_emu.phone import Phone
from uclab.lab.calls import Parties
from uclab.lab.client import CallOrder
from uclab.lab.refused import Refused
from uclab.plan.types import Plan


def parties_of(order: CallOrder, plan: Plan, phones: Mapping[str, Phone]) -> Parties:
    """The phones of an order and what is dialled. Raises `Refused` for parties there are not."""
    caller = _phone(phones, order.caller, "FROM")
    if order.transfer_to is not None:
        _phone(phones, order.transfer_to, "the transfer's target")
    callee = _callee(plan, phones, order.callee)
    dialled = _dialled(phones, caller, order.callee)
    if callee is caller:
        raise Refused(f"`{order.caller}` cannot call itself; there are: {', '.join(phones)}")
    return Parties(caller, callee, dialled)


def _phone(phones: Mapping[str, Phone], name: str, role: str) -> Phone:
    if name not in phones:
        raise Refused(f"{role}: no endpoint `{name}`; there are: {', '.join(sorted(phones))}")
    return phones[name]


def _callee(plan: Plan, phones: Mapping[str, Phone], callee: str) -> Phone:
    for peer in plan.pstn_peers:
        if callee in peer.numbers:
            return phones[peer.endpoint.name]
    return _phone(phones, callee, "TO")


def _dialled(phones: Mapping[str, Phone], caller: Phone, callee: str) -> str:
    """The extension, or the telephone number where the call comes from or goes to the telephone network."""
    if callee.startswith("+"):
        return callee
    account = _phone(phones, callee, "TO").endpoint.account
    from_outside = caller.endpoint.kind == "pstn-phone"
    return account.e164 if from_outside and account.e164 else account.user
