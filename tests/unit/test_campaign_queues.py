"""What queues sent is told from the kernel's counters, and never too often."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.plans import shipped_plan
from uclab.campaign.queue_log import EVERY_S, MOST_RECORDS, interval_s, line_queues, use
from uclab.emulation.linux.queues import ClassCounters, QueueError, counters

pytestmark = pytest.mark.req("C8", "D11")


def test_both_ends_of_all_lines_are_watched() -> None:
    found = line_queues(shipped_plan("smb-dual-wan"))
    assert [one.tap for one in found] == ["edge:wan1", "isp1:edge", "edge:wan2", "isp2:edge"]
    assert {one.device for one in found} == {"edge", "isp1", "isp2"}


def test_a_long_campaign_is_looked_at_less_often() -> None:
    assert interval_s(2, 60.0) == EVERY_S
    day, lines = 86_400.0, 20
    assert lines * day / interval_s(lines, day) <= MOST_RECORDS


def test_use_is_what_was_counted_between_two_looks() -> None:
    known = line_queues(shipped_plan("small-office"))[0]
    before = [ClassCounters(1164.0, 1000, 5, 0)] * len(known.queue.classes)
    now = [ClassCounters(1164.0, 1000 + 25_000, 12, 3)] * len(known.queue.classes)
    told = use(known, 7.0, 2.0, before, now)
    assert (told.at, told.tap, len(told.classes)) == (7.0, "edge:wan1", 4)
    voice = told.classes[0]
    assert (voice.name, voice.sent_kbps, voice.dropped, voice.waiting) == ("voice", 100.0, 7, 3)
    # and a router that was restarted counts from nothing
    assert use(known, 7.0, 2.0, now, before).classes[0].sent_kbps == 0.0


class Told(dict[str, Any]):
    """A message as pyroute2 gives it."""

    def get_attr(self, name: str) -> Any:
        return self[name]


class Kernel:
    """Answers as a kernel with an HTB class does."""

    def __init__(self, handles: list[int]) -> None:
        self.handles = handles

    def get_classes(self, index: int) -> list[Told]:
        return [
            Told(
                handle=handle,
                TCA_OPTIONS=Told(TCA_HTB_PARMS={"rate": 12_500}),
                TCA_STATS2=Told(
                    TCA_STATS_BASIC={"bytes": 1500, "packets": 1},
                    TCA_STATS_QUEUE={"qlen": 2, "drops": 3, "backlog": 400},
                ),
            )
            for handle in self.handles
        ]


def test_counters_are_read_in_the_plan_s_order_of_classes() -> None:
    queue = line_queues(shipped_plan("small-office"))[0].queue
    told = counters(Kernel([0x10001, 0x10013, 0x10012, 0x10011, 0x10010]), queue, 3)
    assert told == [ClassCounters(100.0, 1500, 3, 2)] * 4
    with pytest.raises(QueueError, match="wan1"):
        counters(Kernel([0x10001]), queue, 3)
