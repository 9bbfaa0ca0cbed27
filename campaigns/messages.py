"""Locust's own messages between its leader and the worker of a generator on another machine: the worker's
records, its sign-off, and what its clock shows.

The leader ends such a campaign in two steps: all users leave, as they would at locust's own end; when those
elsewhere have signed off, locust ends as ever. Else it would be gone before their last records come.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from campaigns.remote_records import Ledger
from uclab.plan.schema.codec import to_data
from uclab.records.remote_generators import GENERATORS_VARIABLE, KINDS, RECORDS_VARIABLE

RECORD, FAREWELL, CLOCK, LEAVE = "uclab-record", "uclab-farewell", "uclab-clock", "uclab-leave"
CLOCK_ROUNDS = 5
LONGER_S = 10.0
"""How much longer than users may take to finish the leader waits for good-byes."""


class Outbox:
    """A worker's, of a generator elsewhere."""

    def __init__(self, runner: Any, generator: str) -> None:
        self._runner = runner
        self._generator = generator
        self._counts = dict.fromkeys(KINDS, 0)
        self._left = False

    def tell(self, kind: str, record: object) -> None:
        """Send a record, and a new sign-off where it comes after that."""
        self._counts[kind] += 1
        self._send(RECORD, {"kind": kind, "record": to_data(record)})
        if self._left:
            self.farewell()

    def farewell(self, **_: Any) -> None:
        """Say how many records there are; all users have left."""
        self._left = True
        self._send(FAREWELL, self._counts)

    def show_clock(self, msg: Any, **_: Any) -> None:
        """Say what this machine's clock shows."""
        self._send(CLOCK, {"asked": msg.data["asked"], "here": time.time()})

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        try:
            self._runner.send_message(kind, {"generator": self._generator, **data})
        except Exception as error:  # users go on; what did not come is missed at the leader
            logging.warning("not told: %s: %s", kind, error)


class Inbox:
    """The leader's."""

    def __init__(self, environment: Any, runner: Any, ledger: Ledger) -> None:
        self._environment = environment
        self._runner = runner
        self._ledger = ledger
        self._clients: dict[str, str] = {}
        self._rounds: dict[str, int] = {}
        runner.register_message(RECORD, self._record)
        runner.register_message(FAREWELL, self._farewell)
        runner.register_message(CLOCK, self._clock)
        environment.events.test_start.add_listener(self._ask_clocks)
        environment.events.test_stopping.add_listener(self._ending)
        environment.events.test_stop.add_listener(self._see_off)

    def _record(self, msg: Any, **_: Any) -> None:
        self._clients[msg.data["generator"]] = msg.node_id
        self._ledger.record(msg.data)

    def _farewell(self, msg: Any, **_: Any) -> None:
        self._ledger.farewell(msg.data)

    def _clock(self, msg: Any, **_: Any) -> None:
        self._clients[msg.data["generator"]] = msg.node_id
        self._ledger.clock(msg.data, time.time())
        self._rounds[msg.node_id] = self._rounds.get(msg.node_id, 0) + 1
        if self._rounds[msg.node_id] < CLOCK_ROUNDS:
            self._runner.send_message(CLOCK, {"asked": time.time()}, msg.node_id)

    def _ask_clocks(self, **_: Any) -> None:
        self._runner.send_message(CLOCK, {"asked": time.time()})

    def _ending(self, **_: Any) -> None:
        self._ledger.ending = True

    def _see_off(self, **_: Any) -> None:
        """All users leave; wait for the sign-off of each generator elsewhere that is still there."""
        self._runner.send_message(LEAVE)
        until = time.monotonic() + (self._environment.stop_timeout or 0.0) + LONGER_S
        while any(map(self._awaited, self._ledger.told)) and time.monotonic() < until:
            gevent.sleep(0.05)

    def _awaited(self, generator: str) -> bool:
        client = self._runner.clients.get(self._clients.get(generator, ""))
        connected = client is not None and client.state != STATE_MISSING
        return connected and not self._ledger.told[generator].left


_outboxes: list[Outbox] = []


def tell(kind: str, record: object) -> None:
    """Send a record to the leader, where this is the worker of a generator on another machine."""
    for outbox in _outboxes:
        outbox.tell(kind, record)


@events.init.add_listener
def _ready(environment: Any, runner: Any, **_: Any) -> None:
    names = os.environ.get(GENERATORS_VARIABLE, "").split()
    if isinstance(runner, MasterRunner) and names:
        Inbox(environment, runner, Ledger(Path(os.environ[RECORDS_VARIABLE]), names))
    elif isinstance(runner, WorkerRunner):
        runner.register_message(LEAVE, lambda **_: runner.stop(), concurrent=True)
        if not names:
            runner.register_message(CLOCK, lambda **_: None)
            return
        outbox = Outbox(runner, names[0])
        _outboxes.append(outbox)
        runner.register_message(CLOCK, outbox.show_clock)
        environment.events.test_stop.add_listener(outbox.farewell)
