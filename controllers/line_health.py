"""Which lines of a router are good, from answered and unanswered questions (pure; N5, V2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RELAPSE = 2
"""Questions in a row without an answer restart the hold-down."""
GRACE = 10
"""Questions that go unanswered without harm when the watch begins: a long line's first answers are on their
way."""


@dataclass
class LineHealth:
    """One line: lost after so many questions in a row without an answer, good again when it has answered for
    so long."""

    lost_after: int
    return_after_s: float
    good: bool = True
    missed: int = 0
    """Questions in a row without an answer."""
    _back_since: float | None = None

    def tell(self, now: float, *, up: bool, answered: bool) -> None:
        """What became of the last question: `up` says whether the line has carrier and a route, without which
        it is lost at once."""
        self.missed = 0 if up and answered else self.missed + 1
        if self.good:
            self.good = up and self.missed < self.lost_after
            self._back_since = None
        elif not up or self.missed >= RELAPSE:
            self._back_since = None
        elif answered:
            self._back_since = now if self._back_since is None else self._back_since
            self.good = now - self._back_since >= self.return_after_s


def stepped_back(lines: Sequence[LineHealth], before: Sequence[bool]) -> tuple[bool, ...]:
    """Which lines stand back behind the others. Where no good line answers, all stay as they are: then it is
    not the line that is at fault, or there is nothing to turn to."""
    if not any(line.good and line.missed < RELAPSE for line in lines):
        return tuple(before)
    return tuple(not line.good for line in lines)
