"""The benchmarks of whole labs still run, and leave the figures that they promise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import bench_lab, bench_load_agent

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


def test_bench_load_agent_compares_with_sipp_and_counts_calls(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"

    bench_load_agent.main(["--small", "--json", str(file)])

    figures = json.loads(file.read_text())
    assert {(rate["who"], rate["what"]) for rate in figures["rates"]} == {
        *((who, what) for who in ("SIPp", "load agent") for what in ("registrations", "calls")),
        ("load agent", "calls, TLS and SRTP"),
    }
    assert all(rate["done"] > 0 for rate in figures["rates"])
    (talk,) = figures["talks"]
    assert talk["calls"] == talk["other_side"]["calls"] == 4
    assert talk["received"] > 0
    assert (talk["failures"], talk["out_of_order"]) == (0, 0)
    assert "aim 0.5" in capfd.readouterr().out
