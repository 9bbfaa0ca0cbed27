"""Timers by the thousand: things to be looked at again at some time, in slots of 50 ms.

Most timers of SIP never fire, so that beginning and forgetting one has to cost next to nothing: here one
dictionary entry each.
"""

from __future__ import annotations

from typing import Protocol

TICK_S = 0.05
"""RFC 3261's timers are 500 ms and more."""


class Timed(Protocol):
    """What a wheel holds; it is in one slot at most."""

    slot: int

    def on_time(self, now: float) -> float | None:
        """Called when its time has come; returns the next time, or None."""


class Wheel:
    """Timed things by slot. Times are those of one monotonic clock, in seconds."""

    def __init__(self, now: float) -> None:
        self._slots: dict[int, dict[Timed, None]] = {}
        self._turned = int(now / TICK_S)

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def at(self, when: float, item: Timed) -> None:
        """Look at `item` when that time has come, not before and at most two ticks later."""
        slot = int(when / TICK_S) + 1
        if slot <= self._turned:
            slot = self._turned + 1
        item.slot = slot
        held = self._slots.get(slot)
        if held is None:
            held = self._slots[slot] = {}
        held[item] = None

    def forget(self, item: Timed) -> None:
        """Do not look at it any more."""
        held = self._slots.get(item.slot)
        if held is not None:
            held.pop(item, None)

    def turn(self, now: float) -> None:
        """Look at all whose time has come."""
        until = int(now / TICK_S)
        if until - self._turned > len(self._slots):
            due = sorted(slot for slot in self._slots if slot <= until)
        else:
            due = list(range(self._turned + 1, until + 1))
        self._turned = until
        for slot in due:
            for item in self._slots.pop(slot, ()):
                again = item.on_time(now)
                if again is not None:
                    self.at(again, item)
