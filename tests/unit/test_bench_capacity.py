"""The benchmark of capacity: its topologies are right, and its table says what differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import bench_capacity
from benchmarks.bench_capacity import Measured, write_topology
from uclab.campaign.capacity_measurement import orders_for

pytestmark = [pytest.mark.req("C8"), pytest.mark.req("Q2")]


@pytest.mark.parametrize(
    ("line_mbps", "codec", "calls"),
    [
        (2, "G711", 18),
        (2, "Opus", 28),
        (5, "G711", 45),
        (5, "Opus", 71),
        (20, "G711", 226),
        (20, "Opus", 290),
    ],
)
def test_topologies_are_right(line_mbps: int, codec: str, calls: int, tmp_path: Path) -> None:
    (order,) = orders_for(str(write_topology(tmp_path, line_mbps, codec)), None, "up")
    assert order.record.ways[0].calls == calls
    assert order.record.codec.name == codec


def test_the_table_marks_what_is_too_far_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(line_mbps: int, codec: str, way: str) -> Measured:
        held = 18 if codec == "G711" else 16
        verdict, apart_pct = ("pass", 0.0) if held == 18 else ("fail", 11.1)
        return Measured(
            *(line_mbps, codec, 20, "up", 89.8, "18", held, "exactly", verdict, "voice", "signalling"),
            *(apart_pct, 1.0),
        )

    monkeypatch.setattr(bench_capacity, "measured", found)
    bench_capacity.main(["--lines", "2", "--json", str(tmp_path / "figures.json")])

    rows = capsys.readouterr().out.splitlines()[2:]
    assert ["**fail**" in row for row in rows] == [False, True]
    assert [one["apart_pct"] for one in json.loads((tmp_path / "figures.json").read_text())] == pytest.approx(
        [0.0, 11.1], abs=0.1
    )
