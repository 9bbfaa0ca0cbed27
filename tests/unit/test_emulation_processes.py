"""Ending programs that the lab runs beside its devices."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import cast

import pytest

from uclab.emulation.linux import processes
from uclab.emulation.linux.processes import Daemon
from uclab.runtime.node import NotReady

WAITING_THREADS = """
import signal, threading
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
threads = [threading.Thread(target=signal.sigwait, args=([signal.SIGTERM],)) for _ in range(3)]
for thread in threads:
    thread.start()
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
for thread in threads:
    thread.join()
"""
"""Each thread waits for a signal of its own: one for the whole process ends only one of them."""


class WithSockets:
    """A daemon whose one socket has been taken over; says whether it was still open when the daemon ended."""

    def __init__(self, *, ends: bool = True) -> None:
        self._peer, self.descriptor = os.pipe()
        self._ends = ends
        self.done: list[str] = []

    def adopt_sockets(self) -> list[int]:
        self.done.append("adopted")
        return [self.descriptor]

    def kill(self) -> None:
        self.done.append("killed")

    def wait_blocking(self, timeout_s: float) -> int:
        self.done.append("ended, socket open" if is_open(self.descriptor) else "ended, socket closed")
        if not self._ends:
            raise NotReady(f"has not ended after {timeout_s:g} s")
        return -signal.SIGKILL


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def end(*daemons: WithSockets) -> None:
    processes.end_at_once(cast("list[Daemon]", list(daemons)), timeout_s=1)


def test_sockets_are_closed_by_the_lab_and_not_by_the_dying_program() -> None:
    # given two programs, killed at once
    daemons = WithSockets(), WithSockets()
    end(*daemons)
    # then each socket was taken over before the kill, outlived its program, and is closed in the end
    for daemon in daemons:
        assert daemon.done == ["adopted", "killed", "ended, socket open"]
        assert not is_open(daemon.descriptor)


def test_sockets_of_a_program_that_does_not_end_are_closed_all_the_same() -> None:
    stubborn = WithSockets(ends=False)
    with pytest.raises(NotReady, match="has not ended after 1 s"):
        end(stubborn)
    assert not is_open(stubborn.descriptor)


def test_nothing_to_end_is_nothing_to_do() -> None:
    end()


def test_every_thread_hears_that_it_is_to_end(tmp_path: Path) -> None:
    # given a program whose threads wait
    log = tmp_path / "log"
    daemon = processes.start("waiting", [sys.executable, "-c", WAITING_THREADS], log=log)
    try:
        while "ready" not in log.read_text():
            assert daemon.returncode is None
        # when all are told
        daemon.terminate_threads()
        # then all end, and another time changes nothing
        assert daemon.wait_blocking(10) == 0
        daemon.terminate_threads()
    finally:
        daemon.kill()
