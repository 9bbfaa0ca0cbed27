"""Lines that change while they are in use, measured on the line.

Run alone: milliseconds are judged here.
"""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.integration.emulation_sandbox import play

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def brown_out(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the scene measured; it takes 10 s."""
    return play("brown_out", tmp_path_factory.mktemp("brown-out"), module="line_scenes")


@pytest.mark.req("V2", "W6")
def test_a_brown_out_makes_the_line_worse_and_healing_makes_it_as_it_was(brown_out: dict[str, Any]) -> None:
    # given a line of 20 ms without loss
    seen = brown_out
    assert seen["before"]["received"] == 200
    assert 20.0 <= seen["before"]["median_ms"] < 22.0
    # when it browns out by 80 ms more and 20 % loss, then that is measured on it (binomial, 4 deviations)
    assert 100.0 <= seen["during"]["median_ms"] < 102.0
    lost = 500 - seen["during"]["received"]
    assert abs(lost - 100) < 4 * math.sqrt(500 * 0.2 * 0.8)
    # and only what was asked is told of as changed: the direction that is a line
    [state] = seen["states"]
    assert (state["sender"], state["delay_ms"], state["loss_pct"]) == ("left", 100.0, 20.0)
    # when it is healed, then it is as before
    assert seen["after"]["received"] == 200
    assert 20.0 <= seen["after"]["median_ms"] < 22.0


@pytest.mark.req("V2", "W6")
def test_a_brown_out_of_the_rate_is_measured_on_the_line(brown_out: dict[str, Any]) -> None:
    seen = brown_out
    # given 20 packets of 1,264 bytes (Ethernet) at once at 1 Mbit/s: one in 10.1 ms, so the last waits for 19
    # of them, less the 1 to 4 that a class may send at once; at a quarter of the rate four times as long
    waits = {when: seen[f"rate {when}"]["p99_ms"] - 20 for when in ("before", "during", "after")}
    assert 150 < waits["before"] < 200
    assert 600 < waits["during"] < 800
    assert 150 < waits["after"] < 200
    assert all(seen[f"rate {when}"]["received"] == 20 for when in waits)


@pytest.mark.req("V2", "W6")
def test_what_has_no_line_has_no_brown_out(brown_out: dict[str, Any]) -> None:
    # given the direction that is only a cable, when it is to brown out, then the refusal says what can be
    words = brown_out["no line"]
    assert words == (
        "left-right: a cable has no delay and no loss to change (it can be cut or be a black hole); "
        "lines that have: left-right"
    )


@pytest.mark.req("V2")
def test_a_black_hole_black_holes_everything_while_the_link_stays_up(tmp_path: Path) -> None:
    seen = play("black_hole", tmp_path, module="line_scenes")
    # given a black hole, then nothing arrives and nobody answers ARP, and the interface keeps its carrier
    assert (seen["during"], seen["echo without ARP"], seen["carrier"]) == (0, None, True)
    assert not {"REACHABLE", "STALE"} & set(seen["neighbour"])
    # and the sender's tap saw all 150 packets of three streams, the receiver's not the 50 black-holed ones
    assert seen["captured"]["left:eth0"] >= 150 > seen["captured"]["right:eth0"]
    # when it has ended, then all arrive
    assert seen["after"] == 50
    # given one that black-holes only what leaves one end, then the other direction works
    assert (seen["one way: there"], seen["one way: echo"]) == (50, None)


@pytest.mark.req("V2")
def test_a_cable_to_a_switch_can_be_a_black_hole(tmp_path: Path) -> None:
    seen = play("black_hole_at_a_switch", tmp_path, module="line_scenes")
    assert seen == {"before": True, "during": False, "after": True}


@pytest.mark.req("W4.1", "W8")
def test_a_timetable_is_measured_on_the_line(tmp_path: Path) -> None:
    # given a line of 20 ms with 60 ms more from 1 s on, and an outage from 2 s to 2.5 s, every 3 s
    seen = play("timetable", tmp_path, module="line_scenes")
    margin_s = 0.05 if seen["variant"] == "userspace" else 0.15

    def during(begin_s: float, end_s: float) -> list[float | None]:
        """Delays of what was sent well inside that time of each turn."""
        return [d for at, d in seen["packets"] if begin_s + margin_s < at < end_s - margin_s]

    # then each packet has the delay of its time, or is lost
    for begin_s, end_s, delay_ms in ((0, 1, 20), (1, 2, 80), (2.5, 3, 20)):
        delays = [d for d in during(begin_s, end_s) if d is not None]
        assert len(delays) == len(during(begin_s, end_s)) > 60
        assert delay_ms <= statistics.median(delays) < delay_ms + 2
    assert len(during(2, 2.5)) > 60
    assert set(during(2, 2.5)) == {None}
    # and each change is an event, told when it was made
    kinds = [kind for kind, _, _ in seen["events"]]
    assert kinds[0] == "timetable-started"
    assert set(kinds[1:]) == {"line-changed"}
    moments = [at for _, at, _ in seen["events"][1:7]]
    assert moments == pytest.approx([1, 2, 2.5, 4, 5, 5.5], abs=0.1)
    change = json.loads(seen["events"][1][2])
    assert (change["why"], change["sender"], change["delay_ms"]) == ("timetable", "left", 80.0)


@pytest.mark.req("W4.1", "W8")
def test_a_rate_that_changes_is_measured_on_the_line(tmp_path: Path) -> None:
    # given a line that has a quarter of its rate for a while, then a burst waits four times as long
    seen = play("rate_timetable", tmp_path, module="line_scenes")
    waits = {when: seen[when]["p99_ms"] - 20 for when in ("before", "during", "after")}
    assert 150 < waits["before"] < 200
    assert 600 < waits["during"] < 800
    assert 150 < waits["after"] < 200
