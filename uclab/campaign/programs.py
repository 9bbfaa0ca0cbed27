"""locust's processes at their places in the lab: started, watched, ended; none outlives its campaign."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from uclab.access.private_files import PRIVATE_UMASK, owner_only
from uclab.plan.load.record import GeneratorRecord
from uclab.runtime.logs import last_lines

END_S = 10.0
"""How long a program may take to end when it is told to."""
LOOK_S = 0.25


@dataclass
class Program:
    """A running program with its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    ended_by_us: bool = False

    @property
    def status(self) -> int | None:
        """Exit status, minus the signal; None while it runs, or where it had to be killed."""
        return None if self.ended_by_us else self.process.poll()

    @property
    def words(self) -> str:
        """The end of its log."""
        return last_lines(self.log)

    @property
    def record(self) -> GeneratorRecord:
        """How it ended, as a load generator's program."""
        return GeneratorRecord(self.name, self.status, self.words if self.status else "")


@dataclass
class Programs:
    """The programs of a campaign: those that run at the end of the block are told to end, then killed."""

    folder: Path
    running: list[Program] = field(default_factory=list)

    def __enter__(self) -> Programs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Program:
        """Start a program that ends with this process, whatever happens to it."""
        log = self.folder / f"{name}.log"
        with open(log, "wb", opener=owner_only) as output:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                umask=PRIVATE_UMASK,
                start_new_session=True,  # Ctrl-C is passed on to the leader alone
            )
        program = Program(name, process, log)
        self.running.append(program)
        return program

    def end(self) -> None:
        """SIGTERM to what still runs, SIGKILL to what does not heed it."""
        left = [program for program in self.running if program.process.poll() is None]
        for program in left:
            program.process.terminate()
        until = time.monotonic() + END_S
        for program in left:
            with suppress(subprocess.TimeoutExpired):
                program.process.wait(max(0.0, until - time.monotonic()))
                continue
            program.ended_by_us = True
            program.process.kill()
            program.process.wait()


def follow(
    leader: Program,
    deadline_s: float,
    on_look: Callable[[], None],
    on_interrupt: Callable[[], None] = lambda: None,
) -> bool:
    """Wait for the leader's end; looks on the way. False where it had to be told to end: it was too late.

    Ctrl-C becomes the leader's own: it ends the campaign early and writes its reports.
    """
    until = time.monotonic() + deadline_s
    interrupted = False
    while leader.process.poll() is None:
        try:
            if time.monotonic() > until:
                return False
            on_look()
            with suppress(subprocess.TimeoutExpired):
                leader.process.wait(LOOK_S)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            on_interrupt()
            leader.process.send_signal(signal.SIGINT)
            until = min(until, time.monotonic() + 4 * END_S)
    return True


def finish(programs: Sequence[Program], within_s: float, on_look: Callable[[], None]) -> None:
    """Wait for programs that are about to end by themselves; looks on the way.

    locust's leader ends first: its workers' users still finish what they are at.
    """
    until = time.monotonic() + within_s
    while (
        left := [program for program in programs if program.process.poll() is None]
    ) and time.monotonic() < until:
        on_look()
        with suppress(subprocess.TimeoutExpired):
            left[0].process.wait(LOOK_S)
