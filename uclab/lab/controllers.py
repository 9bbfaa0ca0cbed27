"""The SDN controllers of a lab: one process a site and one an exchange, told its fabric by a file, heard
through its events."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from uclab.plan.schema.codec import from_data, to_data
from uclab.plan.schema.plan import SiteFabric
from uclab.records.run import Event
from uclab.runtime.installation import module_command
from uclab.runtime.logs import last_lines
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import wait_until

READY_EVENTS = {"fabric-ready", "exchange-ready"}
READY_S = 60.0
EventSink = Callable[[Event], None]
"""Takes source, kind, detail and time of an event."""


def socket_of(folder: Path, site: str) -> Path:
    """Where the controller of a site listens for its switches."""
    return folder / f"{site}.sock"


def api_of(folder: Path, exchange: str) -> Path:
    """Where the controller of an exchange serves its HTTP API; below `/run`: such a path is short."""
    return folder / f"{exchange}.api.sock"


@dataclass
class RunningController:
    """The controller process of one site or exchange."""

    fabric: SiteFabric
    process: asyncio.subprocess.Process
    log: Path
    events_file: Path
    argv: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As reports name it."""
        return f"controller-{self.fabric.site}"

    async def start_again(self) -> None:
        """A new process in place of one that has ended; its events and words follow those of the old one."""
        self.process = await _start_process(self.argv, self.log)


async def start_controllers(
    fabrics: Sequence[SiteFabric],
    folder: Path,
    sockets: Path,
    python: str = sys.executable,
    exchanges: Sequence[SiteFabric] = (),
) -> tuple[RunningController, ...]:
    """Start a controller for each site and each exchange; see `wait_listening`."""
    os.makedirs(folder, exist_ok=True)
    sites = [
        _start(fabric, folder, sockets, module_command("controllers.voice_fabric", python=python))
        for fabric in fabrics
    ]
    others = [
        _start(
            fabric,
            folder,
            sockets,
            module_command("controllers.exchange", "--api", str(api_of(sockets, fabric.site)), python=python),
        )
        for fabric in exchanges
    ]
    return tuple(await asyncio.gather(*sites, *others))


async def wait_listening(controller: RunningController, sockets: Path) -> None:
    """Wait until the controller's socket is there. Raises `NotReady` with its last words where it ended
    instead."""

    async def look() -> bool | None:
        raise_if_ended(controller)
        return True if exists(socket_of(sockets, controller.fabric.site)) else None

    await wait_until(look, what=f"{controller.name}: its socket", deadline_s=READY_S)


def exists(path: Path) -> bool:
    """Whether there is such a file; a look at a tmpfs, which blocks nobody."""
    return path.exists()


def raise_if_ended(controller: RunningController) -> None:
    """`NotReady` where the controller's process has ended."""
    if controller.process.returncode is not None:
        status, said = controller.process.returncode, last_lines(controller.log)
        raise NotReady(f"{controller.name} ended with status {status}; its log ends:\n{said}")


async def _start(
    fabric: SiteFabric, folder: Path, sockets: Path, program: Sequence[str]
) -> RunningController:
    fabric_file = folder / f"{fabric.site}.fabric.json"
    events_file = folder / f"{fabric.site}.events.jsonl"
    log = folder / f"{fabric.site}.log"
    fabric_file.write_text(json.dumps(to_data(fabric), indent=1))
    events_file.touch()
    listen = f"unix:{socket_of(sockets, fabric.site)}"
    argv = (*program, "--fabric", str(fabric_file), "--listen", listen, "--events", str(events_file))
    return RunningController(fabric, await _start_process(argv, log), log, events_file, argv)


async def _start_process(argv: tuple[str, ...], log: Path) -> asyncio.subprocess.Process:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        return await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    finally:
        os.close(output)


class Reporting(Protocol):
    """A process that writes events to a file."""

    @property
    def events_file(self) -> Path:
        """One event a line."""


async def follow(controller: Reporting, sink: EventSink, every_s: float = 0.05) -> None:
    """Pass a controller's events on, for as long as the task runs."""
    with controller.events_file.open(encoding="utf-8") as file:
        kept = ""
        while True:
            kept += file.read()
            *lines, kept = kept.split("\n")
            for line in lines:
                sink(from_data(Event, json.loads(line)))
            await asyncio.sleep(every_s)


async def wait_ready(controller: RunningController, kinds: set[str]) -> None:
    """Wait until the controller has said that its switches are ready; `kinds` are those of its events so far.
    Raises `NotReady`."""

    async def look() -> bool | None:
        raise_if_ended(controller)
        return True if READY_EVENTS & kinds else None

    await wait_until(
        look, what=f"{controller.name}: all switches connected and programmed", deadline_s=READY_S
    )
