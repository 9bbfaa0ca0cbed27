"""What the benchmarks of whole labs compute."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import bench_calls, crowd, processor
from uclab import api
from uclab.judge.types import HopRecord


def hop(tap: str, packets: int, leg: str = "up") -> HopRecord:
    """A tap on a walk that saw so many packets."""
    return HopRecord(tap, 46, None, None, 0.0, packets, 0, "up" if leg == "up" else "down")


@pytest.mark.parametrize("pairs", [1, 2, 9, 32])
def test_a_crowd_of_any_size_is_a_right_topology(tmp_path: Path, pairs: int) -> None:
    file = tmp_path / "crowd.yaml"
    file.write_text(crowd.topology(pairs))

    assert api.mistakes_in(str(file)) == ()
    assert {e.name for e in api.plan_of(str(file)).endpoints} == {
        name for pair in range(pairs) for name in crowd.names(pair)
    }


def test_a_packet_is_lost_where_no_later_tap_has_it() -> None:
    lost, unseen = bench_calls.losses([hop("a:1", 100), hop("a:2", 97), hop("b:1", 97)], early=0)

    assert lost == {("a:1", "a:2"): 3}
    assert unseen == 0


def test_a_tap_that_missed_packets_is_no_loss_of_the_call() -> None:
    lost, unseen = bench_calls.losses([hop("a:1", 100), hop("a:2", 60), hop("b:1", 99)], early=0)

    assert lost == {("a:1", "a:2"): 1}
    assert unseen == 39


def test_what_was_dropped_before_the_way_was_open_is_no_loss() -> None:
    hops = [hop("desk:eth0", 100), hop("sbc:eth0", 100), hop("sbc:eth0", 95, "down")]

    assert bench_calls.losses(hops, early=5)[0] == {}


def test_processor_time_is_told_by_group_and_busiest_process() -> None:
    switch, other, phone = (1, "0", "ovs-vswitchd"), (2, "0", "ovs-vswitchd"), (3, "0", "desk phones")
    first = processor.Look(10.0, {switch: 1.0, other: 1.0, phone: 0.0}, 5.0, 0.0)
    second = processor.Look(12.0, {switch: 2.0, other: 1.5, phone: 0.2}, 8.0, 0.1)

    usage = processor.between(first, second)

    assert usage.most(2) == [("ovs-vswitchd", 75.0), ("desk phones", 10.0)]
    assert usage.busiest == ("ovs-vswitchd", 50.0)
    assert usage.machine == 150.0
    assert usage.stolen == 5.0
