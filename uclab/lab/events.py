"""What happens in a lab, in order: kept in `events.jsonl` of the run directory and streamed to whoever
listens."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from uclab.model.visible import visible
from uclab.plan.records import Event

PROGRESS = "progress"
"""Kind of events that only tell how far a step is; streamed, not kept on disk."""


class EventLog:
    """Append-only; readers see everything from the start and then what comes."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", encoding="utf-8", buffering=1)
        self._events: list[Event] = []
        self._news = asyncio.Condition()
        self._closed = False
        self._wakes: set[asyncio.Task[None]] = set()

    def add(self, source: str, kind: str, detail: str = "", at: float | None = None) -> None:
        """Record an event; `at` is seconds since the epoch, now where absent. Words come from phones,
        programs and what others send to them: control characters in them are escapes from here on."""
        when = time.time() if at is None else at
        event = Event(when, visible(source), visible(kind), visible(detail))
        self._events.append(event)
        if kind != PROGRESS and not self._file.closed:
            self._file.write(json.dumps(asdict(event)) + "\n")
        self._wake()

    def progress(self, step: str, done: int, total: int) -> None:
        """Tell how far a step is, in counts."""
        self.add("lab", PROGRESS, json.dumps({"step": step, "done": done, "total": total}))

    def close(self) -> None:
        """No more events; readers end after the last one."""
        self._closed = True
        self._file.close()
        self._wake()

    async def read(self, start: int = 0) -> AsyncIterator[Event]:
        """Every event from number `start` on, until the log is closed."""
        position = start
        while True:
            while position < len(self._events):
                yield self._events[position]
                position += 1
            if self._closed:
                return
            async with self._news:
                if position >= len(self._events) and not self._closed:
                    await self._news.wait()

    def _wake(self) -> None:
        task = asyncio.get_running_loop().create_task(self._notify())
        self._wakes.add(task)
        task.add_done_callback(self._wakes.discard)

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()
