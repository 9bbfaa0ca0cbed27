"""Where labs live on disk: one folder a running lab with its API socket, and its run directory with all
evidence.

A lab is alive exactly while somebody holds the lock of its folder: whoever starts it, then its supervisor; a
killed supervisor lets go of it by the kernel's hand. Nothing else says whether it is alive or dead. Whoever
makes, looks at or removes a folder holds the lock of the folder of all labs meanwhile, so that none is seen
half made, and none is removed that has just been made again under the name of a dead one. The folder is
root's alone and carries uclab's mark: what has no mark is neither a lab nor ever removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from uclab.access.local_socket import UNFINISHED
from uclab.access.marked_folder import is_marked, make_marked, remove_marked
from uclab.access.names import LAB
from uclab.access.private_files import FolderRefused, words, write_private

LABS_VARIABLE = "UCLAB_LABS"
"""Environment variable that moves the state folder, e.g. for tests."""


SOCKET_PATH_LIMIT = 108 - len(UNFINISHED)
"""Bytes of a UNIX socket's path with its final NUL (unix(7)), which also its first name must keep."""
SHORT_SOCKETS = Path("/run/uclab")
"""Where sockets are whose lab's folder is too deep for one; only root can make anything here."""


def state_folder() -> Path:
    """The folder of all labs on this machine."""
    return Path(os.environ.get(LABS_VARIABLE, "/var/lib/uclab/labs"))


class LabExists(Exception):
    """A lab of that name is already running."""


class NoSuchLab(Exception):
    """No lab of that name is running, or none that this user may see."""


@dataclass(frozen=True)
class LabDirectory:
    """The folder of one lab. Raises `WrongName` for a name that could lead elsewhere."""

    name: str

    def __post_init__(self) -> None:
        LAB.checked("lab", self.name)

    @property
    def path(self) -> Path:
        return state_folder() / self.name

    @property
    def socket(self) -> Path:
        """The supervisor's API: a UNIX socket, in a folder of root's where the lab's own is too deep for
        one."""
        plain = self.path / "api.sock"
        if len(os.fsencode(plain)) < SOCKET_PATH_LIMIT:
            return plain
        digest = hashlib.sha256(os.fsencode(plain)).hexdigest()[:16]
        return SHORT_SOCKETS / f"{digest}.sock"

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

        Raises `LabExists` where a lab of this name runs, `FolderRefused` where something else has the folder.
        What a dead lab left is removed.
        """
        _make_state_folder()
        with _among_all_labs():
            if self._is_held():
                raise LabExists(
                    f"a lab named `{self.name}` is already running; "
                    f"take it down with `uclab down --name {self.name}` or choose another --name"
                )
            self._remove()
            make_marked(self.path)
            # a new file: whoever still waits for the lock of the old one has nothing to do with it
            handle = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            self.socket.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(self.path, self.start_file.name, json.dumps(start))
        return handle

    def remove(self) -> None:
        """Forget this lab; for the one who holds its lock. A folder without uclab's mark stays."""
        with _among_all_labs() as exists:
            if exists:
                self._remove()

    def remove_if_dead(self) -> bool:
        """Remove what a dead lab of this name left; whether it did. Without mark and lock it is no lab's."""
        with _among_all_labs() as exists:
            dead = exists and is_marked(self.path) and self.lock.exists() and not self._is_held()
            if dead:
                self._remove()
            return dead

    def wait_for_end(self) -> None:
        """Return when whoever holds the lock now has let go of it; at once where nobody does."""
        with suppress(FileNotFoundError):
            handle = self._open_lock()
            try:
                fcntl.flock(handle, fcntl.LOCK_SH)
            finally:
                os.close(handle)

    def _is_held(self) -> bool:
        """Whether somebody holds the lock: owners hold it alone, whoever asks shares it for a moment."""
        try:
            handle = self._open_lock()
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def _open_lock(self) -> int:
        return os.open(self.lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)

    def _remove(self) -> None:
        if is_marked(self.path):
            self.socket.unlink(missing_ok=True)
            remove_marked(self.path)


def _make_state_folder() -> None:
    """Raises `FolderRefused`."""
    try:
        state_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FolderRefused(f"`{state_folder()}` cannot be made: {words(error)}") from None


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
    """All labs that are alive, by name; what dead ones left is removed. Raises `NoSuchLab` for a user who may
    not see them."""
    folder = state_folder()
    try:
        children = sorted(folder.iterdir()) if folder.is_dir() else []
    except PermissionError:
        raise NoSuchLab(f"the labs of this machine ({folder}) are root's: use sudo") from None
    labs = [LabDirectory(child.name) for child in children if LAB.fits(child.name) and is_marked(child)]
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
