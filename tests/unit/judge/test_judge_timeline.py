"""Silences are exactly the long steps between packets, however the packets come in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uclab.judge.measure.media_gaps import (
    MOST,
    SHORTEST_NS,
    Span,
    Timeline,
    joined,
    longest,
    overlap_ns,
    silences,
)

pytestmark = pytest.mark.req("V2")

START = 1_800_000_000_000_000_000
STEPS = st.lists(st.integers(0, 5 * SHORTEST_NS), min_size=1, max_size=60)
SPANS = st.lists(st.tuples(st.integers(0, 10**10), st.integers(0, 10**9)), max_size=12).map(
    lambda pairs: [(begin, begin + length) for begin, length in pairs]
)


def arrivals(steps: list[int]) -> list[int]:
    """Times from the steps between them."""
    return [START + at for at in itertools.accumulate(steps)]


def batches(times: list[int], cuts: list[int]) -> list[list[int]]:
    """The times in batches, cut at these positions."""
    edges = sorted({0, len(times), *(cut % (len(times) + 1) for cut in cuts)})
    return [times[a:b] for a, b in itertools.pairwise(edges)]


@given(STEPS, st.lists(st.integers(0, 100), max_size=5))
def test_silences_are_the_long_steps_however_packets_are_batched(steps: list[int], cuts: list[int]) -> None:
    times, timeline = arrivals(steps), Timeline()
    for batch in batches(times, cuts):
        timeline.add(np.array(batch, np.int64))
    expected = [(a, b) for a, b in itertools.pairwise(times) if b - a >= SHORTEST_NS]
    assert timeline.silences == expected
    assert (timeline.first_ns, timeline.last_ns) == (times[0], times[-1])


@given(STEPS)
def test_presence_and_silences_make_up_the_whole_time(steps: list[int]) -> None:
    times, timeline = arrivals(steps), Timeline()
    timeline.add(np.array(times, np.int64))
    whole = times[-1] - times[0]
    assert sum(b - a for a, b in timeline.presence) + sum(b - a for a, b in timeline.silences) == whole
    assert silences(timeline.presence, times[-1]) == timeline.silences


@given(SPANS)
def test_a_union_covers_what_its_spans_cover_and_nothing_else(spans: list[Span]) -> None:
    union = joined(spans)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(union))
    assert all(any(a <= begin and end <= b for a, b in union) for begin, end in spans)
    assert {edge for span in union for edge in span} <= {edge for span in spans for edge in span}


@given(SPANS, st.integers(0, 2 * 10**10))
def test_silences_of_a_union_touch_no_packet(spans: list[Span], until: int) -> None:
    found = silences(spans, until)
    for begin, end in found:
        assert end - begin >= SHORTEST_NS
        assert overlap_ns(joined(spans), begin, end) == 0
        assert any(span[1] == begin for span in spans)


@given(SPANS, st.integers(0, 10**10), st.integers(0, 10**10))
def test_the_longest_silence_is_of_those_that_began_in_the_window(
    spans: list[Span], begin: int, end: int
) -> None:
    found = longest(spans, begin, end)
    lengths = [b - a for a, b in spans if begin <= a < end]
    assert (found is None) == (not lengths)
    if found is not None:
        assert found[1] - found[0] == max(lengths)
        assert begin <= found[0] < end


def test_memory_is_bounded_and_the_longest_silences_stay() -> None:
    # given far more silences than are kept, each a little longer than the one before
    steps = [SHORTEST_NS + number for number in range(5 * MOST)]
    times, timeline = arrivals([0, *steps]), Timeline()
    for start in range(0, len(times), 1000):
        timeline.add(np.array(times[start : start + 1000], np.int64))
    # then the longest are there, in order of time
    assert len(timeline.silences) <= MOST
    assert timeline.silences[-1][1] - timeline.silences[-1][0] == steps[-1]
    assert timeline.silences == sorted(timeline.silences)


def test_a_stream_that_never_comes_back_is_silent_to_the_end() -> None:
    timeline = Timeline()
    timeline.add(np.arange(START, START + 10**9, 20_000_000, dtype=np.int64))
    assert silences(timeline.presence, START + 5 * 10**9) == [(timeline.last_ns, START + 5 * 10**9)]


def test_silence_of_one_stream_is_filled_by_the_next() -> None:
    """A re-INVITE may begin a new stream: its packets count for the same call."""
    first, second = Timeline(), Timeline()
    first.add(np.arange(0, 10**9, 20_000_000, dtype=np.int64) + START)
    second.add(np.arange(3 * 10**9, 4 * 10**9, 20_000_000, dtype=np.int64) + START)
    found = silences([*first.presence, *second.presence], second.last_ns)
    assert found == [(first.last_ns, second.first_ns)]
