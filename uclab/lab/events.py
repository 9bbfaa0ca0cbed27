"""What happens in a lab, in order: kept in `events.jsonl` of the run directory and streamed to whoever
listens."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from uclab.model.visible import visible
from uclab.records.run import Event

RESERVED = 1 << 20
"""Bytes of the file that are set aside at the start, so that a full disk can still be told of; without a word
where the file system cannot (fallocate(2))."""
_KEEP_SIZE = 1
_libc, _long = ctypes.CDLL(None, use_errno=True), ctypes.c_long
PROGRESS = "progress"
"""Kind of events that only tell how far a step is; streamed, not kept on disk."""


class EventLog:
    """Append-only; readers see everything from the start and then what comes.

    While it is open its file is locked: so whoever finds a run without an end can tell a lab that still runs
    from one that was killed (`uclab.judge.evidence.life`). What a full disk does not take is kept until then.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.open("ab", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _libc.fallocate(self._file.fileno(), _KEEP_SIZE, _long(0), _long(RESERVED))
        self._unwritten = b""
        self._events: list[Event] = []
        self._news = asyncio.Condition()
        self._closed = False
        self._wakes: set[asyncio.Task[None]] = set()

    def add(
        self,
        source: str,
        kind: str,
        detail: str = "",
        at: float | None = None,
        *,
        about: str = "",
        links: Iterable[str] = (),
    ) -> None:
        """Record an event; `at` is seconds since the epoch, now where absent."""
        self.take(Event(time.time() if at is None else at, source, kind, detail, about, tuple(links)))

    def take(self, event: Event) -> None:
        """Record an event that has happened. Words come from phones, programs and what others send to them:
        control characters in them are escapes from here on."""
        event = replace(
            event,
            source=visible(event.source),
            kind=visible(event.kind),
            detail=visible(event.detail),
            about=visible(event.about),
            links=tuple(map(visible, event.links)),
        )
        self._events.append(event)
        if event.kind != PROGRESS and not self._file.closed:
            self._unwritten += json.dumps(asdict(event)).encode() + b"\n"
            self._write()
        self._wake()

    def _write(self) -> None:
        """As much as there is room for."""
        with suppress(OSError):  # no room: `uclab.lab.disk_watch` says so
            while self._unwritten:
                self._unwritten = self._unwritten[self._file.write(self._unwritten) or 0 :]

    def progress(self, step: str, done: int, total: int) -> None:
        """Tell how far a step is, in counts."""
        self.add("lab", PROGRESS, json.dumps({"step": step, "done": done, "total": total}))

    def close(self) -> None:
        """No more events; readers end after the last one."""
        self._closed = True
        self._write()
        with suppress(OSError):
            self._file.truncate(self._file.tell())  # what was reserved and not needed
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
