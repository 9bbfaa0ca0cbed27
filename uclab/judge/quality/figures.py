"""Figures of a direction of a call from its packets: delay, loss, jitter, MOS. They are shown as they are;
what they prove of line and call is `uclab.judge.quality`'s to say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from uclab.judge.measure import emodel
from uclab.judge.measure.clusters import Clusters
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Stream, media_time
from uclab.judge.result.media import JudgedCall, MediaQuality
from uclab.plan.schema.plan import Policy
from uclab.records.run import CallRecord, Direction

BySecond = Literal["lost", "delay_sum_ms", "jitter_sum_ms"]
MEDIA_SHARE = 0.5
"""Share of a call's time for which media must have been sent for its quality to be a statement about the
call."""


def media_quality(stream: Stream | None) -> MediaQuality | None:
    """Figures of a stream at its receiver; None when nothing was sent."""
    if stream is None or not stream.counted:
        return None
    loss_pct = 100.0 * stream.lost / stream.counted
    delay_ms = stream.delay_sum_ms / stream.received if stream.received else 0.0
    r = rating(stream, loss_pct, delay_ms, stream.jitter.mean_ms) if stream.received else 0.0
    return MediaQuality(
        packets=stream.received,
        lost=stream.lost,
        loss_pct=round(loss_pct, 3),
        jitter_ms=round(stream.jitter.mean_ms, 3) if stream.received else None,
        delay_ms=round(delay_ms, 3) if stream.received else None,
        max_gap_ms=round(stream.gap_max_ms, 1),
        r_factor=round(r, 1),
        mos=round(emodel.mos(r), 2),
        max_jitter_ms=round(stream.jitter.max_ms, 3),
        worst_jitter_ms=round(stream.worst_jitter_ms, 3),
        max_delay_ms=round(stream.delay_max_ms, 3),
        before_open=stream.early,
    )


def rating(stream: Stream, loss_pct: float, delay_ms: float, jitter_ms: float) -> float:
    """R of a stream's codec by these figures. Mouth to ear also takes the time to fill a packet, and a
    receive buffer of twice the mean jitter."""
    codec = emodel.BY_PAYLOAD_TYPE.get(stream.payload_type, emodel.G711)
    return emodel.r_factor(delay_ms + codec.packet_ms + 2 * jitter_ms, loss_pct, codec)


def misses(quality: MediaQuality, policy: Policy) -> bool:
    """Whether a direction's plain figures miss the policy in delay, loss, jitter or MOS; one that never
    arrived does. By chance a short call may."""
    return quality.delay_ms is None or beyond(
        policy, quality.loss_pct, quality.delay_ms, quality.worst_jitter_ms, quality.mos
    )


def beyond(policy: Policy, loss_pct: float, delay_ms: float, jitter_ms: float, mos: float) -> bool:
    """Whether any of these figures is beyond the policy's limits."""
    return (
        delay_ms >= policy.max_one_way_delay_ms
        or loss_pct >= policy.max_loss_pct
        or jitter_ms >= policy.max_jitter_ms
        or mos < policy.min_mos
    )


def media_seconds(stream: Stream) -> float:
    """For how long a stream was sent while it counted, by its packets."""
    codec = emodel.BY_PAYLOAD_TYPE.get(stream.payload_type, emodel.G711)
    return stream.sent * codec.packet_ms / 1000.0


def judged_calls(evidence: RunEvidence, *, running: bool = False) -> tuple[JudgedCall, ...]:
    """All calls with what the captures say of them: no figures of a direction at whose ends a tap saw only
    part. `running`: captures still run, so that none of them is closed."""

    def figures(call: CallRecord, direction: Direction) -> MediaQuality | None:
        stream = evidence.stream(call, direction)
        if stream is None or running:
            return media_quality(stream)
        names = [evidence.endpoint_name(end) for end in (stream.sender, stream.receiver) if end >= 0]
        names += [evidence.network.endpoint_called(name) for name in (call.caller, call.callee)]
        taps = [tap for name in names if (tap := evidence.network.first_tap.get(name)) is not None]
        return (
            media_quality(stream) if evidence.windows.first_gap(taps, *media_time(stream)) is None else None
        )

    return tuple(
        JudgedCall(
            id=call.id,
            caller=call.caller,
            callee=call.callee,
            kind=call.kind,
            established=call.established,
            setup_ms=call.setup_ms,
            seconds=call_seconds(call),
            caller_to_callee=figures(call, "caller_to_callee"),
            callee_to_caller=figures(call, "callee_to_caller"),
        )
        for call in evidence.run.calls
    )


def call_seconds(call: CallRecord) -> float:
    """From its answer to its end; 0 where it had none."""
    if call.answered_at is None or call.ended_at is None:
        return 0.0
    return round(call.ended_at - call.answered_at, 3)


def by_second(streams: Iterable[Stream], figure: BySecond) -> Clusters:
    """A figure of several streams by the second in which their packets were sent. What was lost before the
    way was open does not count."""
    return Clusters.of(_lost(stream) if figure == "lost" else _sums(stream, figure) for stream in streams)


def _sums(stream: Stream, figure: BySecond) -> dict[int, tuple[float, float]]:
    return {
        second: (getattr(second_figures, figure), float(second_figures.received))
        for second, second_figures in stream.seconds.items()
    }


def _lost(stream: Stream) -> dict[int, tuple[float, float]]:
    early, found = stream.early, {}
    for second, second_figures in sorted(stream.seconds.items()):
        lost = max(second_figures.sent - second_figures.received, 0)
        before_open = min(early, lost) if second <= stream.opened_s else 0
        early -= before_open
        found[second] = (float(lost - before_open), float(second_figures.sent - before_open))
    return found
