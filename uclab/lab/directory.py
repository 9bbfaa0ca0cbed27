"""Where labs live on disk: one folder a running lab with its API socket, and its run directory with all
evidence.

A lab is alive exactly while its supervisor holds the lock; a killed supervisor lets go of it by the kernel's
hand.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

LABS_VARIABLE = "UCLAB_LABS"
"""Environment variable that moves the state folder, e.g. for tests."""


SOCKET_PATH_LIMIT = 108
"""Bytes of a UNIX socket's path with its final NUL (unix(7))."""


def state_folder() -> Path:
    """The folder of all labs on this machine."""
    return Path(os.environ.get(LABS_VARIABLE, "/var/lib/uclab/labs"))


class LabExists(Exception):
    """A lab of that name is already running."""


class NoSuchLab(Exception):
    """No lab of that name is running."""


@dataclass(frozen=True)
class LabDirectory:
    """The folder of one lab."""

    name: str

    @property
    def path(self) -> Path:
        return state_folder() / self.name

    @property
    def socket(self) -> Path:
        """The supervisor's API: a UNIX socket, in the temporary folder where the lab's own is too deep for
        one."""
        plain = self.path / "api.sock"
        if len(os.fsencode(plain)) < SOCKET_PATH_LIMIT:
            return plain
        digest = hashlib.sha256(os.fsencode(plain)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"uclab-{digest}.sock"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def log(self) -> Path:
        """Everything that the supervisor itself prints."""
        return self.path / "supervisor.log"

    @property
    def start_file(self) -> Path:
        """What the supervisor is to bring up (JSON)."""
        return self.path / "start.json"

    def is_alive(self) -> bool:
        """True while a supervisor holds the lock."""
        try:
            handle = os.open(self.lock, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def prepare(self, start: dict[str, object]) -> int:
        """Make the folder, take the lock, write the start file. Returns the locked file descriptor to hand to
        the supervisor.

        Raises `LabExists` where a lab of this name runs. What a dead one left is removed.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise LabExists(
                f"a lab named `{self.name}` is already running; "
                f"take it down with `uclab down --name {self.name}` or choose another --name"
            ) from None
        self.socket.unlink(missing_ok=True)
        self.start_file.write_text(json.dumps(start))
        return handle

    def remove(self) -> None:
        """Forget a lab that is no longer alive."""
        self.socket.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)


def running_labs() -> tuple[LabDirectory, ...]:
    """All labs that are alive, by name; what dead ones left is removed."""
    folder = state_folder()
    if not folder.is_dir():
        return ()
    alive = []
    for child in sorted(folder.iterdir()):
        lab = LabDirectory(child.name)
        if lab.is_alive():
            alive.append(lab)
        elif lab.lock.exists():
            lab.remove()
    return tuple(alive)


def find_lab(name: str | None) -> LabDirectory:
    """The lab of that name, or the only one running where no name is given. Raises `NoSuchLab`."""
    alive = running_labs()
    names = ", ".join(f"`{lab.name}`" for lab in alive) or "none"
    if name is None:
        if len(alive) == 1:
            return alive[0]
        raise NoSuchLab(
            f"say which lab by --name (running: {names})"
            if alive
            else "no lab is running; start one with `uclab up T`"
        )
    for lab in alive:
        if lab.name == name:
            return lab
    raise NoSuchLab(f"no lab named `{name}` is running (running: {names})")
