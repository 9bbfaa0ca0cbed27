"""What the benchmarks of whole labs compute."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import bench_storm, busy_site, call_losses, processor
from uclab import api
from uclab.campaign.processor import Used
from uclab.judge.result.media import HopRecord
from uclab.plan.load.record import RegistrationRecord


def hop(tap: str, packets: int, leg: str = "up") -> HopRecord:
    """A tap on a walk that saw so many packets."""
    return HopRecord(tap, 46, None, None, 0.0, packets, 0, "up" if leg == "up" else "down")


@pytest.mark.parametrize("pairs", [1, 2, 9, 32])
def test_a_busy_site_of_any_size_is_a_valid_topology(tmp_path: Path, pairs: int) -> None:
    file = tmp_path / "busy-site.yaml"
    file.write_text(busy_site.topology(pairs))

    assert {e.name for e in api.plan_of(str(file)).endpoints} == {
        name for pair in range(pairs) for name in busy_site.names(pair)
    }


def test_a_packet_is_lost_where_no_later_tap_has_it() -> None:
    lost, unseen = call_losses.losses([hop("a:1", 100), hop("a:2", 97), hop("b:1", 97)], early=0)

    assert lost == {("a:1", "a:2"): 3}
    assert unseen == 0


def test_a_tap_that_missed_packets_is_no_loss_of_the_call() -> None:
    lost, unseen = call_losses.losses([hop("a:1", 100), hop("a:2", 60), hop("b:1", 99)], early=0)

    assert lost == {("a:1", "a:2"): 1}
    assert unseen == 39


def test_what_was_dropped_before_the_way_was_open_is_no_loss() -> None:
    hops = [hop("desk:eth0", 100), hop("sbc:eth0", 100), hop("sbc:eth0", 95, "down")]

    assert call_losses.losses(hops, early=5)[0] == {}


def test_processor_time_is_told_by_group_and_busiest_process() -> None:
    commands = ("ovs-vswitchd unix:a", "ovs-vswitchd unix:b", "baresip -f /phone", "dumpcap -q")
    one, other, phones, captures = map(processor.group_of, commands)
    first = processor.Look(
        {
            (1, 0.0): Used(10, 1.0, one),
            (2, 0.0): Used(10, 1.0, other),
            (3, 0.0): Used(11, 0.0, phones),
            (4, 0.0): Used(11, 9.0, captures),
        },
        busy=Used(11, 5.0),
        stolen=Used(11, 0.0),
    )
    second = processor.Look(
        {
            (1, 0.0): Used(12, 2.0, one),
            (2, 0.0): Used(12, 1.5, other),
            (3, 0.0): Used(13, 0.2, phones),
            (5, 0.0): Used(13, 9.0, captures),
        },
        busy=Used(13, 8.0),
        stolen=Used(13, 0.1),
    )

    usage = processor.between(first, second)

    assert usage.most(3) == [("ovs-vswitchd", 75.0), ("phones", 10.0)]
    assert usage.busiest == ("ovs-vswitchd", 50.0)
    assert (usage.machine, usage.stolen) == (150.0, 5.0)


@pytest.mark.req("D11")
def test_a_storm_counts_who_came_back_and_when(tmp_path: Path) -> None:
    file = tmp_path / "storm.yaml"
    file.write_text(bench_storm.topology())
    api.planned(str(file))
    # given four phones of which one is refused first, and one never comes back
    attempts = [
        RegistrationRecord("1", 12.5, 200, 30.0),
        RegistrationRecord("2", 12.9, 503, 30.0),
        RegistrationRecord("3", 14.0, 200, 30.0),
        RegistrationRecord("2", 16.0, 200, 30.0),
        RegistrationRecord("1", 16.5, 200, 30.0),
        RegistrationRecord("4", 17.0, 0, 0.0),
        RegistrationRecord("4", 31.0, 200, 30.0),
    ]
    found = bench_storm.storm("cut", 10.0, 30.0, attempts)
    assert found == bench_storm.Storm("cut", 3, 2.5, 4.0, 6.0, 1, refused=1, unanswered=1)
