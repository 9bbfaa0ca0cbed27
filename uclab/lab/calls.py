"""Places one call between two phones and records what its parties experienced."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from endpoints_emu.phone import CallFailed, CallLeg, Phone, PhoneError, PhoneEventKind
from uclab.lab.client import CallOrder
from uclab.records.run import CallRecord, HeardAudio

ANSWER_DEADLINE_S = 15.0
HOLD_S = 1.0
"""How long the callee is on hold."""


@dataclass(frozen=True)
class Parties:
    """The two phones of a call and what the caller dials."""

    caller: Phone
    callee: Phone
    dialled: str


def not_placed(order: CallOrder, began: float, why: str) -> CallRecord:
    """The record of a call that was ordered, but not placed."""
    return CallRecord(
        order.id,
        order.caller,
        order.callee,
        order.kind,
        established=False,
        started_at=began,
        ended_at=time.time(),
        error=f"not placed: {why}",
    )


@dataclass(frozen=True)
class Legs:
    """Both sides of an established call."""

    caller: CallLeg
    callee: CallLeg


async def place(
    order: CallOrder, parties: Parties, phones: Mapping[str, Phone], folder: Path
) -> list[CallRecord]:
    """Call, talk, hold and transfer as ordered, hang up, listen to what was received (kept as WAV under
    `folder`).

    A call that fails is a record with its reason, not an error. A transfer adds a record of the call that it
    made.
    """
    record = CallRecord(
        order.id, order.caller, order.callee, order.kind, established=False, started_at=time.time()
    )
    seen = len(parties.callee.events.history)
    leg: CallLeg | None = None
    try:
        leg = await parties.caller.call(parties.dialled)
        event = await parties.caller.established(leg, ANSWER_DEADLINE_S)
    except PhoneError as error:
        if leg is not None:
            with contextlib.suppress(PhoneError):
                await parties.caller.hang_up(leg)
        return [replace(record, ended_at=time.time(), error=str(error))]
    record = replace(
        record,
        established=True,
        answered_at=event.time,
        setup_ms=event.setup_ms,
        sip_call_id=event.sip_call_id or leg.sip_call_id,
    )
    more: list[CallRecord] = []
    try:
        legs = Legs(leg, answered_leg(parties, seen))
        more = await talk(order, parties, legs, phones, folder)
        await end(parties.caller, leg)
        await parties.callee.closed(legs.callee)
        caller_to_callee = heard(parties.callee, legs.callee, parties.caller, folder, order.id)
        callee_to_caller = heard(parties.caller, leg, parties.callee, folder, order.id)
        record = replace(record, caller_to_callee=caller_to_callee, callee_to_caller=callee_to_caller)
    except PhoneError as error:
        record = replace(record, error=str(error))
        with contextlib.suppress(PhoneError):
            await parties.caller.hang_up(leg)
    return [replace(record, ended_at=time.time()), *more]


def answered_leg(parties: Parties, since: int) -> CallLeg:
    """The callee's leg of the call that its caller just saw answered. Raises `CallFailed`."""
    account = parties.caller.endpoint.account
    names = {account.user, account.e164}
    events = [
        event for event in parties.callee.events.history[since:] if event.kind is PhoneEventKind.INCOMING
    ]
    legs = {leg.id: leg for leg in parties.callee.legs()}
    candidates = [legs[event.leg] for event in events if event.leg in legs]
    matching = [leg for leg in candidates if user_of(leg.peer) in names]
    if not matching:
        peers = ", ".join(leg.peer for leg in candidates) or "nobody"
        raise CallFailed(f"{parties.callee.name}: no call from {account.user} came in (calls from: {peers})")
    return matching[-1]


def user_of(uri: str) -> str:
    """The user part of a SIP URI."""
    return uri.removeprefix("sip:").removeprefix("sips:").partition("@")[0]


async def talk(
    order: CallOrder, parties: Parties, legs: Legs, phones: Mapping[str, Phone], folder: Path
) -> list[CallRecord]:
    """The middle of a call: its length is what was ordered, with a hold in it and a transfer at its end where
    ordered."""
    if not order.hold:
        await asyncio.sleep(order.length_s)
    else:
        before = order.length_s / 2 if order.hold_after is None else order.hold_after
        await asyncio.sleep(before)
        await parties.caller.hold(legs.caller)
        await asyncio.sleep(HOLD_S)
        await parties.caller.resume(legs.caller)
        await asyncio.sleep(order.length_s - before)
    if order.transfer_to is None:
        return []
    return [await transfer(order, parties, legs, phones[order.transfer_to], folder)]


async def transfer(order: CallOrder, parties: Parties, legs: Legs, target: Phone, folder: Path) -> CallRecord:
    """The caller hands the callee to `target` (blind transfer, RFC 5589); the record is that of the new
    call."""
    callee = parties.callee
    began = time.time()
    identifier = f"{order.id}-transferred"
    record = CallRecord(
        identifier, callee.name, target.name, "transferred", established=False, started_at=began
    )
    before = (len(callee.events.history), len(target.events.history))
    await parties.caller.transfer(legs.caller, target.endpoint.account.user)
    arrived = await target.incoming(since=before[1])
    event = await target.established(arrived)
    own = newest_leg(callee, legs.callee)
    await asyncio.sleep(order.transfer_seconds or 0.0)
    await end(callee, own)
    await target.closed(arrived)
    return replace(
        record,
        established=True,
        answered_at=event.time,
        ended_at=time.time(),
        setup_ms=(event.time - began) * 1000,
        sip_call_id=own.sip_call_id,
        caller_to_callee=heard(target, arrived, callee, folder, identifier),
        callee_to_caller=heard(callee, own, target, folder, identifier),
    )


def newest_leg(phone: Phone, other_than: CallLeg) -> CallLeg:
    """The leg that a phone opened last. Raises `CallFailed` where it has but the old one."""
    legs = [leg for leg in phone.legs() if leg.id != other_than.id]
    if not legs:
        raise CallFailed(f"{phone.name}: opened no call to the transfer's target")
    return legs[-1]


async def end(phone: Phone, leg: CallLeg) -> None:
    """Hang up and wait until the recording is complete."""
    await phone.hang_up(leg)
    await phone.closed(leg)


def heard(listener: Phone, leg: CallLeg, talker: Phone, folder: Path, name: str) -> HeardAudio:
    """Keep what `listener` received and look for the talker's tone in it."""
    listener.save_recording(leg, folder / listener.name / f"{name}.wav")
    return listener.heard(leg, talker.endpoint.tone_hz)
