"""What `uclab sdwan` shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from uclab.cli import sdwan
from uclab.cli.main import app

pytestmark = pytest.mark.req("W6")

STATE: dict[str, Any] = {
    "branch": {
        "paths": {"wan1": {"delay_ms": 13.5, "jitter_ms": 2.3, "loss_pct": 12.5}, "wan2": None},
        "choice": {"voice": "wan2", "video": "wan2", "default": "wan1"},
    }
}


class Lab:
    """A lab with one overlay, of which one path is not known yet."""

    def overlays(self) -> dict[str, Any]:
        return STATE


@pytest.fixture(autouse=True)
def _lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdwan, "client_of", lambda name: Lab())


def test_each_path_is_shown_with_its_figures_and_the_classes_that_take_it() -> None:
    shown = CliRunner().invoke(app, ["sdwan"]).output.splitlines()
    assert shown[1].split() == ["branch", "wan1", "13.5", "2.3", "12.5", "default"]
    assert shown[2].split() == ["branch", "wan2", "?", "?", "?", "voice,", "video"]


def test_json_is_the_controllers_own() -> None:
    assert json.loads(CliRunner().invoke(app, ["sdwan", "--json"]).output) == STATE
