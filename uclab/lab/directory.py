"""Where labs live on disk: one folder a running lab with its API socket, and its run directory with all
evidence.

A lab is alive exactly while its supervisor holds the lock; a killed supervisor lets go of it by the kernel's
hand. The folder is root's alone and carries uclab's mark: what has no mark is neither a lab nor ever removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from uclab.access.local_socket import UNFINISHED
from uclab.access.marked_folder import is_marked, make_marked, remove_marked
from uclab.access.names import LAB
from uclab.access.private_files import write_private

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
        try:
            handle = os.open(self.lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
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

        Raises `LabExists` where a lab of this name runs, `FolderRefused` where something else has the folder.
        """
        make_marked(self.path)
        handle = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise LabExists(
                f"a lab named `{self.name}` is already running; "
                f"take it down with `uclab down --name {self.name}` or choose another --name"
            ) from None
        self.socket.unlink(missing_ok=True)
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        write_private(self.path, self.start_file.name, json.dumps(start))
        return handle

    def remove(self) -> None:
        """Forget a lab that is no longer alive; a folder without uclab's mark stays."""
        if is_marked(self.path):
            self.socket.unlink(missing_ok=True)
            remove_marked(self.path)


def running_labs() -> tuple[LabDirectory, ...]:
    """All labs that are alive, by name; what dead ones left is removed. Raises `NoSuchLab` for a user who may
    not see them."""
    folder = state_folder()
    try:
        children = sorted(folder.iterdir()) if folder.is_dir() else []
    except PermissionError:
        raise NoSuchLab(f"the labs of this machine ({folder}) are root's: use sudo") from None
    alive = []
    for child in children:
        if not LAB.fits(child.name) or not is_marked(child):
            continue
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
