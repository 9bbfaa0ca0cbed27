"""The benchmarks of whole labs still run, and leave the figures that they promise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import bench_lab

pytestmark = pytest.mark.root


def test_bench_lab_times_a_whole_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UCLAB_LABS", str(tmp_path / "labs"))
    figures = tmp_path / "figures.json"

    bench_lab.main(["--small", "--json", str(figures)])

    (life,) = json.loads(figures.read_text())
    assert life["registered"] == life["endpoints"] == 3
    assert 0 < life["flushed_s"] <= life["down_s"]
    assert life["up_s"] > life["steps_s"]["phones"] > 0
    assert life["left"] == 0
    assert "aim < 15 s" in capsys.readouterr().out
