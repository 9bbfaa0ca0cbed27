"""Folders that uclab made carry its mark; nothing without it is ever deleted."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from pathlib import Path

from uclab.access.private_files import FOLDER, NEW_FILE, FolderRefused, words

MARK = ".uclab-lab"
_MARK_TEXT = re.compile(rb"uclab lab [0-9a-f]{32}\n")


def make_marked(path: Path) -> None:
    """Make a folder for its owner alone, with the mark; one that is there already must have it. Raises
    `FolderRefused`."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not is_marked(path):
            raise FolderRefused(
                f"`{path}` was not made by uclab; move it away, or choose another --name"
            ) from None
        return
    except OSError as error:
        raise FolderRefused(f"`{path}` cannot be made: {words(error)}") from None
    folder = os.open(path, FOLDER | os.O_NOFOLLOW)
    try:
        os.fchmod(folder, 0o700)
        mark = os.open(MARK, NEW_FILE, 0o600, dir_fd=folder)
        with os.fdopen(mark, "wb") as file:
            file.write(f"uclab lab {secrets.token_hex(16)}\n".encode())
    finally:
        os.close(folder)


def is_marked(path: Path) -> bool:
    """Whether this is a folder, not a link to one, that belongs to this process's user and carries the
    mark."""
    try:
        folder = os.open(path, FOLDER | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return _carries_mark(folder)
    finally:
        os.close(folder)


def remove_marked(path: Path) -> bool:
    """Remove a folder with the mark; False, and nothing is touched, where it does not carry it."""
    try:
        parent = os.open(path.parent, FOLDER)
    except OSError:
        return False
    try:
        folder = os.open(path.name, FOLDER | os.O_NOFOLLOW, dir_fd=parent)
        try:
            marked = _carries_mark(folder) and _is_same(folder, path.name, parent)
        finally:
            os.close(folder)
        if marked:
            shutil.rmtree(path.name, ignore_errors=True, dir_fd=parent)
        return marked
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES):
            raise
        return False
    finally:
        os.close(parent)


def _carries_mark(folder: int) -> bool:
    if os.fstat(folder).st_uid != os.geteuid():
        return False
    try:
        mark = os.open(MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return False
    try:
        seen = os.fstat(mark)
        ours = stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid()
        return ours and _MARK_TEXT.fullmatch(os.read(mark, 100)) is not None
    finally:
        os.close(mark)


def _is_same(folder: int, name: str, parent: int) -> bool:
    named, opened = os.stat(name, dir_fd=parent, follow_symlinks=False), os.fstat(folder)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
