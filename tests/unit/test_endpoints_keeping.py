"""A phone is kept registered: whom it asks, when, and what it tells."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from endpoints_emu.errors import PhoneError
from endpoints_emu.events import EventLog, PhoneEventKind, Refusal
from endpoints_emu.registration import Attempt, RegistrationKeeper, attempts, spread_of
from tests.unit.test_endpoints_baresip import TIMING

pytestmark = pytest.mark.req("V2")

QUICK = replace(TIMING, retry_s=0, retry_max_s=0, failback_s=0)
"""No waiting: what happens is told by the test."""
FIRST, SECOND = "sip.ucaas.test", "sip-fra2.ucaas.test"


def rounds(count: int, *, registrars: int = 2, first: int = 0, fresh: bool = False) -> list[Attempt]:
    return list(itertools.islice(attempts(registrars, first, TIMING, 1.0, fresh=fresh), count * registrars))


def test_each_round_begins_where_the_phone_was_and_asks_all() -> None:
    assert [a.registrar for a in rounds(2, registrars=3, first=1)] == [1, 0, 2, 1, 0, 2]


def test_waits_double_up_to_the_longest_and_stand_before_a_round_only() -> None:
    assert [a.wait_s for a in rounds(5)] == [1, 0, 2, 0, 4, 0, 8, 0, 8, 0]


def test_a_phone_waits_between_half_and_all_of_the_time() -> None:
    for name in ("desk1", "desk2", "soft1"):
        first = next(attempts(1, 0, TIMING, spread_of(name), fresh=False))
        assert 0.5 <= first.wait_s <= 1.0
    assert len({spread_of(name) for name in ("desk1", "desk2", "soft1")}) == 3


def test_a_fresh_phone_asks_at_once_and_has_time() -> None:
    first, second = rounds(1, fresh=True)
    assert (first.wait_s, first.deadline_s) == (0, 8)
    assert second.registrar == 1


def test_a_slow_line_gets_more_time_with_each_round_and_a_lone_registrar_all_of_it() -> None:
    assert [a.deadline_s for a in rounds(6)][::2] == [2, 4, 8, 16, 32, 32]
    assert {a.deadline_s for a in rounds(3, registrars=1)} == {32}


def test_new_registrations_come_within_ten_seconds_by_the_shipped_policy() -> None:
    # given silence that began just after an answer, and a first data centre that is lost
    gone, other = rounds(1)
    assert TIMING.lost_s + gone.wait_s + gone.deadline_s + other.wait_s < 10
    # and for an address that changed, found by the next question,
    assert TIMING.keepalive_s + gone.wait_s < 10


class Agent:
    """A user agent whose registrars answer as the test says."""

    def __init__(self, *up: bool, leftovers_s: float = 0.0) -> None:
        self.up = list(up)
        self.silent = False
        self.asked: list[str] = []
        self.calls = 0
        self.events = EventLog("desk1")
        self.keeper = RegistrationKeeper(
            (FIRST, SECOND)[: len(up)],
            QUICK,
            self.events,
            "desk1",
            register=self._register,
            unregister=self._unregister,
            in_call=lambda: self.calls > 0,
            refused=(PhoneError,),
            leftovers_s=leftovers_s,
        )

    async def _register(self, number: int) -> None:
        self.asked.append(f"+{number}")
        await asyncio.sleep(0.001)
        if self.silent:
            return
        if self.up[number]:
            self.keeper.accepted(number, "200 OK")
        else:
            self.keeper.failed(number, Refusal.UNREACHABLE, "Connection timed out")

    async def _unregister(self, number: int) -> None:
        self.asked.append(f"-{number}")

    async def told(self, kind: PhoneEventKind) -> str:
        since = getattr(self, "_since", 0)
        event = await self.events.first({kind}, deadline_s=2, since=since)
        self._since = self.events.history.index(event) + 1
        return event.detail


async def test_a_lost_connection_is_told_and_won_back_at_the_same_registrar() -> None:
    agent = Agent(True)
    agent.keeper.start()
    await agent.told(PhoneEventKind.REGISTERED)
    agent.keeper.failed(0, Refusal.UNREACHABLE, "Connection reset by peer")
    assert await agent.told(PhoneEventKind.FLOW_FAILED) == f"{FIRST}: Connection reset by peer"
    assert await agent.told(PhoneEventKind.REGISTERED) == f"200 OK ({FIRST})"
    agent.keeper.stop()


async def test_a_registration_after_attempts_that_were_given_up_is_made_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a phone whose user agent says later what it was to say in attempts that were given up
    monkeypatch.setattr("endpoints_emu.registration.TRANSACTION_S", 0.05)
    agent = Agent(True, leftovers_s=0.2)
    agent.keeper.start()
    await agent.told(PhoneEventKind.REGISTERED)
    # when the registrar is silent for longer than an answer is waited for, and then answers again
    agent.silent = True
    agent.keeper.failed(0, Refusal.TIMEOUT, "Connection timed out")
    await agent.told(PhoneEventKind.REGISTRATION_FAILED)
    agent.silent = False
    await agent.told(PhoneEventKind.REGISTERED)
    # then it counts as registered only when all that was left has been said, and it has registered once more
    assert not agent.keeper.registered_at
    asked = len(agent.asked)
    await agent.told(PhoneEventKind.REGISTERED)
    assert agent.asked[asked:] == ["+0"]
    assert agent.keeper.registered_at == (FIRST,)
    agent.keeper.stop()


async def test_who_leaves_nothing_behind_is_registered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("endpoints_emu.registration.TRANSACTION_S", 0.05)
    agent = Agent(True)
    agent.silent = True
    agent.keeper.start()
    await agent.told(PhoneEventKind.REGISTRATION_FAILED)
    agent.silent = False
    await agent.told(PhoneEventKind.REGISTERED)
    assert agent.keeper.registered_at == (FIRST,)
    agent.keeper.stop()


async def test_a_lost_data_centre_sends_the_phone_to_the_next_and_back_when_it_returns() -> None:
    # given a phone at the first
    agent = Agent(True, True)
    agent.keeper.start()
    await agent.told(PhoneEventKind.REGISTERED)
    # when that falls silent, then it registers at the second, and looks after the first without a word
    agent.up[0] = False
    agent.keeper.failed(0, Refusal.TIMEOUT, "Connection timed out")
    assert await agent.told(PhoneEventKind.REGISTERED) == f"200 OK ({SECOND})"
    assert (agent.keeper.registered_at, agent.keeper.current) == ((SECOND,), 1)
    # when it is back, then the phone is too, and takes the second registration back only then
    agent.up[0] = True
    assert await agent.told(PhoneEventKind.REGISTERED) == f"200 OK ({FIRST})"
    assert await agent.told(PhoneEventKind.UNREGISTERED) == SECOND
    assert agent.asked[-2:] == ["+0", "-1"]
    assert PhoneEventKind.REGISTRATION_FAILED not in [event.kind for event in agent.events.history]
    agent.keeper.stop()


async def test_a_connection_that_is_reset_is_first_tried_again_at_the_same_registrar() -> None:
    agent = Agent(True, True)
    agent.keeper.start()
    await agent.told(PhoneEventKind.REGISTERED)
    agent.up[0] = False
    agent.keeper.failed(0, Refusal.UNREACHABLE, "Connection reset by peer")
    await agent.told(PhoneEventKind.REGISTRATION_FAILED)
    assert await agent.told(PhoneEventKind.REGISTERED) == f"200 OK ({SECOND})"
    assert agent.asked[:3] == ["+0", "+0", "+1"]
    agent.keeper.stop()


async def test_a_registration_that_calls_came_by_is_kept_until_they_end() -> None:
    # given a phone at the second data centre, in a call, when the first returns
    agent = Agent(False, True)
    agent.keeper.start()
    await agent.told(PhoneEventKind.REGISTERED)
    agent.calls = 1
    agent.up[0] = True
    await agent.told(PhoneEventKind.REGISTERED)
    # then it is registered at both
    await asyncio.sleep(0.05)
    assert agent.keeper.registered_at == (FIRST, SECOND)
    # until the call has ended
    agent.calls = 0
    agent.events.publish(PhoneEventKind.CLOSED, leg="1")
    await agent.told(PhoneEventKind.UNREGISTERED)
    assert list(agent.keeper.registered_at) == [FIRST]
    agent.keeper.stop()


async def test_refused_credentials_are_not_tried_again() -> None:
    agent = Agent(True)

    async def refuse(number: int) -> None:
        agent.asked.append("+")
        agent.keeper.failed(number, Refusal.CREDENTIALS, "403 Forbidden")

    agent.keeper._register = refuse
    agent.keeper.start()
    await agent.told(PhoneEventKind.REGISTRATION_FAILED)
    await asyncio.sleep(0.05)
    assert agent.asked == ["+"]


async def test_a_user_agent_that_refuses_the_command_counts_as_a_failed_attempt() -> None:
    agent = Agent(True)

    async def busy(_: int) -> None:
        raise PhoneError("desk1: busy")

    agent.keeper._register = busy
    agent.keeper.start()
    assert await agent.told(PhoneEventKind.REGISTRATION_FAILED) == "desk1: busy"
    agent.keeper.stop()
