"""What everybody has who calls in a campaign: calls, and what locust and the records hear of them."""

from __future__ import annotations

import random
import time
from typing import Any

import gevent
from locust import User, events

from campaigns.worker_context import Place
from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.call import Call
from endpoints_emu.load.failure import CallFailed
from uclab.plan.load.record import EFFECTIVE, LegRecord, LoadUser

MEAN_TALK_S = 12.0
"""Mean holding time of calls here, seconds; in a company about 180."""
LEAST_TALK_S = 6.0
"""The shortest talk, seconds: a greeting each way, and packets enough for its loss to be judged. Erlang's
formula asks for the mean alone, whatever the distribution of holding times."""


class Refused(Exception):
    """What locust lists as a failure."""


class Party(User):
    """Somebody who calls."""

    abstract = True
    kind = "party"
    place: Place
    who: LoadUser
    agent: UserAgent

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.legs: set[Call] = set()

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
        """Call somebody; None where it was not established. The leg is noted when it has ended."""
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
        gevent.spawn(self.note, call, target, kind, began, time.time())
        return call

    def note(self, call: Call, target: str, kind: str, began: float, answered: float) -> None:
        """Wait for the end of a call of one's own, and keep how it went."""
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
        self.place.note_call(leg, call)

    def talk(self, call: Call) -> None:
        """For a greeting and a time that is distributed exponentially, or until the other side has enough."""
        call.ended.wait(LEAST_TALK_S + random.expovariate(1 / (MEAN_TALK_S - LEAST_TALK_S)))

    def call_and_talk(self, target: str, kind: str) -> None:
        """A whole call."""
        call = self.dial(target, kind)
        if call is not None:
            self.talk(call)
            call.hang_up()


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)
