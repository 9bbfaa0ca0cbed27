"""How the machine served the lab's own programs: `pressure.jsonl` of a run directory, a `HostSample` a line,
about one a second. A program that was ready to run and had to wait is the machine's doing, not the
network's."""

from __future__ import annotations

from dataclasses import dataclass

FILE = "pressure.jsonl"
LINES = "lines"
"""Folder with the account of each device's delay line, `<node>.json`: that process knows itself when it was
late."""


@dataclass(frozen=True)
class Waited:
    """A program that waited for a processor (`/proc/PID/task/*/schedstat`, run-queue wait of its worst
    thread)."""

    node: str
    """Network namespace: a device's, or a switch engine's; empty for the lab's own."""
    program: str
    """E.g. `baresip`, `ovs-vswitchd`, `delay_line`."""
    ms: float


@dataclass(frozen=True)
class LateLine:
    """A second in which a device's delay line released a packet late."""

    node: str
    second: int
    """Since the epoch."""
    ms: float


@dataclass(frozen=True)
class HostSample:
    """What was seen between two looks; times in seconds since the epoch."""

    begin: float
    end: float
    late_ms: float
    """How much later than it had asked the watch itself was woken."""
    stolen_pct: float
    """Share of the processors' time that a hypervisor gave to others (`/proc/stat`)."""
    pressure_pct: float | None
    """Share of the time in which some program waited (`/proc/pressure/cpu`); None where the kernel does not
    tell."""
    waited: tuple[Waited, ...] = ()
    """Only those that waited for more than a trifle."""
