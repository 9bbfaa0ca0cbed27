"""The process of a container: podman's attached one, watched together with its conmon (podman 4.3)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from uclab.runtime.readiness import patient

PODMAN_ENDS_S = 10.0
"""How long podman may take to end when conmon and the program have: it tidies up meanwhile."""
CONMON_LOOK_S = 0.1
"""How often to look whether conmon has begun."""


class ContainerProcess(asyncio.subprocess.Process):
    """podman's attached process: passes signals on to the program, but for the one that cannot be caught."""

    pid_file: Path | None = None
    """Where podman writes the process id of the container's first process."""
    conmon_file: Path | None = None
    """Where podman writes that of conmon, which watches the container for it."""
    end_reason: str | None = None
    """Why it ended, where the exit status does not say so."""
    _keeping: asyncio.Task[None] | None = None

    def keep_watch(self) -> None:
        """See to it that the container ends with its conmon (`end_with_conmon`)."""
        self._keeping = asyncio.get_running_loop().create_task(self.end_with_conmon())

    async def end_with_conmon(self) -> None:
        """Wait for the end of podman or of conmon. Without conmon nobody notices the program's end any more,
        podman's attached process waits for ever (4.3), and the program runs on unwatched: both are ended
        then, so that the container's end is seen, and seen at once."""
        podman = asyncio.ensure_future(super().wait())
        conmon = asyncio.ensure_future(self._conmon_ended())
        try:
            await asyncio.wait({podman, conmon}, return_when=asyncio.FIRST_COMPLETED)
            if not podman.done() and not self._program_lives():
                # a container that has ended by itself: conmon ends a moment before podman
                await asyncio.wait({podman}, timeout=patient(PODMAN_ENDS_S))
            if not podman.done():
                self.end_reason = "its conmon was killed, and the program ended with it"
                self.kill()
                with contextlib.suppress(ProcessLookupError):
                    super().kill()
        finally:
            podman.cancel()
            conmon.cancel()
            await asyncio.gather(podman, conmon, return_exceptions=True)

    def _program_lives(self) -> bool:
        """Whether the container's first process is there; while it is, conmon does not end by itself."""
        try:
            os.kill(int(self.pid_file.read_text() if self.pid_file else ""), 0)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return False
        return True

    async def _conmon_ended(self) -> None:
        """Return when conmon has been there and is no more."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        descriptor = None
        while descriptor is None:
            with contextlib.suppress(FileNotFoundError, ValueError):
                pid = int(self.conmon_file.read_text() if self.conmon_file else "")
                try:
                    descriptor = os.pidfd_open(pid)
                except ProcessLookupError:
                    return
            await asyncio.sleep(CONMON_LOOK_S)
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, _set, ended)
        try:
            await ended
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def prefer(self) -> None:
        """Let the program, with all the threads that it has by now, run before ordinary ones, where the
        machine allows (sched(7), SCHED_RR)."""
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError, PermissionError):
            first = int(self.pid_file.read_text() if self.pid_file else "")
            for thread in os.listdir(f"/proc/{first}/task"):
                os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(1))

    def kill(self) -> None:
        """SIGKILL to the program itself; podman then ends with it."""
        if self.returncode is not None:
            return
        try:
            os.kill(int(self.pid_file.read_text() if self.pid_file else ""), signal.SIGKILL)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            super().kill()  # nothing runs in it yet, or any more


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def start_process(argv: Sequence[str], log: int) -> asyncio.subprocess.Process:
    """The runner that really starts something."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=1 << 16, loop=loop),
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    return ContainerProcess(transport, protocol, loop)
