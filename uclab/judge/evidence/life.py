"""Whether the lab of a run was taken down, still runs, or was killed, and when (`lab.alive`)."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path

from uclab.records.run import Event

ENDS = ("going-down", "down", "failed")
"""Kinds of events by which a lab says itself that it ends."""


def still_runs(events_file: Path) -> bool:
    """Whether a lab writes there now: it holds a lock on the file of its events for as long as it lives.

    False where there is no such file, and on another machine than the lab's.
    """
    try:
        descriptor = os.open(events_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def was_taken_down(events: Iterable[Event]) -> bool:
    """Whether the lab said that it was going to end."""
    return any(event.source == "lab" and event.kind in ENDS for event in events)


def clock(time_s: float) -> str:
    """A time of a run as people read it, in the machine's own zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_s))
