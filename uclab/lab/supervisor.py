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
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from uclab.lab.directory import LabDirectory
from uclab.lab.lab import BringUpFailed, Lab
from uclab.lab.service import make_service
from uclab.plan.codec import plan_from_json


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the supervisor's are the only ones."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def supervise(name: str) -> int:
    """Bring the lab up, serve until it is to end, take it down; the process's exit status."""
    directory = LabDirectory(name)
    start = json.loads(directory.start_file.read_text())
    run_dir = Path(start["run_dir"])
    plan = plan_from_json((run_dir / "plan.applied.json").read_text())
    lab = Lab(name, plan, run_dir, capture=start["capture"])
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if start["leased"]:
        loop.add_reader(sys.stdin.fileno(), stop.set)

    server = QuietServer(
        uvicorn.Config(
            make_service(lab, stop.set),
            uds=str(directory.socket),
            log_level="warning",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve())
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
    server.should_exit = True
    await serving
    directory.remove()
    return status


def main() -> None:
    """Entry point; the lock's file descriptor is kept open until the end of the process."""
    name = sys.argv[1]
    sys.exit(asyncio.run(supervise(name)))


if __name__ == "__main__":
    main()
