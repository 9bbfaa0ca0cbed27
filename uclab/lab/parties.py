"""Who takes part in a call that is ordered, and what the caller dials."""

from __future__ import annotations

from collections.abc import Mapping

from endpoints_emu.phone import Phone
from uclab.lab.calls import Parties
from uclab.lab.client import CallOrder
from uclab.lab.errors import Refused
from uclab.plan.schema.plan import Plan


def parties_of(order: CallOrder, plan: Plan, phones: Mapping[str, Phone]) -> Parties:
    """The two phones of a call. Raises `Refused` for parties there are not."""
    caller = _phone(phones, order.caller, "FROM")
    if order.transfer_to is not None:
        _phone(phones, order.transfer_to, "the transfer's target")
    parties = Parties(caller, _callee(order, plan, phones), _dialled(caller, order, phones))
    if parties.callee is caller:
        raise Refused(f"`{order.caller}` cannot call itself; there are: {', '.join(phones)}")
    return parties


def _phone(phones: Mapping[str, Phone], name: str, role: str) -> Phone:
    if name not in phones:
        raise Refused(f"{role}: no endpoint `{name}`; there are: {', '.join(sorted(phones))}")
    return phones[name]


def _callee(order: CallOrder, plan: Plan, phones: Mapping[str, Phone]) -> Phone:
    for peer in plan.pstn_peers:
        if order.callee in peer.numbers:
            return phones[peer.endpoint.name]
    return _phone(phones, order.callee, "TO")


def _dialled(caller: Phone, order: CallOrder, phones: Mapping[str, Phone]) -> str:
    """The extension, or the telephone number where the call comes from or goes to the telephone network."""
    if order.callee.startswith("+"):
        return order.callee
    account = _phone(phones, order.callee, "TO").endpoint.account
    from_outside = caller.endpoint.kind == "pstn-phone"
    return account.e164 if from_outside and account.e164 else account.user
