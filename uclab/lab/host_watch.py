"""Watches how the machine serves the lab's own programs, once a second, by reading /proc alone: no program is
started, and a look at a hundred programs takes some milliseconds.

In the lab's PID namespace /proc lists the lab's programs and nobody else's.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from uclab.plan.schema.codec import to_data
from uclab.records.host_pressure import FILE, HostSample, Waited

EVERY_S = 1.0
COST_SHARE = 0.02
"""A look takes at most this share of the time: in very large labs there are fewer of them."""
TRIFLE = 0.05
"""Waits for a smaller share of the time are not written down."""
Spaces = Callable[[], Mapping[int, str]]
"""Inode of each network namespace of the lab, with its name."""


@dataclass
class _Seen:
    """What is known of a process."""

    space: int
    """Inode of its network namespace."""
    program: str
    waited_ns: dict[str, int] = field(default_factory=dict)
    """Thread -> run-queue wait since it began."""
    settled: bool = False
    """Its name and namespace were read when it was some time old."""


class ProcessorWaits:
    """Remembers how long each thread had waited at the last look."""

    def __init__(self, spaces: Spaces, proc: Path = Path("/proc")) -> None:
        self._spaces = spaces
        self._proc = str(proc)
        self._known: dict[str, _Seen] = {}

    def look(self) -> dict[tuple[str, str], float]:
        """(node, program) -> milliseconds for which the worst of its threads waited since the last look."""
        spaces = self._spaces()
        before, self._known = self._known, {}
        waited: dict[tuple[str, str], float] = {}
        for pid in filter(str.isdigit, os.listdir(self._proc)):
            # a process may end between any two of these
            with suppress(OSError, ValueError, IndexError):
                known = before.get(pid)
                seen = self._known[pid] = known if known and known.settled else self._meet(pid)
                if known is not None:  # by now it has become the program that it was started for
                    seen.settled, seen.waited_ns = True, known.waited_ns
                was, seen.waited_ns = seen.waited_ns, dict(self._threads(pid))
                spent = [ns - was[thread] for thread, ns in seen.waited_ns.items() if thread in was]
                key = spaces.get(seen.space, ""), seen.program
                waited[key] = max(waited.get(key, 0.0), max(spent, default=0) / 1e6)
        return waited

    def _threads(self, pid: str) -> Iterator[tuple[str, int]]:
        for thread in os.listdir(f"{self._proc}/{pid}/task"):
            # time on the processor, time waiting for one (ns), number of turns
            yield thread, int(_read(f"{self._proc}/{pid}/task/{thread}/schedstat").split()[1])

    def _meet(self, pid: str) -> _Seen:
        space = os.stat(f"{self._proc}/{pid}/ns/net").st_ino
        name = _read(f"{self._proc}/{pid}/comm").strip()
        argv = _read(f"{self._proc}/{pid}/cmdline").split("\0")
        if name.startswith("python") and "-m" in argv[:-1]:
            name = argv[argv.index("-m") + 1].rpartition(".")[2]
        return _Seen(space, name)


def stolen_s(proc: Path = Path("/proc")) -> tuple[float, float]:
    """Seconds of all processors together that a hypervisor gave to others, and all seconds, since the
    start."""
    fields = [int(field) for field in _read(f"{proc}/stat").partition("\n")[0].split()[1:9]]
    hertz = os.sysconf("SC_CLK_TCK")
    return (fields[7] if len(fields) > 7 else 0) / hertz, sum(fields) / hertz


def pressure_s(proc: Path = Path("/proc")) -> float | None:
    """Seconds in which some program waited for a processor, since the start; None where the kernel does not
    tell."""
    with suppress(OSError):
        some = _read(f"{proc}/pressure/cpu").partition("\n")[0]
        return int(some.rpartition("total=")[2]) / 1e6
    return None


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


class HostWatch:
    """Looks from a thread of its own, so that a busy event loop is not taken for a busy machine."""

    def __init__(self, run_dir: Path, spaces: Spaces) -> None:
        self._path = run_dir / FILE
        self._waits = ProcessorWaits(spaces)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="host watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look for the last time."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause_s = EVERY_S
        self._waits.look()
        began, stolen, pressed = time.time(), stolen_s(), pressure_s()
        ending = False
        while not ending:
            due = time.monotonic() + pause_s
            ending = self._ending.wait(pause_s)
            woken = time.monotonic()
            sample, stolen, pressed = self._sample(began, stolen, pressed, 0.0 if ending else woken - due)
            began = sample.end
            # a record that the disk has no room for is no reason to end the lab
            with suppress(OSError), self._path.open("a") as file:
                file.write(json.dumps(to_data(sample)) + "\n")
            pause_s = max(EVERY_S, (time.monotonic() - woken) / COST_SHARE)

    def _sample(
        self, began: float, stolen: tuple[float, float], pressed: float | None, late_s: float
    ) -> tuple[HostSample, tuple[float, float], float | None]:
        waited = self._waits.look()
        now, stolen_now, pressed_now = time.time(), stolen_s(), pressure_s()
        lasted_s = max(now - began, 1e-3)
        given_s = max(stolen_now[1] - stolen[1], 1e-3)
        pressure = (
            None if pressed is None or pressed_now is None else 100 * (pressed_now - pressed) / lasted_s
        )
        sample = HostSample(
            begin=round(began, 3),
            end=round(began + lasted_s, 3),
            late_ms=round(max(late_s, 0.0) * 1000, 1),
            stolen_pct=round(100 * (stolen_now[0] - stolen[0]) / given_s, 1),
            pressure_pct=None if pressure is None else round(pressure, 1),
            waited=tuple(
                Waited(node, program, round(ms, 1))
                for (node, program), ms in sorted(waited.items())
                if ms >= TRIFLE * lasted_s * 1000
            ),
        )
        return sample, stolen_now, pressed_now
