"""Link profiles: how a line behaves, each direction by itself (W1 to W10, Q2)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uclab.model.conditions import Conditions, Radio
from uclab.model.schema_types import CsvReference, LongName, StrictModel, Text, Title
from uclab.model.timetable import Timetable


class Bursts(StrictModel):
    """Loss in bursts: a line that is now good, now bad (Gilbert 1960, Elliott 1963). The state is drawn for
    every packet."""

    enter_pct: float = Field(gt=0, le=100)
    """Chance that a good line turns bad after a packet, per cent."""
    leave_pct: float = Field(gt=0, le=100)
    """Chance that a bad line turns good after a packet, per cent; a burst lasts 100 / `leave_pct` packets in
    the mean."""
    lost_pct: float = Field(default=100, gt=0, le=100)
    """Packets lost while the line is bad, per cent."""


class Direction(StrictModel):
    """One direction of a line."""

    rate_kbps: int = Field(ge=64, le=10_000_000)
    """Rate of the line, kbit/s."""
    delay_ms: float = Field(ge=0, le=5000)
    """One-way delay without queueing, ms."""
    jitter_ms: float = Field(default=0, ge=0, le=1000)
    """Standard deviation of the delay, ms; at most the delay."""
    jitter_distribution: Literal["normal", "uniform", "pareto", "paretonormal"] = "normal"
    """How the delay scatters; `pareto` and `paretonormal` have a long tail of late packets."""
    loss_pct: float = Field(default=0, ge=0, le=100)
    """Packets lost at random, per cent; with bursts, those lost between them."""
    bursts: Bursts | None = None
    """Loss in bursts beside the random one; none where absent."""


class LinkProfile(StrictModel):
    """A named kind of line; each direction separately."""

    profile: LongName
    """Name of the profile, that of its file."""
    title: Title
    source: Text
    """Where the numbers come from."""
    up: Direction
    """From the site to the provider."""
    down: Direction
    """From the provider to the site."""
    honours_classes: bool = False
    """True where the provider queues by DSCP towards the site."""
    queue_ms: int | None = Field(default=None, ge=1, le=10_000)
    """Depth of the provider's queue towards the site, as the time that full packets of 1,500 bytes take to
    leave it, ms; where classes are honoured, of the class for everything else."""
    queue_packets: int | None = Field(default=None, ge=1, le=100_000)
    """The same depth in packets, instead of `queue_ms`."""
    radio: Radio | None = None
    """What kind of radio the line is, where it is one: then it knows conditions."""
    conditions: Conditions | None = None
    """What the line suffers from wherever it is used; a connection's own conditions go before."""
    timetable: Timetable | None = None
    """How the line changes with time."""
    trace: CsvReference | None = None
    """A recording to play instead of a timetable: a CSV file, from the profile's folder on."""
    trace_loop: bool = True
    """Whether the recording begins again at its end; otherwise the line is then as the profile says."""
