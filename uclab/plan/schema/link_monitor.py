"""A router's watch over its lines to providers, as the plan tells it (N5, V2)."""

from __future__ import annotations

from dataclasses import dataclass

STEPPED_BACK = 10_000
"""Added to the metric of a lost line's default route: behind all others, and still there for questions that
are bound to the line."""


@dataclass(frozen=True)
class WatchedLine:
    """One line: the router's default route by it while it is good."""

    interface: str
    via: str
    metric: int


@dataclass(frozen=True)
class LineWatch:
    """The watch of one router; lines in the order of use."""

    router: str
    lines: tuple[WatchedLine, ...]
    targets: tuple[str, ...]
    """Addresses that are asked (ICMP echo) by every line; an answer of one of them is enough."""
    dscp: int
    """Of the questions."""
    interval_ms: int
    lost_after: int
    """Questions in a row without an answer."""
    return_after_s: float
    """Hold-down: so long a lost line must answer before it is used again."""
