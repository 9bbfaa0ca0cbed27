"""What the SD-WAN's controller writes down of paths: `sdwan/paths.jsonl` of a run directory, one a line."""

from __future__ import annotations

from dataclasses import dataclass

FILE = "sdwan/paths.jsonl"


@dataclass(frozen=True)
class PathRecord:
    """Figures of one path at one moment, the worse of both directions."""

    time: float
    """Seconds since the epoch."""
    site: str
    path: str
    delay_ms: float
    jitter_ms: float
    loss_pct: float
