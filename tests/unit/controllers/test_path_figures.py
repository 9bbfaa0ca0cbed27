"""Delay, jitter and loss of a path by its probes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from controllers.path_metrics import Arrival, Arrivals, Figures, worse

pytestmark = pytest.mark.req("W6")


def arrivals(delays_ms: Sequence[float | None], interval_s: float = 0.05, window_s: float = 2.0) -> Arrivals:
    """Probes sent every interval from second 0 on; None is lost."""
    its = Arrivals(interval_s, window_s)
    for number, delay_ms in enumerate(delays_ms):
        if delay_ms is not None:
            sent = number * interval_s
            its.add(Arrival(number, sent, sent + delay_ms / 1000))
    return its


def test_nothing_is_known_before_the_first_probe() -> None:
    assert Arrivals(0.05, 2).figures(100.0) is None


def test_a_steady_path_has_its_delay_and_nothing_else() -> None:
    assert arrivals([20.0] * 40).figures(2.0) == Figures(20.0, 0.0, 0.0)


def test_jitter_is_the_mean_difference_of_successive_delays() -> None:
    its = arrivals([20.0, 30.0] * 20).figures(2.0)
    assert its is not None
    assert its.jitter_ms == 10.0
    assert its.delay_ms == 25.0


def test_gaps_in_the_numbers_are_losses() -> None:
    lossy: list[float | None] = [20.0] * 40
    lossy[10] = lossy[11] = lossy[30] = None
    its = arrivals(lossy).figures(2.0)
    assert its is not None
    assert its.loss_pct == 7.5


def test_only_the_last_seconds_count() -> None:
    its = arrivals([200.0] * 40 + [20.0] * 60).figures(5.0)
    assert its is not None
    assert its.delay_ms == 20.0


def test_silence_is_loss_that_grows_to_all() -> None:
    path = arrivals([20.0] * 40)
    few, all_ = path.figures(2.9), path.figures(4.5)
    assert few is not None
    assert all_ is not None
    assert 0 < few.loss_pct < 100
    assert all_.loss_pct == 100


def test_probes_that_overtake_each_other_are_not_lost() -> None:
    its = Arrivals(0.05, 2)
    for number in (0, 2, 1, 3):
        its.add(Arrival(number, number * 0.05, 0.3))
    figures = its.figures(0.4)
    assert figures is not None
    assert figures.loss_pct == 0


def test_a_path_is_as_bad_as_its_worse_direction() -> None:
    assert worse(Figures(10, 5, 0), Figures(20, 1, 3)) == Figures(20, 5, 3)
    assert worse(None, Figures(1, 1, 1)) is None
