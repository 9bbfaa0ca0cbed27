"""Readiness is a check with a deadline, written once and used everywhere; never a wait for time alone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from uclab.runtime.node import NotReady

T = TypeVar("T")
PATIENCE_VARIABLE = "UCLAB_PATIENCE"
"""Environment variable: by how many times a machine is slower than those that the deadlines were made for."""
MOST_PATIENCE = 100.0


def patient(deadline_s: float) -> float:
    """A deadline on this machine: times `UCLAB_PATIENCE`, from 1 to 100; anything else counts as 1."""
    try:
        times = float(os.environ.get(PATIENCE_VARIABLE, "1"))
    except ValueError:
        return deadline_s
    return deadline_s * (times if 1 <= times <= MOST_PATIENCE else 1)


class _Deadline:
    """Until when something is waited for, and what was last seen of it."""

    def __init__(self, what: str, deadline_s: float) -> None:
        self._what, self._deadline_s = what, patient(deadline_s)
        self._began = time.monotonic()
        self.last_seen = "nothing"

    def check(self) -> None:
        """Raises `NotReady` once it has passed."""
        if time.monotonic() - self._began > self._deadline_s:
            waited = f"not ready after {self._deadline_s:g} s (last seen: {self.last_seen})"
            raise NotReady(f"{self._what}: {waited}")


async def wait_until(
    check: Callable[[], Awaitable[T | None]], *, what: str, deadline_s: float, every_s: float = 0.02
) -> T:
    """The first result of `check` that is not None; asked again every `every_s` seconds until `deadline_s`
    have passed (longer where `patient` says so).

    An `OSError` from `check` means "not yet" and is kept for the message. Raises `NotReady` that says what
    was waited for and what was last seen.
    """
    deadline = _Deadline(what, deadline_s)
    while True:
        try:
            result = await check()
        except OSError as error:
            result, deadline.last_seen = None, str(error)
        if result is not None:
            return result
        deadline.check()
        await asyncio.sleep(every_s)


def block_until(check: Callable[[], T | None], *, what: str, deadline_s: float, every_s: float = 0.002) -> T:
    """`wait_until` for a thread that has nothing else to do."""
    deadline = _Deadline(what, deadline_s)
    while True:
        try:
            result = check()
        except OSError as error:
            result, deadline.last_seen = None, str(error)
        if result is not None:
            return result
        deadline.check()
        time.sleep(every_s)
