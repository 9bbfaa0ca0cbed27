"""What is drawn of a link: its way between two devices, its load, its caption."""

from __future__ import annotations

from dataclasses import dataclass

from uclab.drawing.boxes import Box
from uclab.plan.schema.plan import Link


@dataclass(frozen=True)
class LinkLoad:
    """What a run saw on a link; `a` and `b` are the link's ends as in the plan."""

    a_to_b_kbps: float
    b_to_a_kbps: float | None = None
    """None where directions were not told apart; then `a_to_b_kbps` is the load of both."""
    dscps: tuple[int, ...] = ()
    """DSCPs of calls seen there (media and signalling), most packets first."""
    pcps: tuple[int, ...] = ()
    """Their 802.1p priorities; empty where frames are untagged."""
    right: bool | None = None
    """Whether every call's marking was right there; None where it was not looked at."""


@dataclass(frozen=True)
class LineNote:
    """What is said of a WAN line besides its rate and delay."""

    words: str
    right: bool


@dataclass(frozen=True)
class Wire:
    """A link in the drawing, from the upper to the lower device (left to right in a row)."""

    link: Link
    upper: Box
    lower: Box
    start: tuple[float, float]
    end: tuple[float, float]
    upper_is_a: bool

    @property
    def is_level(self) -> bool:
        """Between devices of one row."""
        return self.upper.y == self.lower.y
