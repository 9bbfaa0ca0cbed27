"""Keeps a phone registered: notices that the connection was lost, re-registers, at another data centre
where the first does not answer, and goes back when it does (V2, RFC 5626).

Whom to ask, and when, is decided by `attempts`, a pure function; `RegistrationKeeper` carries it out with the
user agent's driver.
"""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from endpoints_emu.events import EventLog, PhoneEventKind, Refusal
from uclab.plan.schema.telephony import RegistrationTiming

TRANSACTION_S = 32.0
"""No answer comes later: timer F of a transaction (RFC 3261 section 17.1.2.2)."""


@dataclass(frozen=True)
class Attempt:
    """One registration to be tried."""

    registrar: int
    """Its place in the endpoint's list."""
    wait_s: float
    """To be waited before."""
    deadline_s: float
    """How long to wait for an outcome before the next attempt."""


def attempts(
    registrars: int, first: int, timing: RegistrationTiming, spread: float, *, fresh: bool
) -> Iterator[Attempt]:
    """Whom a phone asks that is registered nowhere: all in order, beginning with `first`, over and over.

    Waits grow from round to round, between 50 and 100 % of what the policy says by `spread` (0..1), so that
    not all phones of a site come at once (RFC 5626 section 4.5). A `fresh` phone has just been switched on:
    its first round begins at once, and has time.
    """
    order = (first, *(number for number in range(registrars) if number != first))
    for failed in itertools.count():
        fresh_round = fresh and failed == 0
        growth = 2 ** min(failed, 16)
        pause = 0.0 if fresh_round else min(timing.retry_s * growth, timing.retry_max_s) * (1 + spread) / 2
        patience = max(timing.attempt_s, timing.retry_max_s) if fresh_round else timing.attempt_s * growth
        deadline = TRANSACTION_S if registrars == 1 else min(float(patience), TRANSACTION_S)
        for position, number in enumerate(order):
            yield Attempt(number, pause if position == 0 else 0.0, deadline)


def spread_of(name: str) -> float:
    """A phone's own place between 0 and 1; the same in each run."""
    return zlib.crc32(name.encode()) / 0xFFFFFFFF


class RegistrationKeeper:
    """Keeps one phone registered, from `start` to `stop`. The driver tells it what comes of registrations."""

    def __init__(
        self,
        registrars: tuple[str, ...],
        timing: RegistrationTiming,
        events: EventLog,
        name: str,
        *,
        register: Callable[[int], Awaitable[None]],
        unregister: Callable[[int], Awaitable[None]],
        in_call: Callable[[], bool],
        refused: tuple[type[Exception], ...],
        leftovers_s: float = 0.0,
    ) -> None:
        """`register` and `unregister` send a REGISTER to the registrar of that place; what they raise of
        `refused` counts as a failed attempt. `in_call`: whether the phone has calls. `leftovers_s`: for so
        long after a registration the user agent may still say what it was to say in attempts that were given
        up, and take the registration back with it; it is made once more then. 0: it never does."""
        self._registrars = registrars
        self._timing = timing
        self._events = events
        self._spread = spread_of(name)
        self._register = register
        self._unregister = unregister
        self._in_call = in_call
        self._refused = refused
        self._leftovers_s = leftovers_s
        self._given_up: set[int] = set()
        """Registrars from which an answer was no longer waited for, since the last registration there."""
        self._registered: set[int] = set()
        self._last = 0
        self._first = 0
        self._news = asyncio.Event()
        self._failed: set[int] = set()
        self._hopeless = False
        self._task: asyncio.Task[None] | None = None

    @property
    def registered_at(self) -> tuple[str, ...]:
        """Host names of the registrars that the phone is registered at for good, the preferred one first."""
        lasting = self._registered - self._given_up if self._leftovers_s else self._registered
        return tuple(self._registrars[number] for number in sorted(lasting))

    @property
    def current(self) -> int:
        """Place of the registrar by which calls go: the first that it is registered at, or was last."""
        return min(self._registered, default=self._last)

    def start(self) -> None:
        """Register, and keep it so."""
        self.stop()
        self._hopeless = False
        self._task = asyncio.create_task(self._keep(), name="registration")

    def stop(self) -> None:
        """Leave the registration to itself; from now on it counts as none."""
        self._registered.clear()
        if self._task:
            self._task.cancel()
            self._task = None

    def accepted(self, number: int, detail: str) -> None:
        """A registrar has accepted a registration, or its refresh."""
        self._registered.add(number)
        self._last = self._first = self.current
        where = self._registrars[number]
        self._events.publish(PhoneEventKind.REGISTERED, f"{detail} ({where})", registrar=where)
        self._news.set()

    def failed(self, number: int, refusal: Refusal, detail: str) -> None:
        """A registration has failed, or the connection that carried it."""
        where = self._registrars[number]
        if number in self._registered and refusal in (Refusal.UNREACHABLE, Refusal.TIMEOUT):
            self._registered.discard(number)
            # Reset: the registrar is there, the way to it has changed. Silent: another one may answer.
            silent = refusal is Refusal.TIMEOUT
            self._first = (number + 1) % len(self._registrars) if silent else number
            self._events.publish(PhoneEventKind.FLOW_FAILED, f"{where}: {detail}", registrar=where)
        elif number in self._registered or not self._registered:
            self._registered.discard(number)
            self._events.publish(PhoneEventKind.REGISTRATION_FAILED, detail, refusal=refusal, registrar=where)
            self._hopeless = refusal is Refusal.CREDENTIALS
        # else the phone is registered elsewhere, and has only looked whether the preferred one is back
        self._failed.add(number)
        self._news.set()

    async def _keep(self) -> None:
        fresh = True
        while not self._hopeless:
            if not self._registered:
                await self._win_back(fresh=fresh)
                fresh = False
            elif self._leftovers_s and self.current in self._given_up:
                await self._confirm(self.current)
            elif self.current > 0:
                await self._wait_for_news(self._timing.failback_s)
                await self._try_preferred()
            elif len(self._registered) > 1:
                await self._leave_others()
            else:
                await self._wait_for_news(None)

    async def _confirm(self, number: int) -> None:
        """Register once more when all has been said that was left of earlier attempts."""
        try:
            async with asyncio.timeout(self._leftovers_s):
                while number in self._registered:
                    await self._wait_for_news(None)
        except TimeoutError:
            self._given_up.discard(number)
            self._registered.discard(number)
            await self._ask(number, TRANSACTION_S)

    async def _win_back(self, *, fresh: bool) -> None:
        """Ask one after the other until one accepts."""
        for attempt in attempts(len(self._registrars), self._first, self._timing, self._spread, fresh=fresh):
            await asyncio.sleep(attempt.wait_s)
            if self._registered or self._hopeless:
                return
            if not await self._ask(attempt.registrar, attempt.deadline_s) and not self._hopeless:
                continue
            return

    async def _try_preferred(self) -> None:
        """Whether a registrar that stands before the current one accepts again; the present registration
        stays meanwhile."""
        for number in range(self.current):
            if not self._registered:
                return
            if number not in self._registered and await self._ask(number, self._timing.failback_s):
                return

    async def _leave_others(self) -> None:
        """Take the other registrations back, once no call needs them: calls end by the way they came."""
        if self._in_call():
            ended = asyncio.create_task(
                self._events.first(
                    {PhoneEventKind.CLOSED}, deadline_s=3600.0, since=len(self._events.history)
                )
            )
            lost = asyncio.create_task(self._wait_for_news(None))
            await asyncio.wait({ended, lost}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            lost.cancel()
            await asyncio.gather(ended, lost, return_exceptions=True)
            return
        for number in sorted(self._registered)[1:]:
            self._registered.discard(number)
            try:
                await self._unregister(number)
            except self._refused:
                continue
            where = self._registrars[number]
            self._events.publish(PhoneEventKind.UNREGISTERED, where, registrar=where)

    async def _ask(self, number: int, deadline_s: float) -> bool:
        """One attempt; True when it was accepted (or an earlier one was, late)."""
        before = set(self._registered)
        self._failed.discard(number)
        try:
            await self._register(number)
        except self._refused as error:
            self.failed(number, Refusal.REJECTED, str(error))
            return False
        try:
            async with asyncio.timeout(deadline_s):
                while not self._registered - before and number not in self._failed:
                    await self._wait_for_news(None)
        except TimeoutError:
            self._given_up.add(number)
            self.failed(
                number, Refusal.TIMEOUT, f"no answer from {self._registrars[number]} in {deadline_s:g} s"
            )
        return bool(self._registered - before)

    async def _wait_for_news(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            if seconds is None:
                raise
        self._news.clear()
