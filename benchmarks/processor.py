"""Who uses the processor: time of each group of a lab's processes, and of the machine, between two looks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from testbed.process_tree import Process
from uclab.campaign import processor
from uclab.campaign.processor import Used

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
GROUPS = (
    ("uclab.emulation.link.delay_line", "delay line"),
    ("uclab.lab.supervisor", "supervisor"),
    ("controllers.", "controller"),
    ("baresip", "phones"),
    ("rtpengine", "rtpengine"),
    ("kamailio", "kamailio"),
    ("ovs-vswitchd", "ovs-vswitchd"),
    ("dumpcap", "dumpcap"),
)
"""What a command line contains, and the group that it then belongs to; the first that fits."""


@dataclass(frozen=True)
class Look:
    """Processor time used up to now."""

    processes: processor.Look
    busy: Used
    """The whole machine: everything but idle, waiting for disks, and stolen by the hypervisor."""
    stolen: Used


@dataclass(frozen=True)
class Usage:
    """Between two looks, in per cent of one core."""

    groups: dict[str, float]
    busiest: tuple[str, float]
    """Group of the one process that used most, and how much."""
    machine: float
    """Up to 100 times the number of cores."""
    stolen: float

    def most(self, count: int) -> list[tuple[str, float]]:
        """The groups that used most."""
        return sorted(self.groups.items(), key=lambda item: -item[1])[:count]


def group_of(command: str) -> str:
    """The group of a command line."""
    return next((group for part, group in GROUPS if part in command), "others")


def look(processes: Iterable[Process]) -> Look:
    """At these processes, as far as they still run, and at the machine."""
    used = processor.look(
        (process.pid, group_of(process.command)) for process in processes if process.is_alive()
    )
    user, nice, system, _, _, irq, softirq, stolen = (
        int(ticks) / TICKS_PER_S for ticks in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    )
    now = time.monotonic()
    return Look(used, Used(now, user + nice + system + irq + softirq), Used(now, stolen))


def between(first: Look, second: Look) -> Usage:
    """What was used from one look to the other by processes that were there both times."""
    groups = processor.by_group(first.processes, second.processes)
    each = processor.shares(first.processes, second.processes)
    busiest = max(each, key=lambda pair: pair[1], default=("nobody", 0.0))
    machine, stolen = first.busy.share_until(second.busy), first.stolen.share_until(second.stolen)
    return Usage(groups, busiest, machine, stolen)
