"""What the cloud's tests see from outside: packets at the session controller, processes in the kernel."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, Self

from uclab.runtime.readiness import wait_until


class Capture:
    """dumpcap in a node."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, node: str, path: Path) -> Self:
        """Capture everything on the node's interfaces to `path`; returns when it does."""
        messages = path.with_suffix(".log")
        with messages.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *("ip", "netns", "exec", node, "dumpcap", "-q", "-i", "eth0", "-i", "lo", "-w", str(path)),
                stdout=log,
                stderr=log,
            )

        async def capturing() -> bool | None:
            return True if "File:" in messages.read_text() else None

        await wait_until(capturing, what="capture", deadline_s=10)
        return cls(process)

    async def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        await self._process.wait()


def process_facts() -> list[dict[str, Any]]:
    """Every process of the PID namespace: command, user, rights, cgroup, memory."""
    facts = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        folder = Path("/proc") / entry
        status = dict(
            line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line
        )
        if "VmRSS" not in status:
            continue
        facts.append(
            {
                "command": (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip(),
                "uid": int(status["Uid"].split()[0]),
                "capabilities": int(status["CapEff"], 16),
                "no_new_privileges": status["NoNewPrivs"].strip() == "1",
                "cgroup": (folder / "cgroup").read_text(),
                "rss_kb": int(status["VmRSS"].split()[0]),
            }
        )
    return facts
