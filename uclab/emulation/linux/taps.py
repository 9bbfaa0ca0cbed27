"""Captures: one dumpcap a namespace, all its taps in one pcapng, interfaces named by tap label (`acc1:3`,
`fw:voice`).

dumpcap 4.0 takes `--ifname` for real interfaces too, though its help speaks of pipes; time stamps are the
kernel's, in nanoseconds, on the machine's one clock.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from uclab.emulation.linux import processes
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.linux.processes import Daemon
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import Tap
from uclab.records.captures import FILE, CaptureTime, What
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import wait_until

BUFFER_MIB = 8
"""Kernel ring of a tap: six seconds of 10 Mbit/s; with 2 MiB a busy machine lost packets of bulk traffic."""
QUEUE_BYTES, QUEUE_PACKETS = 64_000_000, 200_000
"""dumpcap's own queue between its threads; its default of 1000 packets is lost in a moment of disk work."""
RING_S = 0.3
"""dumpcap is handed a block of the ring when it is full or 250 ms old: what was on the wire before needs that
long to be read."""
START_DEADLINE_S, STOP_DEADLINE_S = 15.0, 15.0
_DROPS = re.compile(r"received/dropped on interface '[^']+': (\d+)/(\d+)")


@dataclass(frozen=True)
class TapCount:
    """What a tap saw, by dumpcap's own account at the end."""

    label: str
    captured: int
    dropped: int


@dataclass
class _Capture:
    """One running dumpcap."""

    namespace: str
    labels: tuple[str, ...]
    file: Path
    daemon: Daemon

    def said(self) -> str:
        return self.daemon.log.read_text(errors="replace")


class Taps:
    """All captures of a lab."""

    def __init__(self, captures: Sequence[_Capture], record: Path) -> None:
        """`record`: the file that tells when each capture was running (`uclab.records.captures`)."""
        self._captures = list(captures)
        self._record = record
        self._dead: set[str] = set()
        self.cut_off: list[str] = []
        """Captures that did not end in order, with dumpcap's words; known after `stop`. Their files tell it,
        too: they have no counters."""

    @property
    def daemons(self) -> list[Daemon]:
        """The dumpcap processes, to be watched."""
        return [capture.daemon for capture in self._captures]

    async def wait_ready(self) -> None:
        """Return when every tap captures; raises `NotReady` with dumpcap's words otherwise."""
        await asyncio.gather(*(self._wait_ready(capture) for capture in self._captures))

    async def note_deaths(self) -> None:
        """Note each capture that ends before it is told to; until cancelled."""

        async def watch(capture: _Capture) -> None:
            await capture.daemon.wait()
            self._dead.add(capture.namespace)
            self._note(capture, "died")

        await asyncio.gather(*(watch(capture) for capture in self._captures))

    def _note(self, capture: _Capture, what: What) -> None:
        # captures that end well are worth more than a record that the disk has no room for
        with suppress(OSError), self._record.open("a") as file:
            file.write(json.dumps(to_data(CaptureTime(time.time(), capture.namespace, what))) + "\n")

    async def stop(self) -> list[TapCount]:
        """End all captures so that the files hold everything; what each tap saw and dropped, but for those
        `cut_off`."""
        await asyncio.sleep(RING_S)
        for capture in self._captures:
            if capture.namespace not in self._dead:
                self._note(capture, "stopping")
        for capture in self._captures:
            # its threads sleep for up to 250 ms before they see that they are to end
            capture.daemon.terminate_threads()
        ends = await asyncio.gather(
            *(self._wait_end(capture) for capture in self._captures), return_exceptions=True
        )
        captures = list(self._captures)
        # all is on disk: spare the closing of packet sockets one after the other
        daemons = [capture.daemon for capture in self._captures]
        await asyncio.to_thread(processes.end_at_once, daemons, STOP_DEADLINE_S)
        self._captures.clear()
        counts: list[TapCount] = []
        for capture, end in zip(captures, ends, strict=True):
            if isinstance(end, NotReady):
                self.cut_off.append(str(end))
            elif isinstance(end, BaseException):
                raise end
            else:
                counts += end
                self._note(capture, "ended")
        return counts

    async def _wait_ready(self, capture: _Capture) -> None:
        async def look() -> bool | None:
            if capture.daemon.returncode is not None:
                raise NotReady(
                    f"captures in {capture.namespace}: dumpcap ended: {capture.daemon.last_lines()}"
                )
            # it names the file after it has opened every interface (dumpcap.c, capture_loop_start)
            return True if "File: " in capture.said() else None

        await wait_until(look, what=f"captures in {capture.namespace}", deadline_s=START_DEADLINE_S)
        self._note(capture, "ready")

    async def _wait_end(self, capture: _Capture) -> list[TapCount]:
        """Wait for dumpcap's account, which comes after the file is closed and before the slow closing of its
        sockets."""

        async def look() -> list[TapCount] | None:
            # in the order of the command line; some are called by label, some by the kernel's name
            found = _DROPS.findall(capture.said())
            counts = [
                TapCount(label, int(n), int(d)) for label, (n, d) in zip(capture.labels, found, strict=False)
            ]
            ended = capture.daemon.returncode is not None
            if ended and len(counts) < len(capture.labels):
                raise NotReady(
                    f"captures in {capture.namespace} did not end well: {capture.daemon.last_lines()}"
                )
            return counts if len(counts) == len(capture.labels) else None

        return await wait_until(
            look, what=f"end of captures in {capture.namespace}", deadline_s=STOP_DEADLINE_S
        )


async def start_taps(taps: Sequence[Tap], namespaces: Mapping[str, Namespace], run_dir: Path) -> Taps:
    """Start all captures into `run_dir`/captures and return when every one captures. Raises `NotReady`."""
    folder = run_dir / "captures"
    folder.mkdir(parents=True, exist_ok=True)
    by_namespace: dict[str, list[Tap]] = defaultdict(list)
    for tap in taps:
        by_namespace[tap.namespace].append(tap)

    def start() -> list[_Capture]:
        return [_start(name, taps, namespaces[name], folder) for name, taps in by_namespace.items()]

    running = Taps(await asyncio.to_thread(start), run_dir / FILE)
    await running.wait_ready()
    return running


def command(taps: Sequence[Tap], file: str) -> list[str]:
    """The dumpcap command for the taps of one namespace, to be run in the captures' folder (pure).

    `file` is a name and no path: dumpcap gives up root's capabilities, without which it would not get through
    a home of mode 0700 that a run's folder is in.
    """
    argv = ["dumpcap", "-q", "-C", str(QUEUE_BYTES), "-N", str(QUEUE_PACKETS), "-w", file]
    for tap in taps:
        argv += ["-i", tap.interface, "--ifname", tap.label, "-B", str(BUFFER_MIB)]
    return argv


def _start(name: str, taps: Sequence[Tap], namespace: Namespace, folder: Path) -> _Capture:
    file = folder / f"{name}.pcapng"
    log = folder / f"{name}.log"
    log.unlink(missing_ok=True)
    daemon = processes.start(
        f"taps-{name}", command(taps, file.name), log=log, namespace=namespace, folder=folder
    )
    daemon.prefer()  # or the switches, which run before all else, keep it from emptying its rings for seconds
    return _Capture(name, tuple(tap.label for tap in taps), file, daemon)
