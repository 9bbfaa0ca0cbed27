"""What a program's log says at its end: part of every report of a program that failed or died."""

from __future__ import annotations

from pathlib import Path

LAST_LINES = 8


def last_lines(log: Path, count: int = LAST_LINES) -> str:
    """The last `count` lines of a log file, or a word on its absence; never raises."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(lines[-count:]) or "(its log is empty)"
