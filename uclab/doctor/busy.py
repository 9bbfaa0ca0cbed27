"""Whether the machine has something else to do: a lab beside it is late, and its run shows less."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BUSY_PCT = 25.0
"""Where programs waited for a processor in so much of the last ten seconds (`/proc/pressure/cpu`), one more
lab is late."""


HELP = "run fewer labs at once, or on more cores"


@dataclass(frozen=True)
class Busyness:
    """What the processors have to do."""

    cores: int
    load: float
    """Mean number of programs that ran or waited in the last minute (`/proc/loadavg`)."""
    pressure_pct: float | None
    """Share of the last ten seconds in which some program waited; None where the kernel does not tell."""

    @property
    def busy(self) -> bool:
        """Whether a lab is better started later."""
        return self.load >= self.cores if self.pressure_pct is None else self.pressure_pct >= BUSY_PCT

    def warning(self) -> str | None:
        """What to expect of a lab now, and what helps; None while the machine is at rest."""
        if not self.busy:
            return None
        seen = f"load {self.load:.1f} on {self.cores} cores"
        if self.pressure_pct is not None:
            seen += f", programs wait in {self.pressure_pct:.0f} % of the time"
        return f"the machine is busy ({seen}): what is late by that is not shown; {HELP}"


def busyness(proc: Path = Path("/proc")) -> Busyness:
    """Look."""
    load = float((proc / "loadavg").read_text().split()[0])
    pressure = None
    with suppress(OSError):
        some = (proc / "pressure/cpu").read_text().splitlines()[0]
        pressure = float(some.split("avg10=")[1].split()[0])
    return Busyness(len(os.sched_getaffinity(0)), load, pressure)
