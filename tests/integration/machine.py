"""Who has the machine: tests that bring labs up share it, and what is judged by milliseconds has it alone.

Two locks of the kernel, which it takes back from who dies. Each taker passes the gate first, so that one who
wants the machine alone waits for those that have it and for nobody who comes after.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path


class Machine:
    """One process's part of the machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._gate = os.open(folder / "gate", os.O_RDWR | os.O_CREAT, 0o600)
        self._held = os.open(folder / "held", os.O_RDWR | os.O_CREAT, 0o600)
        self.alone = False

    def share(self) -> None:
        """Wait until nobody has it alone."""
        self._take(fcntl.LOCK_SH)

    def have_alone(self) -> None:
        """Wait until nobody else has it; who shares it lets go of it meanwhile."""
        if not self.alone:
            self.let_go()
            self._take(fcntl.LOCK_EX)
            self.alone = True

    def let_go(self) -> None:
        fcntl.flock(self._held, fcntl.LOCK_UN)
        self.alone = False

    def _take(self, how: int) -> None:
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._held, how)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)


MACHINE = Machine(Path(tempfile.gettempdir()) / f"uclab-tests-{os.getuid()}")
"""This process's, for all tests of this user on the machine."""
