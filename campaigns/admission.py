"""Places calls one after another for `uclab capacity --measure`, and answers them; a program for each side.

`python -m campaigns.admission call MEASURING.json` at the site, `... answer MEASURING.json` in the data
centre; users come from the pool that `UCLAB_POOL` names. Ends on SIGTERM, in order: calls are hung up and
noted. No locust here: what is looked for is one number, not a distribution.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

import gevent
from gevent.event import Event
from gevent.pool import Pool as Greenlets

from campaigns.worker_context import Place, log, place, write
from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.call import Call
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.process import prefer
from endpoints_emu.load.sdp import Direction
from uclab.plan.capacity.experiment_record import Admission, MeasuringRecord, Reading, Spoken
from uclab.plan.load.record import LegRecord
from uclab.plan.schema.codec import from_data

AT_ONCE = 50
"""Registrations under way at a time."""
READ_S = 1.0
QUICK_S = 0.25
"""From one call to the next where the computed number is still far."""
NEAR_SHARE = 0.8
"""Of the computed number, from which on each call gets its full time."""
GONE_S = 5.0
"""How long calls may take to end."""
DIRECTIONS: dict[Spoken, Direction] = {"both": "sendrecv", "up": "sendonly", "down": "recvonly"}
KIND = "measured"


class Side:
    """What both sides have: agents that are registered, calls, and readings of what these receive."""

    def __init__(self, here: Place, record: MeasuringRecord) -> None:
        self.place, self.record = here, record
        self.agents = [here.agent(user) for user in here.pool.users]
        self.over = Event()
        self.calls: list[Call] = []
        self.followed: list[gevent.Greenlet] = []
        self._gone = [0, 0]
        """Packets received and lost of calls that have ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self.over.set)

    def register(self) -> None:
        """Register all users. Ends the process with words where one is refused."""

        def one(agent: UserAgent) -> str | None:
            attempt = agent.register()
            if attempt.succeeded:
                agent.keep_registered()
                return None
            return f"{agent.account.user}: {attempt.status or 'no answer'} {attempt.why}"

        refused = [reason for reason in Greenlets(AT_ONCE).imap_unordered(one, self.agents) if reason]
        if refused:
            sys.exit(f"{len(refused)} of {len(self.agents)} users could not register; {refused[0]}")

    def read(self, file: IO[str]) -> None:
        """Note about once a second what all calls have received."""
        while not self.over.wait(READ_S):
            figures = [call.figures() for call in tuple(self.calls)]
            received = self._gone[0] + sum(figure.received for figure in figures)
            lost = self._gone[1] + sum(figure.lost for figure in figures)
            write(file, Reading(round(time.time(), 3), len(figures), received, lost))

    def follow(self, call: Call, leg: Callable[[float], LegRecord]) -> None:
        """Count a call until its end, then note it."""
        self.calls.append(call)
        call.ended.wait()
        ended = time.time()
        figures = call.figures()
        self.calls.remove(call)
        self._gone[0] += figures.received
        self._gone[1] += figures.lost
        self.place.note_call(leg(ended), call)

    def finish(self) -> None:
        """Hang up what still stands, and have it noted."""
        gevent.joinall([gevent.spawn(call.hang_up) for call in tuple(self.calls)], timeout=GONE_S)
        gevent.joinall(tuple(self.followed), timeout=GONE_S)

    def file(self, name: str) -> IO[str]:
        """A file of records beside the pool's."""
        return log(Path(f"{self.place.pool.records}.{name}.jsonl"))


def answer(side: Side) -> None:
    """Answer whoever calls, until told to end."""

    def called(agent: UserAgent, call: Call) -> None:
        call.answer()
        began = time.time()

        def leg(ended: float) -> LegRecord:
            return LegRecord(agent.account.user, call.remote, "callee", KIND, 200, began, began, ended)

        side.followed.append(gevent.spawn(side.follow, call, leg))

    for agent in side.agents:
        agent.on_call = partial(called, agent)
    side.register()
    side.read(side.file("readings"))
    side.finish()


def place_calls(side: Side) -> None:
    """One call after another, until there are as many as wanted or the process is told to end."""
    side.register()
    gevent.spawn(side.read, side.file("readings"))
    admissions = side.file("admissions")
    own = {agent.account.user for agent in side.agents}
    targets = [colleague for colleague in side.place.pool.colleagues if colleague not in own]
    near = NEAR_SHARE * min(way.calls for way in side.record.ways)
    for number, (agent, target) in enumerate(zip(side.agents, targets, strict=True), start=1):
        began = time.time()
        try:
            call = agent.call(target, direction=DIRECTIONS[side.record.spoken])
        except CallFailed as error:
            write(admissions, Admission(number, round(time.time(), 3), error.status, str(error)))
            break
        answered = time.time()
        write(admissions, Admission(number, round(answered, 3), 200))

        def leg(
            ended: float,
            user: str = agent.account.user,
            target: str = target,
            began: float = began,
            answered: float = answered,
        ) -> LegRecord:
            return LegRecord(user, target, "caller", KIND, 200, began, answered, ended)

        side.followed.append(gevent.spawn(side.follow, call, leg))
        if side.over.wait(QUICK_S if number < near else side.record.step_s):
            break
    side.over.wait(side.record.step_s)
    side.finish()


def main(argv: list[str]) -> None:
    """`call` or `answer`, and the file that says what is measured."""
    what, path = argv
    record = from_data(MeasuringRecord, json.loads(Path(path).read_text()))
    prefer()  # what stands still for some milliseconds sends a burst, for which a line's queue has no room
    side = Side(place(), record)
    {"call": place_calls, "answer": answer}[what](side)


if __name__ == "__main__":
    main(sys.argv[1:])
