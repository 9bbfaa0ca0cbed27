"""Extracts for tshark lie in files without a name: whatever ends who made one, the kernel frees it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unnamed_file() -> Iterator[Path]:
    """A path to an empty file that is in no folder (`O_TMPFILE` of open(2)), where temporary files are.

    Any process of the same user may open it by this path inside the block (proc_pid_fd(5)); with the block,
    or with this process however it ends, the file is gone.
    """
    with tempfile.TemporaryFile(prefix="uclab-") as file:
        yield Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")
