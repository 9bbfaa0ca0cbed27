"""Wi-Fi multimedia (WMM): user priorities, access categories, and how long each category waits for the
channel (Q1, W7)."""

from __future__ import annotations

from typing import Literal

AccessCategory = Literal["AC_VO", "AC_VI", "AC_BE", "AC_BK"]
CATEGORIES: tuple[AccessCategory, ...] = ("AC_VO", "AC_VI", "AC_BE", "AC_BK")
"""The one that is served first, first."""
_CATEGORY_OF_UP: tuple[AccessCategory, ...] = (
    *("AC_BE", "AC_BK", "AC_BK", "AC_BE"),
    *("AC_VI", "AC_VI", "AC_VO", "AC_VO"),
)
"""By user priority 0 to 7 (IEEE 802.11-2020, table 10-1): 1 and 2 lie below best effort."""
_SIFS_US, _SLOT_US = 16.0, 9.0
"""Short interframe space and slot of OFDM (IEEE 802.11-2020, table 17-21)."""
_EDCA = {"AC_VO": (2, 3), "AC_VI": (2, 7), "AC_BE": (3, 15), "AC_BK": (7, 15)}
"""Slots before the backoff (AIFSN) and smallest contention window: the defaults of IEEE 802.11-2020,
table 9-155."""


def category(up: int) -> AccessCategory:
    """The access category of a user priority, 0 to 7."""
    return _CATEGORY_OF_UP[up]


def contention_us(of: AccessCategory) -> float:
    """Mean wait on a quiet channel before a frame is sent, microseconds: interframe space and half the
    smallest window."""
    slots, window = _EDCA[of]
    return _SIFS_US + _SLOT_US * (slots + window / 2)
