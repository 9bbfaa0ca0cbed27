"""Files of a run and of a lab: for their owner alone, and written below a folder's descriptor without
following a link, so that nobody can lead root to a file of his choice.

Whoever may write in a folder can put a link there, or exchange a folder on the way for one. What is opened
here is opened part by part below a descriptor (openat(2), O_NOFOLLOW), and a file that is there already is
replaced, never written into.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

PRIVATE_UMASK = 0o077
"""Of every process that writes a run's or a lab's files: folders 0700, files 0600."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderRefused(Exception):
    """A folder that cannot be what it should be, or a file in it that cannot be written; the message says why
    and the way out."""


def claim_folder(path: Path) -> None:
    """Make the folder of a new run, for its owner alone. Raises `FolderRefused` for a path that is anything
    but free or an empty folder of one's own."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        descriptor = os.open(path, FOLDER | os.O_NOFOLLOW)
    except OSError as error:
        raise FolderRefused(f"`{path}` cannot hold a run: {words(error)}; name a new folder") from None
    try:
        owner = os.fstat(descriptor).st_uid
        if owner not in owners():
            raise FolderRefused(
                f"`{path}` belongs to user {owner}, who could exchange its files for links; name a new folder"
            )
        if used := sorted(os.listdir(descriptor))[:3]:
            raise FolderRefused(
                f"`{path}` is used: it has {', '.join(used)}; a run would destroy that, name a new folder"
            )
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def owners() -> set[int]:
    """Users whose folders this process may use: its own, and whoever called it by sudo."""
    caller = os.environ.get("SUDO_UID", "")
    return {os.geteuid(), *([int(caller)] if caller.isascii() and caller.isdigit() else [])}


def write_private(folder: Path, name: str, content: str | bytes) -> None:
    """Write a file of a run, for its owner alone; whole or not at all. `name` is relative to the folder, with
    `/`. Raises `FolderRefused`."""
    place = PurePosixPath(name)
    try:
        with opened_below(folder, place.parent, make=True) as descriptor:
            _replace(descriptor, place.name, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise FolderRefused(f"`{folder / name}` cannot be written: {words(error)}") from None


def owner_only(path: str, flags: int) -> int:
    """An opener for `open`: what it makes is its owner's alone, and it follows no link."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


@contextmanager
def opened_below(folder: Path, inside: PurePosixPath, *, make: bool = False) -> Iterator[int]:
    """The descriptor of a folder below another one, no link followed on the way; `make` makes what is not
    there. `folder` itself may be named by a link: that is its user's choice."""
    if inside.is_absolute() or ".." in inside.parts:
        raise OSError(errno.EINVAL, "leads out of its folder")
    descriptor = os.open(folder, FOLDER)
    try:
        for part in inside.parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=descriptor)
            parent = descriptor
            descriptor = os.open(part, FOLDER | os.O_NOFOLLOW, dir_fd=parent)
            os.close(parent)
        yield descriptor
    finally:
        os.close(descriptor)


def words(error: OSError) -> str:
    """Why the system refused."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "a link or a file is where a folder belongs"
    return (error.strerror or type(error).__name__).lower()


def _replace(folder: int, name: str, content: bytes) -> None:
    unfinished = f".{name[:80]}.{secrets.token_hex(4)}"
    descriptor = os.open(unfinished, NEW_FILE, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise OSError(errno.EISDIR, "a folder is in its place")
        os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished, dir_fd=folder)
        raise
