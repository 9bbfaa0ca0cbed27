"""Says when a folder that the lab writes to has no room left: what is missing from then on is the disk's
fault, not the network's."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from uclab.lab.events import EventLog

KIND = "disk-full"
"""Of the event."""
FULL_MB = 1
"""Less than this is no room: a capture writes more at a time."""
EVERY_S = 1.0


async def watch_disks(run_dir: Path, events: EventLog) -> None:
    """Look at the room for the run's evidence and for temporary files until the lab ends, and say once of
    each that it is gone."""
    left = [run_dir, Path(tempfile.gettempdir())]
    while left:
        for folder in [path for path in left if free_mb(path) < FULL_MB]:
            left.remove(folder)
            events.add("lab", KIND, f"no room left in {folder}: captures and records are cut off here")
        await asyncio.sleep(EVERY_S)


def free_mb(folder: Path) -> int:
    """Room for whoever is root, MB (statvfs(3)): blocks and, where there are any, files."""
    seen = os.statvfs(folder)
    return 0 if seen.f_files and not seen.f_ffree else seen.f_bfree * seen.f_frsize // 1_000_000
