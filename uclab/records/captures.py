"""When each capture of a lab was running: `captures/times.jsonl` of a run directory, one `CaptureTime` a
line, written as it happens. What the files hold is another matter; the judge compares the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FILE = "captures/times.jsonl"

What = Literal["ready", "stopping", "ended", "died"]
"""`ready`: every tap of it captures; `stopping`: it was told to end, and may
see nothing from here on; `ended`: its file is closed; `died`: it ended unexpectedly."""


@dataclass(frozen=True)
class CaptureTime:
    """Something that happened to the capture of one namespace; seconds since the epoch."""

    time: float
    namespace: str
    what: What
