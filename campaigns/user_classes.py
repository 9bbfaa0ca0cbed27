"""The people of a campaign as locust users: who stays registered, who works at a desk or in a contact centre,
who calls from the telephone network.

Measurements by RFC 6076: `REGISTER` is the registration request delay, `INVITE` the session request delay,
`BYE` the session disconnect delay; `INVITE, not taken`: the called side was reached, and not there, busy or
unwilling (section 4.7); `hold`, `transfer` are the times until the other side has agreed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import gevent
from locust import task

from campaigns.answer_call import take_call
from campaigns.base_user import MEAN_TALK_S, Party, Refused
from campaigns.user_dispatcher import everybody_is_there
from campaigns.worker_context import NoPool, place
from endpoints_emu.load.call import Call
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.fields import address_in
from endpoints_emu.load.measures import RegistrationAttempt
from uclab.plan.load.record import EFFECTIVE, OUTSIDE

ERLANG_A_USER = 0.1
"""Load that a desk-phone user offers by calling, erlangs (ITU-T E.500: holding time by calls a second)."""
ERLANG_A_CALLER = 0.5
"""Load that a caller in the telephone network offers: all the outside world that calls in, in few users."""
OUTSIDE_SHARE = 1 / 3
"""Of a desk-phone user's ordinary calls, which go to the telephone network."""


class Subscriber(Party):
    """Registers when it begins, stays so, takes calls, and leaves in order."""

    abstract = True
    kind = "subscriber"

    def on_start(self) -> None:
        """Register."""
        self.place = place()
        if self.place.outside is not None:
            raise NoPool(f"{type(self).__name__} sits at a site, and this load generator does not")
        self.who = self.place.take()
        self.agent = self.place.agent(self.who)
        self.agent.on_call = self.called
        self.agent.on_transferred = self.put_through
        attempt = self.agent.register()
        self.registered(attempt)
        self.agent.keep_registered(on_attempt=self.registered)

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
        outcome = f"{attempt.status} {attempt.why}" if attempt.status else attempt.why or "no answer"
        self.tell("REGISTER", attempt.delay_s, None if attempt.succeeded else Refused(outcome))

    def called(self, call: Call) -> None:
        """Somebody calls: ring, answer, talk until the caller hangs up."""
        call.ring()
        kind = self.kind if self.is_colleague(call) else f"{self.kind}-outside"
        gevent.spawn(take_call, self.who.account.user, kind, call, self.place.note_call, self.legs)

    def is_colleague(self, call: Call) -> bool:
        """Whether who calls is a subscriber of the same domain."""
        host = address_in(call.remote).partition("@")[2].partition(";")[0].partition(":")[0]
        return host == self.place.pool.domain

    def put_through(self, old: Call, new: Call) -> None:
        """The other side has put the call through: talk to the new one until somebody has enough."""
        self.legs.add(new)
        now = time.time()
        gevent.spawn(self.note, new, new.target, f"{self.kind}-transferred", now, now)

    def colleague(self) -> str:
        """The extension of somebody else in the campaign."""
        own = self.who.account.user
        others = self.place.there or self.place.pool.colleagues
        return random.choice([extension for extension in others if extension != own] or [own])


class RegisteredOnly(Subscriber):
    """A phone on a desk where nobody sits."""

    kind = "registered-only"

    @task
    def stay(self) -> None:
        """Nothing but be there."""
        gevent.sleep(1.0)


class DeskPhone(Subscriber):
    """Somebody at a desk: calls colleagues and outside at random, talks, now and then holds or puts a call
    through."""

    kind = "desk"

    def wait_time(self) -> float:
        """Time between two calls, so that arrivals are Poisson's, and of many users Erlang's traffic."""
        return random.expovariate(ERLANG_A_USER / MEAN_TALK_S)

    @task(8)
    def call_somebody(self) -> None:
        """The ordinary call: to a colleague, or to a telephone number outside."""
        everybody_is_there.wait()
        numbers = self.place.pool.outside
        if numbers and self.goes_outside():
            self.call_and_talk(random.choice(numbers), f"{self.kind}-outside")
        else:
            self.call_and_talk(self.colleague(), self.kind)

    def goes_outside(self) -> bool:
        """Whether the next ordinary call goes to the telephone network, where the campaign has one."""
        return random.random() < OUTSIDE_SHARE

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
        """A call that is transferred to a third one."""
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
    """Somebody whose next call begins when the last one has ended, every other one to a customer outside."""

    kind = "contact-centre"
    _customer_next = False

    def wait_time(self) -> float:
        """Time to write up a call."""
        return random.uniform(0.5, 2.0)

    def goes_outside(self) -> bool:
        """The first one, the third one and so on."""
        self._customer_next = not self._customer_next
        return self._customer_next


class PstnCaller(Party):
    """Somebody in the telephone network: dials direct numbers of the campaign's users, and does not register.

    Who is called there from inside is no user of locust's: all of the network's numbers answer."""

    kind = OUTSIDE
    outside = True
    """Sits in the telephone network (`campaigns.user_dispatcher`)."""

    def on_start(self) -> None:
        """Take a number to call from."""
        self.place = place()
        if self.place.outside is None:
            raise NoPool(
                f"{type(self).__name__} sits in the telephone network, and this load generator does not"
            )
        self.who = self.place.take()
        self.agent = self.place.outside.line(self.who)
        self.place.note_caller(self.who)

    def on_stop(self) -> None:
        """Hang up."""
        for call in tuple(self.legs):
            call.hang_up()
        self.place.forget_caller()

    def wait_time(self) -> float:
        """Time between two calls, as of people at desks."""
        return random.expovariate(ERLANG_A_CALLER / MEAN_TALK_S)

    @task
    def call_a_subscriber(self) -> None:
        """By the direct number."""
        everybody_is_there.wait()
        self.call_and_talk(self.place.direct[random.choice(self.place.there)], self.kind)


__all__ = [
    "ContactCentreAgent",
    "DeskPhone",
    "PstnCaller",
    "RegisteredOnly",
    "Subscriber",
    "everybody_is_there",
]
