"""Waiting for a phone's events misses nothing and never waits for ever."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from endpoints_emu.events import EventLog, PhoneEventKind, Refusal
from endpoints_emu.phone import (
    CallFailed,
    CallLeg,
    LegState,
    Phone,
    PhoneDied,
    RegistrationFailed,
    Statistics,
    target_uri,
)
from tests.unit.test_endpoints_baresip import DESK1


class RecordedPhone(Phone):
    """A phone without a user agent: it says what the test lets it say."""

    async def start(self, deadline_s: float = 10.0) -> None: ...
    async def stop(self) -> None: ...
    async def send_register(self) -> None: ...
    async def call(self, target: str) -> CallLeg:
        leg = CallLeg(self.name, "1", "1", "outgoing", target_uri(self.endpoint, target))
        self._legs[leg.id] = LegState(leg)
        return leg

    async def answer(self, leg: CallLeg) -> None: ...
    async def hold(self, leg: CallLeg, deadline_s: float = 5.0) -> None: ...
    async def resume(self, leg: CallLeg, deadline_s: float = 5.0) -> None: ...
    async def send_transfer(self, leg: CallLeg, uri: str) -> None: ...
    async def dtmf(self, leg: CallLeg, digits: str) -> None: ...
    async def hang_up(self, leg: CallLeg) -> None: ...
    async def statistics(self, leg: CallLeg) -> Statistics:
        return Statistics()


async def test_an_event_from_before_the_waiting_is_found() -> None:
    log = EventLog("desk1")
    log.publish(PhoneEventKind.REGISTERED, "200 OK")
    event = await log.first({PhoneEventKind.REGISTERED}, deadline_s=1)
    assert event.detail == "200 OK"


async def test_an_event_from_before_a_given_number_is_not_found() -> None:
    log = EventLog("desk1")
    log.publish(PhoneEventKind.REGISTERED)
    with pytest.raises(TimeoutError):
        await log.first({PhoneEventKind.REGISTERED}, deadline_s=0.05, since=1)


async def test_many_who_wait_are_all_woken() -> None:
    log = EventLog("desk1")
    waiting = [asyncio.create_task(log.first({kind}, deadline_s=1)) for kind in PhoneEventKind]
    await asyncio.sleep(0)
    for kind in PhoneEventKind:
        log.publish(kind)
    assert {event.kind for event in await asyncio.gather(*waiting)} == set(PhoneEventKind)


async def test_events_of_another_leg_are_passed_over() -> None:
    log = EventLog("desk1")
    log.publish(PhoneEventKind.CLOSED, leg="other")
    log.publish(PhoneEventKind.CLOSED, "mine", leg="this")
    assert (await log.first({PhoneEventKind.CLOSED}, leg="this", deadline_s=1)).detail == "mine"


def test_a_refused_certificate_is_a_kind_of_its_own_in_the_record() -> None:
    log = EventLog("desk1")
    log.publish(PhoneEventKind.REGISTRATION_FAILED, "hostname mismatch", refusal=Refusal.CERTIFICATE)
    log.publish(PhoneEventKind.REGISTRATION_FAILED, "403 Forbidden", refusal=Refusal.CREDENTIALS)
    refused, forbidden = (event.record() for event in log.history)
    assert (refused.kind, refused.detail) == ("tls-refused", "tls-certificate-refused hostname mismatch")
    assert (forbidden.kind, forbidden.detail) == ("registration-failed", "credentials-refused 403 Forbidden")


async def test_a_registration_without_an_answer_is_a_time_out() -> None:
    phone = RecordedPhone(DESK1)
    with pytest.raises(
        RegistrationFailed, match=r"desk1: no answer from sip.ucaas.test:5096 in 0.05 s"
    ) as error:
        await phone.register(0.05)
    assert error.value.refusal is Refusal.TIMEOUT


async def test_a_call_that_is_rejected_names_the_phone_and_the_reason() -> None:
    phone = RecordedPhone(DESK1)
    leg = await phone.call("1002")
    phone.events.publish(PhoneEventKind.CLOSED, "486 Busy Here", leg=leg.id)
    with pytest.raises(CallFailed, match=r"desk1: call with sip:1002@ucaas\.test failed: 486 Busy Here"):
        await phone.established(leg)


async def test_a_phone_that_dies_wakes_who_waits_for_its_call() -> None:
    phone = RecordedPhone(DESK1)
    leg = await phone.call("1002")
    waiting = asyncio.create_task(phone.established(leg))
    await asyncio.sleep(0)
    phone.events.publish(PhoneEventKind.DIED, "exit status 139")
    with pytest.raises(PhoneDied, match="desk1: exit status 139"):
        await waiting


async def test_another_phones_leg_is_refused_by_name() -> None:
    phone = RecordedPhone(DESK1)
    leg = await phone.call("1002")
    with pytest.raises(CallFailed, match="desk1: no leg 7; it belongs to desk2"):
        phone.recordings(replace(leg, id="7", endpoint="desk2"))


def test_numbers_are_dialled_in_the_accounts_domain() -> None:
    assert target_uri(DESK1, "1002") == "sip:1002@ucaas.test"
    assert target_uri(DESK1, "+493055501001") == "sip:+493055501001@ucaas.test"
    assert target_uri(DESK1, "sip:x@y.test") == "sip:x@y.test"
