"""What a phone does after an event of its own: while an event is handled, no command can be awaited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from endpoints_emu.errors import PhoneError


class Afterwards:
    """Work that was begun by events and may not have ended."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin it as soon as the event has been handled; that a leg or the phone has ended meanwhile is no
        error, its own event says so."""

        async def guarded() -> None:
            with contextlib.suppress(PhoneError):
                await work

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """End what has not ended."""
        for task in self._tasks:
            task.cancel()
