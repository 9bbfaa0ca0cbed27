"""Wi-Fi: what the air does to packets, measured on it, and a whole office over it, judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.emulation_sandbox import play
from tests.integration.labs import UclabCommand

pytestmark = [pytest.mark.root]


def on_air(scene: str, folder: Path, *settings: str) -> dict[str, Any]:
    return play(scene, folder, *settings, module="wireless_scenes")


@pytest.mark.quiet
@pytest.mark.req("W7.1", "Q1.3", "N4.1")
def test_voice_keeps_its_priority_over_bulk_on_the_air(tmp_path: Path) -> None:
    # given a channel that is offered twice what it carries, when a call's packets are marked EF
    seen = on_air("beside_bulk", tmp_path, str(46 << 2))
    # then none of them waits for more than a frame of bulk, and bulk is what gets lost
    assert seen["voice"]["received"] >= 0.99 * seen["voice"]["sent"]
    assert 2.0 <= seen["voice"]["median_ms"] < 15.0
    assert seen["bulk"]["received"] < 0.75 * seen["bulk"]["sent"]


@pytest.mark.req("W7.1", "Q1.3")
def test_voice_without_a_mark_waits_and_gets_lost_with_the_bulk(tmp_path: Path) -> None:
    seen = on_air("beside_bulk", tmp_path, "0")
    assert seen["voice"]["median_ms"] > 100.0


@pytest.mark.req("W7.1", "V9")
def test_both_directions_share_one_channel(tmp_path: Path) -> None:
    # given in each direction what it could carry alone
    seen = on_air("both_ways", tmp_path)
    # then each gets about half
    for way in ("up", "down"):
        assert 0.35 < seen[way]["received"] / seen[way]["sent"] < 0.75
    # and a quiet channel delays by its own delay and little more
    assert seen["quiet"]["received"] == 100
    assert 2.0 <= seen["quiet"]["median_ms"] < 6.0


@pytest.mark.req("N4.1")
def test_a_cut_radio_passes_nothing_until_it_is_healed(tmp_path: Path) -> None:
    assert on_air("pulled", tmp_path) == {"before": True, "cut": False, "healed": True}


@pytest.mark.req("N4.1", "V7.2", "V7.4", "V9", "W7.1", "Q1.3")
def test_an_office_with_two_access_points_passes(tmp_path: Path) -> None:
    # given the reference office, when its calls are judged
    command = UclabCommand(tmp_path)
    command("run", "wifi-office", "--out", str(tmp_path / "out"), status=None)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    failed = {f["id"] for f in results["findings"] if f["verdict"] != "pass"}
    # then all holds (a busy machine may lose packets of the overload)
    assert failed <= {"quality.overload"}
    # and user priority was judged at both access points, in both directions
    judged = {f["subject"].rpartition(":")[2] for f in results["findings"] if f["id"] == "qos.wmm"}
    assert judged == {"ap1-up", "ap1-down", "ap2-up", "ap2-down"}
    hops = [hop for walk in results["walks"] for hop in walk["hops"]]
    assert {hop["up"] for hop in hops if hop["tap"].startswith("ap2-air:")} == {6}
