"""Processor time of groups of processes, between two looks at them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

Which = tuple[int, float]
"""A process: its id and when it began, which tells it from a later one with the same id."""


@dataclass(frozen=True)
class Used:
    """Processor time that something had used at a moment, both in seconds."""

    at_s: float
    used_s: float
    group: str = ""

    def share_until(self, later: Used) -> float:
        """Per cent of one core between the two."""
        return 100 * (later.used_s - self.used_s) / (later.at_s - self.at_s)


Look = Mapping[Which, Used]
"""Each process has its own moment: on a full machine a look takes long."""


def look(processes: Iterable[tuple[int, str]]) -> Look:
    """At the processes of these ids, each with its group, as far as they still run."""
    used = {}
    for pid, group in processes:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            times = process.cpu_times()
            used[pid, process.create_time()] = Used(time.monotonic(), times.user + times.system, group)
    return used


def shares(first: Look, second: Look) -> Iterator[tuple[str, float]]:
    """Group and per cent of one core of each process that was there both times."""
    for which, used in second.items():
        if which in first:
            yield used.group, first[which].share_until(used)


def by_group(first: Look, second: Look) -> dict[str, float]:
    """Per cent of one core of each group."""
    sums: defaultdict[str, float] = defaultdict(float)
    for group, share in shares(first, second):
        sums[group] += share
    return dict(sums)
