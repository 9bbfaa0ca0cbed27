"""What `uclab fail` understands before a lab is asked."""

from __future__ import annotations

import pytest
from typer import BadParameter

from uclab.cli.labs import figures_of


def test_figures_of_a_brown_out_are_key_and_value() -> None:
    assert figures_of("loss=8, delay=+120") == {"loss": "8", "delay": "+120"}


@pytest.mark.parametrize("text", ["loss", "=8", "loss=", "loss=8,,delay=1", "loss=8,loss=9"])
def test_malformed_figures_are_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        figures_of(text)
