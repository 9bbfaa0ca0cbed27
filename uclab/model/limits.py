"""What a policy allows: delay, loss and jitter, the confidence of a verdict, tolerances, failover."""

from __future__ import annotations

from pydantic import Field

from uclab.model.schema_types import (
    StrictModel,
)


class Limits(StrictModel):
    """What a path must keep, one way (C8, Q2)."""

    max_one_way_delay_ms: float = Field(gt=0, le=5000)
    max_loss_pct: float = Field(gt=0, le=100)
    max_jitter_ms: float = Field(gt=0, le=1000)
    """Interarrival jitter of RFC 3550 section 6.4.1."""
    min_mos: float = Field(ge=1, le=4.5)
    """Mean opinion score by ITU-T G.107 and its annex B."""


class Confidence(StrictModel):
    """With what confidence a limit counts as kept or missed, and how much media may be placed for that
    (C8).

    A line is judged by all calls that crossed it. It keeps its loss where the whole interval lies below the
    limit, misses it where the whole interval lies above, and else nothing is shown.
    """

    verdict_pct: float = Field(default=95, gt=50, lt=100)
    """Confidence of a verdict on a line: a wrong one comes in at most 100 less this of 100 runs."""
    accused_pct: float = Field(default=1, gt=0, le=50)
    """Chance that a run accuses a single call wrongly, of all its calls and figures together."""
    right_pct: float = Field(default=98, gt=50, lt=100)
    """The reference scenario makes its calls so long that a line with its profile's loss gets the right
    verdict in so many of 100 runs."""
    assumed_design_effect: float = Field(default=2, ge=1, le=100)
    """Where too little was lost to see in what bursts: by how much more than at random the loss is taken to
    scatter (Kish's design effect; 1: at random)."""
    longest_call_s: float = Field(default=900, ge=5, le=86_400)
    """Calls are not made longer than this; where more would be needed the calls stay short and the verdict
    says so."""


class Tolerances(StrictModel):
    """What findings tolerate that are not measured against a limit of voice."""

    astray_pct: float = Field(default=1, ge=0, le=50)
    """Share of a call's packets that may be missing at a tap of their planned way (V2, P5)."""
    settled_s: float = Field(default=30, ge=0, le=600)
    """After something was healed, media may take that long until it is back on its planned way, seconds."""
    full_line_loss_pct: float = Field(default=2, gt=0, le=100)
    """Share of bulk traffic that must get lost as proof that a line was full (C8)."""
    recovered_s: int = Field(default=3, ge=1, le=60)
    """Calls must be good again in that many last seconds of a failure (V2)."""
    capacity_apart_pct: float = Field(default=5, gt=0, le=100)
    """Computed and measured number of calls differ by less, per cent of the computed one (Q2)."""


class FailoverLimits(StrictModel):
    """How callers may be affected when a line, a router or a data centre fails, and when it is back (V2)."""

    max_detection_ms: float = Field(gt=0, le=600_000)
    """From the failure to the first packet on another line."""
    max_media_gap_ms: float = Field(gt=0, le=600_000)
    """Silence at the receiver (median of the calls) where routing alone moves the path."""
    max_media_gap_new_address_ms: float = Field(gt=0, le=600_000)
    """The same where the calls' source address changes, so that phones or the cloud must do something."""
    max_failback_gap_ms: float = Field(gt=0, le=600_000)
    """Silence at the receiver (median of the calls) when traffic moves back: nothing is broken then."""
    max_registration_s: float = Field(gt=0, le=3600)
    """Until a phone whose source address changed has re-registered."""
    brown_out_loss_pct: float = Field(gt=0, le=100)
    """What the failover scenario calls a brown-out of a line: random loss on top of the line's own..."""
    brown_out_delay_ms: float = Field(ge=0, le=5000)
    """...and more delay, each way."""
