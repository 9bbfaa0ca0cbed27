"""Brown-outs from a user's figures, and what they make of a line: pure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from uclab.plan.schema.plan import Bursts, Impairment
from uclab.plan.wan.brown_out import BadFigures, BrownOut, from_figures

LINE = Impairment("wan1", 20.0, 2.0, 0.1, 1000, 7, True, "pareto", Bursts(1, 20))


@pytest.mark.req("V2", "W6")
def test_a_figure_is_a_new_value_or_comes_on_top() -> None:
    # given loss as a value, and delay on top
    worse = from_figures({"loss": "8", "delay": "+120", "jitter": 5}).on(LINE)
    # then both are so, the rest stays, and there is room for what is on its way for longer
    assert worse == replace(LINE, loss_pct=8.0, delay_ms=140.0, jitter_ms=5.0, limit_packets=7000)
    # and the rate is not touched
    assert from_figures({"loss": "8"}).rate_on(2000) == 2000
    assert from_figures({"rate": "-1500"}).rate_on(2000) == 500
    assert from_figures({"rate": "-2500"}).rate_on(2000) == 1


def test_nothing_becomes_negative_or_more_than_all() -> None:
    assert from_figures({"delay": "-50", "loss": "+100"}).on(LINE) == replace(LINE, delay_ms=0, loss_pct=100)
    assert BrownOut().on(LINE) == LINE


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({}, "a brown-out needs figures"),
        ({"los": "8"}, "a brown-out has no `los`; it may change: `loss` (per cent), `delay` (ms)"),
        ({"loss": "8%"}, "brown-out: `loss=8%`: expected per cent as a number"),
        ({"loss": "nan"}, "brown-out: `loss=nan`"),
        ({"loss": "101"}, "a line cannot lose more than 100 per cent"),
        ({"rate": "0"}, "for a line that carries nothing use a black hole"),
    ],
)
def test_impossible_figures_are_refused_in_words(figures: dict[str, str], words: str) -> None:
    with pytest.raises(BadFigures) as refused:
        from_figures(figures)
    assert words in str(refused.value)
