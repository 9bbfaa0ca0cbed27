"""Where labs live on disk: one folder a running lab with its API socket, and its run directory with all
evidence.

A lab is alive exactly while somebody holds the lock of its folder: whoever starts it, then its supervisor; a
killed supervisor lets go of it by the kernel's hand. Nothing else says whether it is alive or dead. Whoever
makes, looks at or removes a folder holds the lock of the folder of all labs meanwhile, so that none is seen
half made, and none is removed that has just been made anew under the name of a dead one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        with _among_all_labs() as exists:
            return exists and self._is_held()

    def prepare(self, start: dict[str, object]) -> int:
        """Make the folder, take the lock, write the start file. Returns the locked file descriptor to hand to
        the supervisor.

        Raises `LabExists` where a lab of this name runs. What a dead one left is removed.
        """
        state_folder().mkdir(parents=True, exist_ok=True)
        with _among_all_labs():
            if self._is_held():
                raise LabExists(
                    f"a lab named `{self.name}` is already running; "
                    f"take it down with `uclab down --name {self.name}` or choose another --name"
                )
            if self.lock.exists():
                self._remove()
            self.path.mkdir(exist_ok=True)
            # a new file: whoever still waits for the lock of the old one has nothing to do with it
            handle = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            self.start_file.write_text(json.dumps(start))
        return handle

    def remove(self) -> None:
        """Forget this lab; for the one who holds its lock."""
        with _among_all_labs() as exists:
            if exists:
                self._remove()

    def remove_if_dead(self) -> bool:
        """Remove what a dead lab of this name left; whether it did. Without a lock a folder is no lab's."""
        with _among_all_labs() as exists:
            dead = exists and self.lock.exists() and not self._is_held()
            if dead:
                self._remove()
            return dead

    def wait_for_end(self) -> None:
        """Return when whoever holds the lock now has let go of it; at once where nobody does."""
        with suppress(FileNotFoundError):
            handle = os.open(self.lock, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_SH)
            finally:
                os.close(handle)

    def _is_held(self) -> bool:
        """Whether somebody holds the lock: owners hold it alone, whoever asks shares it for a moment."""
        try:
            handle = os.open(self.lock, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def _remove(self) -> None:
        self.socket.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def _among_all_labs() -> Iterator[bool]:
    """Nobody else makes or removes a lab's folder inside the block; whether there are any labs."""
    try:
        handle = os.open(state_folder(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield True
    finally:
        os.close(handle)


def running_labs() -> tuple[LabDirectory, ...]:
    """All labs that are alive, by name; what dead ones left is removed."""
    folder = state_folder()
    if not folder.is_dir():
        return ()
    labs = [LabDirectory(child.name) for child in sorted(folder.iterdir())]
    return tuple(lab for lab in labs if not lab.remove_if_dead() and lab.is_alive())


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
