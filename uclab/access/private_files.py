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
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

PRIVATE_UMASK = 0o077
"""Of every process that writes a run's or a lab's files: folders 0700, files 0600."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
EXISTING_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
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


def write_private(folder: Path, name: str, content: str | bytes, *, mode: int = 0o600) -> None:
    """Write a file of a run, for its owner alone unless `mode` says otherwise; whole or not at all. `name` is
    relative to the folder, with `/`. Raises `FolderRefused`."""
    place = PurePosixPath(name)
    try:
        with opened_below(folder, place.parent, make=True) as descriptor:
            raw = content.encode() if isinstance(content, str) else content
            _replace(descriptor, place.name, raw, mode)
    except OSError as error:
        raise FolderRefused(f"`{folder / name}` cannot be written: {words(error)}") from None


def read_below(folder: Path, name: str, most: int) -> bytes | None:
    """A file below a folder, no link followed; None where there is none. Raises `FolderRefused` for what is
    no ordinary file, or longer than `most` bytes."""
    stream = _open_below(folder, name)
    if stream is None:
        return None
    with stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise FolderRefused(f"`{folder / name}` is longer than {most} bytes, which no such file is")
    return content


def copy_below(folder: Path, name: str, to: Path, *, mode: int) -> None:
    """Copy a file, however long, from below one folder to the same place below a new one. Raises
    `FolderRefused`."""
    stream, place = _open_below(folder, name), PurePosixPath(name)
    if stream is None:
        raise FolderRefused(f"`{folder / name}` is not there any more")
    try:
        with stream, opened_below(to, place.parent, make=True) as descriptor:
            copy = os.open(place.name, NEW_FILE, 0o600, dir_fd=descriptor)
            with os.fdopen(copy, "wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
                os.fchmod(file.fileno(), mode)
    except OSError as error:
        raise FolderRefused(f"`{to / name}` cannot be written: {words(error)}") from None


def names_below(folder: Path, inside: str) -> tuple[str, ...]:
    """The names in a folder below another one, in order; none without it. Raises `FolderRefused`."""
    try:
        with opened_below(folder, PurePosixPath(inside)) as descriptor:
            return tuple(sorted(os.listdir(descriptor)))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise FolderRefused(f"`{folder / inside}` cannot be read: {words(error)}") from None


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


def _open_below(folder: Path, name: str) -> BinaryIO | None:
    place = PurePosixPath(name)
    try:
        with opened_below(folder, place.parent) as descriptor:
            file = os.open(place.name, EXISTING_FILE, dir_fd=descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FolderRefused(f"`{folder / name}` cannot be read: {words(error)}") from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FolderRefused(f"`{folder / name}` is no ordinary file")
    return os.fdopen(file, "rb")


def _replace(folder: int, name: str, content: bytes, mode: int) -> None:
    unfinished = f".{name[:80]}.{secrets.token_hex(4)}"
    descriptor = os.open(unfinished, NEW_FILE, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise OSError(errno.EISDIR, "a folder is in its place")
        os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished, dir_fd=folder)
        raise
