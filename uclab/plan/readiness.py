"""Readiness is a check with a deadline, written once and used everywhere; never a wait for time alone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from uclab.plan.runtime import NotReady

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


async def wait_until(
    check: Callable[[], Awaitable[T | None]], *, what: str, deadline_s: float, every_s: float = 0.02
) -> T:
    """The first result of `check` that is not None; asked again every `every_s` seconds until `deadline_s`
    have passed (longer where `patient` says so).

    An `OSError` from `check` means "not yet" and is kept for the message. Raises `NotReady` that says what
    was waited for and what was last seen.
    """
    deadline_s = patient(deadline_s)
    began = time.monotonic()
    last_seen = "nothing"
    while True:
        try:
            result = await check()
        except OSError as error:
            result, last_seen = None, str(error)
        if result is not None:
            return result
        if time.monotonic() - began > deadline_s:
            raise NotReady(f"{what}: not ready after {deadline_s:g} s (last seen: {last_seen})")
        await asyncio.sleep(every_s)
