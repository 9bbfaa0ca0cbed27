"""Room and limits of this machine that change from day to day: folders, images, inotify. Tried, not guessed;
nothing is left behind."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

IMAGES = Path("/var/lib/containers/storage/overlay-images/images.json")
"""podman's own list of the machine's images (containers/storage)."""
TEMPORARY_MB = 20
"""Room for the judge's cut-out signalling and the like."""
INOTIFY = 16
"""Instances that the containers of a large topology need."""
_IN_CLOEXEC = 0o2000000


@dataclass(frozen=True)
class Folder:
    """A folder in which something is to be written."""

    path: Path
    complaint: str
    """Why nothing can be written there; empty where it works."""
    free_mb: int


def folder(path: Path) -> Folder:
    """Whether something can be written in a folder that is there or is to be made: tried, not guessed, in
    the first folder above that is there."""
    existing = path.absolute()
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
        return Folder(path, "", shutil.disk_usage(existing).free // 1_000_000)
    except OSError as error:
        return Folder(path, f"{existing}: {error.strerror}", 0)


def images(file: Path = IMAGES) -> frozenset[str] | None:
    """Services that have an image here; None where podman's list cannot be read."""
    try:
        listed = json.loads(file.read_text())
        names = [name for image in listed for name in image.get("names") or ()]
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    return frozenset(
        name.removeprefix("localhost/uclab/").removesuffix(":latest")
        for name in names
        if name.startswith("localhost/uclab/") and name.endswith(":latest")
    )


def inotify_to_be_had(count: int) -> bool:
    """Whether so many instances can be made (inotify(7)); conmon has one for each container."""
    libc = ctypes.CDLL(None, use_errno=True)
    had: list[int] = []
    try:
        for _ in range(count):
            descriptor = libc.inotify_init1(_IN_CLOEXEC)
            if descriptor < 0:
                return False
            had.append(descriptor)
        return True
    finally:
        for descriptor in had:
            os.close(descriptor)


def complaints() -> tuple[str, ...]:
    """What stands in the way of any lab, in words."""
    found = []
    temporary = folder(Path(tempfile.gettempdir()))
    if temporary.complaint:
        found.append(f"temporary files: {temporary.complaint}; set TMPDIR")
    elif temporary.free_mb < TEMPORARY_MB:
        found.append(f"temporary files: {temporary.free_mb} MB are free in {temporary.path}; set TMPDIR")
    if not inotify_to_be_had(INOTIFY):
        found.append("inotify: no more instances; `sysctl fs.inotify.max_user_instances=1024`")
    return tuple(found)
