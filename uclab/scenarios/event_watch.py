"""A lab's events, for a scenario that waits for some of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from uclab.lab.client import LabClient, LabGone
from uclab.records.run import Event


class EventWatch:
    """Follows the lab's events and lets others wait for what they need."""

    def __init__(self, lab: LabClient) -> None:
        self._lab = lab
        self._events: list[Event] = []
        self._news = threading.Condition()
        self._gone = threading.Event()
        # ends with the lab
        threading.Thread(target=self._follow, name="events of the failover", daemon=True).start()

    def wait_until(self, done: Callable[[Sequence[Event]], bool], since: float, deadline_s: float) -> bool:
        """Wait until `done` holds for the events since a time; False after the deadline."""

        def holds() -> bool:
            return done([event for event in self._events if event.time >= since])

        with self._news:
            return self._news.wait_for(holds, deadline_s)

    def pause_until(self, when: float) -> None:
        """Let the calls go on until that time; raises `LabGone` if the lab ends meanwhile."""
        if self._gone.wait(max(0.0, when - time.time())):
            raise LabGone(f"lab `{self._lab.lab.name}` ended during the scenario")

    def stir(self, _: object = None) -> None:
        """Make who waits look again."""
        with self._news:
            self._news.notify_all()

    def _follow(self) -> None:
        with suppress(LabGone):
            for event in self._lab.events():
                with self._news:
                    self._events.append(event)
                    self._news.notify_all()
        self._gone.set()
