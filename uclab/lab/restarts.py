"""What comes back by itself when it has died, as the policy's `restarts` say: a provider's container, a
controller, a router's routing daemons, a phone.

Whoever starts a part says here how it is started again. Each coming back is an event with its seconds; the
end before it stays the failure that it was (`lab.alive`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from uclab.lab.events import EventLog
from uclab.lab.watch import ProcessWatch
from uclab.plan.resolve.policies import RestartedPart, RestartPolicy

Again = Callable[[], Awaitable[None]]
"""Starts a part again, has its processes watched, and returns when it works as before."""


class NotAgain(Exception):
    """The part is not to come back now: it was killed on purpose."""


@dataclass(frozen=True)
class _Part:
    """Something that is started again as a whole."""

    name: str
    programs: tuple[str, ...]
    again: Again


class Restarts:
    """Starts again what has died, at most so often, after waits that grow."""

    def __init__(
        self,
        policy: RestartPolicy,
        events: EventLog,
        foreseen: tuple[type[Exception], ...],
    ) -> None:
        """`foreseen`: the errors by which a start may fail; anything else is a defect."""
        self._policy = policy
        self.events = events
        """The lab's log."""
        self.watch = ProcessWatch(self._on_death)
        """Over all of the lab's processes."""
        self._foreseen = foreseen
        self._parts: dict[str, _Part] = {}
        self._starts: dict[str, int] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    def offer(self, kind: RestartedPart, name: str, again: Again, programs: Iterable[str] = ()) -> None:
        """`name` can be started again by `again` when one of its `programs` (itself where there are none) has
        died; nothing happens where the policy does not want it."""
        if kind not in self._policy.parts:
            return
        part = _Part(name, tuple(programs) or (name,), again)
        self._parts.update(dict.fromkeys(part.programs, part))

    def _on_death(self, program: str, detail: str) -> None:
        """A program has ended unexpectedly."""
        self.events.add(program, "process-died", detail)
        part = self._parts.get(program)
        if part is None or part.name in self._under_way or self._closed:
            return
        task = asyncio.get_running_loop().create_task(self._bring_back(part))
        self._under_way[part.name] = task
        task.add_done_callback(lambda _: self._under_way.pop(part.name, None))

    async def close(self) -> None:
        """Start nothing any more."""
        self._closed = True
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _bring_back(self, part: _Part) -> None:
        died = time.monotonic()
        while (started := self._starts.get(part.name, 0)) < self._policy.attempts:
            await asyncio.sleep(self._policy.wait_before(started))
            self._starts[part.name] = started + 1
            counted = f"start {started + 1} of {self._policy.attempts}"
            try:
                await part.again()
            except NotAgain:
                return
            except self._foreseen as error:
                self.events.add(part.name, "restart-failed", f"{counted}: {error}")
                continue
            self.watch.revived(part.programs)
            self.events.add(
                part.name, "restarted", f"{time.monotonic() - died:.2f} s after its end, {counted}"
            )
            return
        self.events.add(part.name, "given-up", f"ended again after {self._policy.attempts} new starts")
