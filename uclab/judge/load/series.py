"""A campaign over time, a value a second: calls in progress, registrations, set-up delays, loss of all media,
and the use of the processor by group. For plots; no verdicts here (D11)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from statistics import median

from uclab.judge.evidence.load_files import Load
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.media import Series, SeriesKind


def load_series(evidence: RunEvidence) -> Iterator[Series]:
    """All of them; none where there was no campaign."""
    load = evidence.run.load
    if not load.generators:
        return
    yield from _calls(load)
    yield from _registrations(load)
    yield from _setup(load)
    yield from _loss(evidence)
    yield from _usage(load)
    yield from _queues(load)


def _calls(load: Load) -> Iterator[Series]:
    """Calls in progress, by their callers' legs."""
    present: defaultdict[int, float] = defaultdict(float)
    for leg in (leg.record for leg in load.legs):
        if leg.role == "caller" and leg.answered_at is not None and leg.ended_at is not None:
            for second in range(math.floor(leg.answered_at), math.ceil(leg.ended_at)):
                present[second] += 1
    yield from _series("calls", "in progress", present, empty=0.0)


def _registrations(load: Load) -> Iterator[Series]:
    """Attempts a second that were granted, and refused or unanswered ones."""
    for subject, granted in (("granted", True), ("refused", False)):
        found: defaultdict[int, float] = defaultdict(float)
        for registration in load.registrations:
            if (200 <= registration.status < 300) == granted:
                found[math.floor(registration.at)] += 1
        yield from _series("registrations", subject, found, empty=0.0)


def _setup(load: Load) -> Iterator[Series]:
    """Medians of the session request delay and of the time to answer."""
    for subject, name in (("SRD", "request_delay_ms"), ("to answer", "setup_ms")):
        found: defaultdict[int, list[float]] = defaultdict(list)
        for leg in (leg.record for leg in load.legs):
            if (value := getattr(leg, name)) is not None:
                found[math.floor(leg.started_at)].append(value)
        yield from _series("setup_ms", subject, {at: median(values) for at, values in found.items()})


def _loss(evidence: RunEvidence) -> Iterator[Series]:
    """Of all media that generators sent, per cent, by the second of sending."""
    generators = {generator.node for generator in evidence.run.load.generators}
    sent: defaultdict[int, int] = defaultdict(int)
    received: defaultdict[int, int] = defaultdict(int)
    for stream in evidence.seen.media.streams:
        if stream.window is not None and evidence.endpoint_name(stream.sender) in generators:
            for second, figures in stream.seconds.items():
                sent[second] += figures.sent
                received[second] += figures.received
    share = {at: 100 * max(count - received[at], 0) / count for at, count in sent.items() if count}
    yield from _series("media_loss_pct", "all directions", share)


def _usage(load: Load) -> Iterator[Series]:
    for group in sorted({usage.group for usage in load.usage}):
        found = {math.floor(usage.at): usage.percent for usage in load.usage if usage.group == group}
        yield from _series("cpu_pct", group, found)


def _queues(load: Load) -> Iterator[Series]:
    """What each class of each line's queue sent, was guaranteed and dropped (packets)."""
    found: defaultdict[tuple[SeriesKind, str, str], dict[int, float]] = defaultdict(dict)
    for use in load.queues:
        at = math.floor(use.at)
        for queue_class in use.classes:
            found["queue_kbps", use.tap, queue_class.name][at] = queue_class.sent_kbps
            found["queue_guaranteed_kbps", use.tap, queue_class.name][at] = queue_class.guaranteed_kbps
            dropped = found["queue_dropped", use.tap, queue_class.name]
            dropped[at] = dropped.get(at, 0) + queue_class.dropped
    for (kind, tap, name), values in found.items():
        for series in _series(kind, tap, values):
            yield replace(series, label=name)


def _series(
    kind: SeriesKind, subject: str, values: Mapping[int, float], empty: float | None = None
) -> Iterable[Series]:
    """One series where there is a value at all; `empty` where a second has none."""
    if not values:
        return ()
    first, last = min(values), max(values)
    line = tuple(round(values[s], 2) if s in values else empty for s in range(first, last + 1))
    return (Series(kind, subject, subject, float(first), 1.0, line),)
