"""Programs that the lab runs beside its devices: switch engines, taps, lines. Started from any thread,
watched by the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from uclab.emulation.linux import netns
from uclab.emulation.linux.netns import Namespace
from uclab.runtime.logs import last_lines
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import patient

_PIDFD_GETFD = 438
"""The same number on all architectures (Linux 5.6)."""
_libc = ctypes.CDLL(None, use_errno=True)
CLOSING_SIDE_BY_SIDE = 256
FAVOURED_NICE = -10
"""About ten times the share of an ordinary session."""


class Daemon:
    """A running program with a name and a log. Looks like an `asyncio.subprocess.Process` to whoever watches
    it."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """Process id in the lab's PID namespace."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, minus the signal, or None while it runs."""
        return self._process.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal unless it has ended."""
        self._process.send_signal(number)

    def prefer(self) -> None:
        """Let it run before ordinary programs, right after the start (its threads inherit it), where the
        machine allows.

        Real-time, not a nice value: with a scheduler that groups by session (sched_autogroup) that would mean
        nothing.
        """
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.sched_setscheduler(self.pid, os.SCHED_RR, os.sched_param(1))

    def favour(self) -> None:
        """Give it a larger share of a busy machine, without keeping others from running: its session's nice
        value, since by sched_autogroup (sched(7)) that of a process counts only within its session."""
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/autogroup").write_text(str(FAVOURED_NICE))

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate_threads(self) -> None:
        """SIGTERM to every thread, for a program whose threads look only after a wait whether they are to
        end: the signal ends the wait (EINTR)."""
        if self._process.poll() is not None:
            return
        with contextlib.suppress(FileNotFoundError):
            for thread in os.listdir(f"/proc/{self.pid}/task"):
                _libc.tgkill(self.pid, int(thread), signal.SIGTERM)  # of a thread that has just ended: ESRCH

    async def wait(self) -> int:
        """Exit status when it ends, without a thread: the kernel makes the pidfd readable (pidfd_open(2))."""
        if self._process.poll() is None:
            loop = asyncio.get_running_loop()
            ended: asyncio.Future[None] = loop.create_future()
            descriptor = os.pidfd_open(self.pid)
            loop.add_reader(descriptor, ended.set_result, None)
            try:
                await ended
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        return self._process.wait()

    def wait_blocking(self, timeout_s: float) -> int:
        """Exit status; raises `NotReady` when it has not ended after `timeout_s`."""
        try:
            return self._process.wait(patient(timeout_s))
        except subprocess.TimeoutExpired:
            raise NotReady(f"{self.name} has not ended {timeout_s:g} s after it was told to") from None

    def adopt_sockets(self) -> list[int]:
        """Descriptors of our own for its sockets (pidfd_getfd(2)): they outlive it. See `end_at_once`."""
        adopted: list[int] = []
        with contextlib.suppress(OSError):
            process = os.pidfd_open(self.pid)
            try:
                for entry in os.scandir(f"/proc/{self.pid}/fd"):
                    if os.readlink(entry.path).startswith("socket:"):
                        descriptor = _libc.syscall(_PIDFD_GETFD, process, int(entry.name), 0)
                        if descriptor < 0:
                            break  # no more descriptors to be had: the rest dies slowly
                        adopted.append(descriptor)
            finally:
                os.close(process)
        return adopted

    def last_lines(self, count: int = 5) -> str:
        """The end of its log."""
        return last_lines(self.log, count)


def end_at_once(daemons: Sequence[Daemon], timeout_s: float) -> None:
    """SIGKILL for programs with many packet sockets, which would otherwise take 12 ms for each to die, 25 ms
    where it has a ring (Linux 6.18). Raises `NotReady` when one has not ended after `timeout_s`.

    Closing a packet socket waits for an RCU grace period or two, and a dying process closes one after the
    other. So its sockets are taken over, and closed side by side, to wait for the same grace periods; not
    before the process has ended, because who lets go of a socket last is the one who waits.
    """
    adopted: list[int] = []
    for daemon in daemons:
        adopted += daemon.adopt_sockets()
        daemon.kill()
    try:
        for daemon in daemons:
            daemon.wait_blocking(timeout_s)
    finally:
        if adopted:
            with ThreadPoolExecutor(min(len(adopted), CLOSING_SIDE_BY_SIDE)) as threads:
                list(threads.map(os.close, adopted))


def start(
    name: str,
    argv: Sequence[str],
    *,
    log: Path,
    namespace: Namespace | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    stdin: bytes | None = None,
    folder: Path | None = None,
) -> Daemon:
    """Start a program, in `namespace` if one is given, in `folder` or where the lab runs. Output goes to
    `log`; `stdin` is what it reads (a pipe's worth).

    The thread enters the namespace for the moment of the fork and the child inherits it: no `nsenter`, no
    second exec.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **env} if env else None

    def popen() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
                cwd=folder,
            )
        if process.stdin is not None:
            process.stdin.write(stdin or b"")
            process.stdin.close()
        return process

    if namespace is None:
        return Daemon(name, popen(), log)
    with netns.entered(namespace):
        return Daemon(name, popen(), log)
