"""The people of a campaign as locust users: who stays registered, who works at a desk or in a contact centre.

Measurements by RFC 6076: `REGISTER` is the registration request delay, `INVITE` the session request delay,
`BYE` the session disconnect delay; `INVITE, not taken`: the called side was reached, and not there, busy or
unwilling (section 4.7); `hold`, `transfer` are the times until the other side has agreed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from locust import User, events, task

from campaigns.place import Place, place, with_media
from endpoints_emu.load.call import Call
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.measures import RegistrationAttempt
from uclab.plan.load_record import EFFECTIVE, LegRecord

MEAN_TALK_S = 12.0
"""Mean holding time of calls here, seconds; in a company about 180."""
ERLANG_A_USER = 0.1
"""Load that a desk-phone user offers by calling, erlangs (ITU-T E.500: holding time by calls a second)."""
RINGS_S = (0.2, 1.0)
"""How long a called user lets it ring, seconds."""

everybody_is_there = Event()
"""Set when all users of the campaign have begun: before, the called one may not be there yet."""


@events.spawning_complete.add_listener
def _all_have_begun(user_count: int, **_: Any) -> None:
    everybody_is_there.set()


class Subscriber(User):
    """Registers when it begins, stays so, takes calls, and leaves in order."""

    abstract = True
    kind = "subscriber"

    def on_start(self) -> None:
        """Register."""
        self.place: Place = place()
        self.who = self.place.take()
        self.agent = self.place.agent(self.who)
        self.agent.on_call = self.called
        self.agent.on_transferred = self.put_through
        self.legs: set[Call] = set()
        attempt = self.agent.register()
        self.registered(attempt)
        self.agent.keep_registered(told=self.registered)

    def on_stop(self) -> None:
        """Hang up, and take the registration back."""
        for call in tuple(self.legs):
            call.hang_up()
        self.agent.unregister()
        self.agent.close()
        self.place.give_back(self.who)

    def registered(self, attempt: RegistrationAttempt) -> None:
        """An attempt to register has ended."""
        self.place.note_registration(self.who, attempt)
        if not attempt.status:
            self.agent.server = self.place.next_server(self.agent.server)
        words = f"{attempt.status} {attempt.why}" if attempt.status else attempt.why or "no answer"
        self.tell("REGISTER", attempt.delay_s, None if attempt.succeeded else Refused(words))

    def called(self, call: Call) -> None:
        """Somebody calls: ring, answer, talk until the caller hangs up."""
        call.ring()
        gevent.spawn(self._take, call)

    def put_through(self, old: Call, new: Call) -> None:
        """The other side has put the call through: talk to the new one until somebody has enough."""
        self.legs.add(new)
        now = time.time()
        gevent.spawn(self._note, new, new.target, f"{self.kind}-transferred", now, now)

    def _take(self, call: Call) -> None:
        began = time.time()
        gevent.sleep(random.uniform(*RINGS_S))
        call.answer()
        if call.state != "established":
            return
        self.legs.add(call)
        answered = time.time()
        call.ended.wait()
        self.legs.discard(call)
        user, ended = self.who.account.user, time.time()
        leg = LegRecord(user, call.remote, "callee", self.kind, 200, began, answered, ended)
        self.place.note_leg(with_media(leg, call))

    def tell(self, name: str, seconds: float, error: Exception | None) -> None:
        """Tell locust of something that took its time."""
        events.request.fire(
            request_type="SIP",
            name=name,
            response_time=1000 * seconds,
            response_length=0,
            exception=error,
            context={},
        )

    def dial(self, target: str, kind: str) -> Call | None:
        """Call somebody; None where it did not come about. The leg is noted when it has ended."""
        began = time.time()
        try:
            call = self.agent.call(target)
        except CallFailed as error:
            reached = error.status in EFFECTIVE
            refusal = None if reached else Refused(str(error))
            self.tell("INVITE, not taken" if reached else "INVITE", time.time() - began, refusal)
            self.place.note_leg(
                LegRecord(
                    self.who.account.user,
                    target,
                    "caller",
                    kind,
                    error.status,
                    began,
                    error=str(error).removeprefix(f"{error.status} "),
                )
            )
            return None
        attempt = call.attempt()
        self.tell("INVITE", attempt.request_delay_s or 0.0, None)
        self.legs.add(call)
        gevent.spawn(self._note, call, target, kind, began, time.time())
        return call

    def _note(self, call: Call, target: str, kind: str, began: float, answered: float) -> None:
        call.ended.wait()
        ended = time.time()
        self.legs.discard(call)
        attempt = call.attempt()
        if attempt.disconnect_delay_s is not None:
            self.tell("BYE", attempt.disconnect_delay_s, None)
        leg = LegRecord(
            self.who.account.user,
            target,
            "caller",
            kind,
            attempt.status,
            began,
            answered,
            ended,
            _ms(attempt.request_delay_s),
            _ms(attempt.setup_s),
        )
        self.place.note_leg(with_media(leg, call))

    def colleague(self) -> str:
        """The extension of somebody else in the campaign."""
        own = self.who.account.user
        return random.choice([one for one in self.place.pool.colleagues if one != own] or [own])


class RegisteredOnly(Subscriber):
    """A phone on a desk where nobody sits."""

    kind = "registered-only"

    @task
    def stay(self) -> None:
        """Nothing but be there."""
        gevent.sleep(1.0)


class DeskPhone(Subscriber):
    """Somebody at a desk: calls colleagues at random, talks, now and then holds or puts a call through."""

    kind = "desk"

    def wait_time(self) -> float:
        """Time between two calls, so that arrivals are Poisson's, and of many users Erlang's traffic."""
        return random.expovariate(ERLANG_A_USER / MEAN_TALK_S)

    def talk(self, call: Call) -> None:
        """For a time that is distributed exponentially, or until the other side has enough."""
        call.ended.wait(random.expovariate(1 / MEAN_TALK_S))

    @task(8)
    def call_a_colleague(self) -> None:
        """The ordinary call."""
        everybody_is_there.wait()
        call = self.dial(self.colleague(), self.kind)
        if call is not None:
            self.talk(call)
            call.hang_up()

    @task(1)
    def call_and_hold(self) -> None:
        """A call with a pause in which the other side hears nothing."""
        everybody_is_there.wait()
        call = self.dial(self.colleague(), f"{self.kind}-hold")
        if call is None:
            return
        self.talk(call)
        if self.agreed("hold", call, call.hold):
            call.ended.wait(random.uniform(1.0, 3.0))
            self.agreed("resume", call, call.resume)
            self.talk(call)
        call.hang_up()

    @task(1)
    def call_and_transfer(self) -> None:
        """A call that is put through to a third one."""
        everybody_is_there.wait()
        call = self.dial(self.colleague(), f"{self.kind}-transfer")
        if call is not None:
            self.talk(call)
            self.agreed("transfer", call, lambda: call.transfer(self.colleague()))
            call.hang_up()

    def agreed(self, name: str, call: Call, ask: Callable[[], None]) -> bool:
        """Whether the other side agreed to what was asked within the call; one that has hung up need not."""
        began = time.monotonic()
        if call.ended.is_set():
            return False
        try:
            ask()
        except CallFailed as error:
            if call.ended.is_set():
                return False
            refusal = None if error.status in EFFECTIVE else Refused(str(error))
            self.tell(name, time.monotonic() - began, refusal)
            return False
        self.tell(name, time.monotonic() - began, None)
        return True


class ContactCentreAgent(DeskPhone):
    """Somebody whose next call begins when the last one has ended."""

    kind = "contact-centre"

    def wait_time(self) -> float:
        """Time to write up a call."""
        return random.uniform(0.5, 2.0)


class Refused(Exception):
    """What locust lists as a failure."""


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)


__all__ = ["ContactCentreAgent", "DeskPhone", "RegisteredOnly", "Subscriber", "everybody_is_there"]
