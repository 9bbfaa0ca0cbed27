"""A brown-out: a line that is made worse while it runs, with its link still up (V2, W6). Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from uclab.plan.schema.plan import Impairment

FIGURES = {"loss": "per cent", "delay": "ms", "jitter": "ms", "rate": "kbit/s"}
"""What may be changed, and its unit."""
MOST = {"loss": 100.0, "delay": 60_000.0, "jitter": 60_000.0, "rate": 100_000_000.0}
"""How much of each there can be; more than any line has, and less than any clock or counter overflows
with."""
FORM = "a number, or `+N` on top of what the line has: `loss=8,delay=+120`"


class BadFigures(ValueError):
    """A brown-out that cannot be; the message says what is possible."""


@dataclass(frozen=True)
class Change:
    """A new value, or what is added to the present one."""

    value: float
    added: bool = False

    def on(self, present: float) -> float:
        """The value afterwards, never negative."""
        return max(0.0, present + self.value if self.added else self.value)


@dataclass(frozen=True)
class BrownOut:
    """Changes of a line; None leaves a figure as it is."""

    loss_pct: Change | None = None
    """Random loss; loss in bursts stays what it is."""
    delay_ms: Change | None = None
    jitter_ms: Change | None = None
    rate_kbps: Change | None = None

    def on(self, line: Impairment) -> Impairment:
        """The line in its brown-out. Its room grows with its delay, so that it never loses for lack of
        room."""
        delay_ms = self.delay_ms.on(line.delay_ms) if self.delay_ms else line.delay_ms
        return replace(
            line,
            loss_pct=min(100.0, self.loss_pct.on(line.loss_pct)) if self.loss_pct else line.loss_pct,
            delay_ms=delay_ms,
            jitter_ms=self.jitter_ms.on(line.jitter_ms) if self.jitter_ms else line.jitter_ms,
            limit_packets=roomy(line, delay_ms),
        )

    def rate_on(self, rate_kbps: int) -> int:
        """The sender's rate in the brown-out, at least 1 kbit/s."""
        return max(1, round(self.rate_kbps.on(rate_kbps))) if self.rate_kbps else rate_kbps


def roomy(line: Impairment, delay_ms: float) -> int:
    """Packets that the line must be able to hold with another delay: never fewer than planned."""
    longer = delay_ms / line.delay_ms if line.delay_ms else 1.0 + delay_ms / 100
    return math.ceil(line.limit_packets * max(1.0, longer))


def from_figures(figures: Mapping[str, object]) -> BrownOut:
    """A brown-out from what a user gave (`{"loss": "8", "delay": "+120"}`). Raises `BadFigures`."""
    allowed = ", ".join(f"`{name}` ({unit})" for name, unit in FIGURES.items())
    unknown = [name for name in figures if name not in FIGURES]
    if unknown:
        raise BadFigures(f"a brown-out has no `{unknown[0]}`; it may change: {allowed}")
    if not figures:
        raise BadFigures(f"a brown-out needs figures: {FORM}; it may change: {allowed}")
    changes = {name: _change(name, value) for name, value in figures.items()}
    return BrownOut(changes.get("loss"), changes.get("delay"), changes.get("jitter"), changes.get("rate"))


def _change(name: str, value: object) -> Change:
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadFigures(f"brown-out: `{name}={text[:40]}`: expected {FIGURES[name]} as {FORM}")
    added = text[:1] in "+-"
    if name == "loss" and number > 100:
        raise BadFigures(f"brown-out: `{name}={text}`: a line cannot lose more than 100 per cent")
    if abs(number) > MOST[name]:
        raise BadFigures(f"brown-out: `{name}={text}`: at most {MOST[name]:.0f} {FIGURES[name]}")
    if name == "rate" and number == 0:
        raise BadFigures(f"brown-out: `{name}={text}`: for a line that carries nothing use a black hole")
    return Change(number, added)
