"""Who uses the processor while a campaign runs: cloud functions, the lab's programs, generators."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from uclab.access.private_files import owner_only
from uclab.campaign import processor
from uclab.plan.load.record import Usage
from uclab.plan.schema.codec import to_data

GENERATORS = "load generators"
EVERY_S = 1.0
OTHERS = {"ovs-vswitchd": "switches", "dumpcap": "captures", "ovsdb-server": "switches"}
"""Programs of the lab itself, by their names."""


class UsageLog:
    """Looks at a lab's processes about once a second, and writes what they used since the look before."""

    def __init__(
        self, path: Path, supervisor: int, functions: Mapping[str, str], generators: Iterable[int]
    ) -> None:
        """`functions`: network namespace (`net:[...]`) to the cloud's node there; `generators`: pids."""
        self._path = path
        self._supervisor = supervisor
        self._functions = functions
        self._generators = tuple(generators)
        self._used: processor.Look = {}
        self._looked_at = 0.0

    def look(self) -> None:
        """Look, where the last look is a second ago."""
        now = time.monotonic()
        if now - self._looked_at < EVERY_S:
            return
        self._looked_at = now
        before, self._used = self._used, processor.look(self._processes())
        if not before:
            return
        at = round(time.time(), 3)
        with open(self._path, "a", opener=owner_only) as log:
            for group, percent in sorted(processor.by_group(before, self._used).items()):
                log.write(json.dumps(to_data(Usage(at, group, round(percent, 1)))) + "\n")

    def _processes(self) -> Iterable[tuple[int, str]]:
        for pid in self._generators:
            with suppress(psutil.Error):
                program = psutil.Process(pid)
                for process in (program, *program.children(recursive=True)):
                    yield process.pid, GENERATORS
        with suppress(psutil.Error):
            # containers hang on the first process of the lab's PID namespace, the supervisor's parent
            for process in psutil.Process(self._supervisor).parents()[0].children(recursive=True):
                with suppress(psutil.Error, OSError):
                    yield process.pid, self._group(process)

    def _group(self, process: psutil.Process) -> str:
        name = process.name()
        node = self._functions.get(os.readlink(f"/proc/{process.pid}/ns/net"))
        return f"{node} {name}" if node else OTHERS.get(name, "others of the lab")


def namespace_id(supervisor: int, path: str) -> str:
    """How the kernel names the network namespace at a path of a lab, as `/proc/PID/ns/net` shows it."""
    return f"net:[{os.stat(f'/proc/{supervisor}/root{path}').st_ino}]"
