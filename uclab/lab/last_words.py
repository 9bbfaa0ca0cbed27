"""What can be said of a lab that is gone although nobody took it down."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from uclab.lab.launch import LaunchedLab

BY_SIGNAL = 128
"""Added by the lab's init to the number of the signal that ended the supervisor, as shells do."""


def killed_for_memory(vmstat: Path = Path("/proc/vmstat")) -> int:
    """How many processes this kernel has killed for want of memory since it started (`oom_kill`, Linux 4.13
    and later); 0 where it does not say."""
    try:
        lines = vmstat.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def last_words(error: Exception, launched: LaunchedLab, run_dir: Path, killed_before: int) -> str:
    """Why it is gone, as far as the kernel tells, and what is left. The lab's process has ended."""
    name, status = launched.client.lab.name, launched.process.returncode
    where = f"what it recorded until then is in {run_dir}; `uclab judge {run_dir}` says what that shows"
    number = status - BY_SIGNAL if status is not None and status > BY_SIGNAL else -(status or 0)
    if number <= 0:
        return f"{error}\n{where}"
    signals = {entry.value: entry.name for entry in signal.Signals}
    at = time.strftime("%H:%M:%S")
    memory = killed_for_memory() - killed_before
    why = f"; the kernel killed {memory} processes for want of memory meanwhile" if memory > 0 else ""
    how = signals.get(number, f"signal {number}")
    return f"lab `{name}` was killed: its supervisor ended by {how}, detected at {at}{why}\n{where}"
