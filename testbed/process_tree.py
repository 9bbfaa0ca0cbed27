"""Looks at a lab from outside: its processes and namespaces as the host's kernel sees them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

NAMESPACE_KINDS = ("net", "mnt", "pid")


@dataclass(frozen=True)
class Process:
    """A process of the host; the start time tells it from a later one with the same id."""

    pid: int
    start: str
    command: str

    def is_alive(self) -> bool:
        """True while this very process exists and is no zombie."""
        fields = stat_fields(self.pid)
        return fields is not None and fields[19] == self.start and fields[0] != "Z"


def stat_fields(pid: int) -> list[str] | None:
    """Fields of `/proc/PID/stat` after the command name (proc(5)); None where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def ticks_since_boot() -> int:
    """Now, in the unit of start times (proc(5): clock ticks since boot)."""
    return int(float(Path("/proc/uptime").read_text().split()[0]) * os.sysconf("SC_CLK_TCK"))


def every_process() -> Iterator[tuple[int, list[str]]]:
    """All processes of the host with their `stat_fields`."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := stat_fields(int(entry))) is not None:
            yield int(entry), fields


def descendants(root: int) -> tuple[Process, ...]:
    """The process and all its children, theirs, and so on."""
    parents = {pid: int(fields[1]) for pid, fields in every_process()}
    wanted = {root}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in wanted} - wanted
        grown = bool(more)
        wanted |= more
    return tuple(process for pid in sorted(wanted) if (process := look(pid)) is not None)


def look(pid: int) -> Process | None:
    """The process of that id, if there is one."""
    fields = stat_fields(pid)
    if fields is None:
        return None
    try:
        command = (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        )
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(pid, fields[19], command)


def namespaces(pids: Iterable[int]) -> frozenset[str]:
    """Namespaces that these processes are in, without the test's own (`net:[4026532000]`)."""
    own = {os.readlink(f"/proc/self/ns/{kind}") for kind in NAMESPACE_KINDS}
    found = set()
    for pid in pids:
        fields = stat_fields(pid)
        if fields is None or fields[0] == "Z":
            continue  # a zombie is in no namespace any more, though /proc still names its PID namespace
        for kind in NAMESPACE_KINDS:
            try:
                found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
            except OSError:
                continue
    return frozenset(found - own)


def left_after(
    processes: Iterable[Process], spaces: frozenset[str], deadline_s: float
) -> tuple[list[Process], frozenset[str]]:
    """What is left of these processes and namespaces when the deadline has passed, or nothing as soon as
    nothing is left."""
    processes = tuple(processes)
    began = time.monotonic()
    now = ticks_since_boot()
    while True:
        alive = [process for process in processes if process.is_alive()]
        # only processes from before: the kernel gives a freed namespace's number to the next new one
        older = [pid for pid, fields in every_process() if int(fields[19]) <= now]
        occupied = namespaces(older) & spaces
        if (not alive and not occupied) or time.monotonic() - began > deadline_s:
            return alive, occupied
        time.sleep(0.02)
