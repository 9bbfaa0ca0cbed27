"""Who uses the processor: time of each group of a lab's processes, and of the machine, between two looks."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.integration.process_tree import descendants, stat_fields

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
GROUPS = (
    ("uclab.emulation.delay_line", "delay line"),
    ("uclab.lab.supervisor", "supervisor"),
    ("controllers.", "controller"),
    ("endpoints_emu.pjsua", "softclients"),
    ("baresip", "desk phones"),
    ("rtpengine", "rtpengine"),
    ("kamailio", "kamailio"),
    ("ovs-vswitchd", "ovs-vswitchd"),
    ("dumpcap", "dumpcap"),
)
"""What a command line contains, and the group that it then belongs to; the first that fits."""


@dataclass(frozen=True)
class Look:
    """Processor time used up to now, in seconds."""

    time_s: float
    by_process: dict[tuple[int, str, str], float]
    """(process, its start, its group) -> user and system time of all its threads."""
    busy_s: float
    """Of the whole machine: everything but idle, waiting for disks, and stolen by the hypervisor."""
    stolen_s: float


@dataclass(frozen=True)
class Usage:
    """Between two looks, in per cent of one core."""

    groups: dict[str, float]
    busiest: tuple[str, float]
    """Group of the one process that used most, and how much: most programs of a lab are one thread."""
    machine: float
    """Up to 100 times the number of cores."""
    stolen: float

    def most(self, count: int) -> list[tuple[str, float]]:
        """The groups that used most."""
        return sorted(self.groups.items(), key=lambda item: -item[1])[:count]


def group_of(command: str) -> str:
    """The group of a command line."""
    return next((group for part, group in GROUPS if part in command), "others")


def look(root: int) -> Look:
    """At a process and all below it."""
    used = {}
    for process in descendants(root):
        fields = stat_fields(process.pid)
        if fields is not None and fields[19] == process.start:
            key = (process.pid, process.start, group_of(process.command))
            used[key] = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    user, nice, system, _, _, irq, softirq, stolen = (
        int(ticks) / TICKS_PER_S for ticks in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    )
    return Look(time.monotonic(), used, user + nice + system + irq + softirq, stolen)


def between(first: Look, second: Look) -> Usage:
    """What was used from one look to the other; processes that began or ended meanwhile do not count."""
    share = 100 / (second.time_s - first.time_s)
    groups: defaultdict[str, float] = defaultdict(float)
    busiest = ("nobody", 0.0)
    for key, seconds in second.by_process.items():
        if key in first.by_process:
            its = (seconds - first.by_process[key]) * share
            groups[key[2]] += its
            busiest = max(busiest, (key[2], its), key=lambda pair: pair[1])
    return Usage(
        dict(groups),
        busiest,
        (second.busy_s - first.busy_s) * share,
        (second.stolen_s - first.stolen_s) * share,
    )
