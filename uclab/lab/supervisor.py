"""The one process that owns a lab: `python -m uclab.lab.supervisor NAME LOCK_FD`, started by
`uclab.lab.launch`.

It runs inside the lab's network, mount and PID namespaces. It ends in order on `/down`, SIGTERM or SIGINT,
and, for a
leased lab, when its standard input closes; whatever else ends it, the kernel cleans up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from uclab.access.local_socket import listening_private
from uclab.access.private_files import PRIVATE_UMASK
from uclab.lab.directory import LabDirectory
from uclab.lab.lab import BringUpFailed, Lab
from uclab.lab.service import make_service
from uclab.plan.schema.codec import plan_from_json

ANSWERS_S = 0.5
"""How long answers that are being given may still take once the lab is down."""


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handlers, since the supervisor's are the only ones, and without its
    ticks: it would take up to 0.3 s to see that it is to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Finish the answers that are being given, and end."""
        self._ending.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def main_loop(self) -> None:
        """Serve until `end`."""
        await self._ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """No more connections; who is being answered gets the rest, who waits for a call is cut off."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=ANSWERS_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()


async def supervise(name: str) -> int:
    """Bring the lab up, serve until it is to end, take it down; the process's exit status."""
    directory = LabDirectory(name)
    start = json.loads(directory.start_file.read_text())
    run_dir = Path(start["run_dir"])
    plan = plan_from_json((run_dir / "plan.applied.json").read_text())
    lab = Lab(name, plan, run_dir, capture=start["capture"], outside=start["outside"])
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if start["leased"]:
        loop.add_reader(sys.stdin.fileno(), stop.set)

    server = QuietServer(
        uvicorn.Config(
            make_service(lab, stop.set),
            log_level="warning",
            lifespan="off",
        )
    )
    serving = asyncio.create_task(server.serve([listening_private(directory.socket)]))
    bringing_up = asyncio.create_task(lab.up())
    stopping = asyncio.create_task(stop.wait())
    status = 0
    await asyncio.wait({bringing_up, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if bringing_up.done():
        failure = bringing_up.exception()
        if isinstance(failure, BringUpFailed):
            status = 3
        elif failure is not None:
            raise failure
        else:
            await stopping
    else:
        bringing_up.cancel()
        await asyncio.gather(bringing_up, return_exceptions=True)
    if start["leased"]:
        loop.remove_reader(sys.stdin.fileno())
    await lab.down()
    lab.events.close()
    server.end()
    await serving
    directory.remove()
    return status


def main() -> None:
    """Entry point; the lock's file descriptor is kept open until the end of the process."""
    name = sys.argv[1]
    os.umask(PRIVATE_UMASK)  # what is written holds passwords, keys and recordings
    status = asyncio.run(supervise(name))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # all is on disk and the kernel tidies up; the interpreter would take its time for it


if __name__ == "__main__":
    main()
