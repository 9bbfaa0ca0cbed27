"""What of a link profile changes with time: its timetable of gaps, handovers and showers (W4, W8)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uclab.model.schema_types import StrictModel


class Period(StrictModel):
    """A time in which the line is another one; what is not given stays as it is."""

    at_s: float = Field(ge=0, le=31_536_000)
    """When it begins, seconds from the timetable's start."""
    seconds: float = Field(ge=0.01, le=31_536_000)
    """How long it lasts, seconds; `compress` does not shorten it."""
    every_s: float | None = Field(default=None, ge=0.1, le=31_536_000)
    """It comes again after so many seconds, for as long as the timetable runs; `compress` does not shorten
    that. Once in the timetable where absent."""
    way: Literal["up", "down", "both"] = "both"
    """The directions that it is about."""
    outage: bool = False
    """Whether everything is lost while it lasts."""
    rate_pct: float | None = Field(default=None, ge=1, le=1000)
    """Rate of the line while it lasts, per cent of the direction's `rate_kbps`."""
    more_delay_ms: float = Field(default=0, ge=0, le=5000)
    """Delay on top of the direction's, ms."""
    more_jitter_ms: float = Field(default=0, ge=0, le=1000)
    """Jitter on top of the direction's, ms."""
    more_loss_pct: float = Field(default=0, ge=0, le=100)
    """Random loss on top of the direction's, per cent."""


class Timetable(StrictModel):
    """When a line is how. Periods that overlap add up: delays, jitters and losses are summed, the lowest rate
    counts."""

    periods: tuple[Period, ...] = Field(min_length=1, max_length=1000)
    repeat_s: float | None = Field(default=None, ge=1, le=31_536_000)
    """The timetable begins again after so many seconds; where absent it is played once."""
    compress: float = Field(default=1, ge=1, le=86_400)
    """Time between the beginnings of periods passes so many times faster: 1440 makes a minute of a day."""
