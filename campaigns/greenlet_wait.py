"""Waiting in a greenlet for something that others bring about."""

from __future__ import annotations

import time
from collections.abc import Callable

from gevent.event import Event


def until(holds: Callable[[], bool], changed: Event, deadline_s: float) -> bool:
    """Whether it holds by then; looked at again whenever `changed` is set."""
    end = time.monotonic() + deadline_s
    while not holds():
        left = end - time.monotonic()
        if left <= 0:
            return False
        changed.wait(left)
        changed.clear()
    return True
