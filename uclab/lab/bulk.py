"""Bulk traffic that overloads a line: iperf3 between a PC and a public server, marked EF on purpose upwards
(an untrusted device's lie)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from uclab.plan.schema.plan import BulkTraffic
from uclab.runtime.node import NodeRuntime, NotReady
from uclab.runtime.readiness import wait_until

LONGEST_S = 3600
FORGED_TOS = 184
"""EF: what an application marks itself must not be believed (trust boundary). Only upwards: what comes from
the internet is the
provider's to mark."""
READY_S = 15.0


class BulkSource:
    """All bulk traffic of a plan; each flow has a server port of its own."""

    def __init__(
        self, flows: Sequence[BulkTraffic], runtimes: Mapping[str, NodeRuntime], folder: Path
    ) -> None:
        self._flows = flows
        self._runtimes = runtimes
        self._folder = folder
        self._servers: list[asyncio.subprocess.Process] = []
        self._clients: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """Start every flow; returns when each client has connected and sends. Raises `NotReady`."""
        if self._clients:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        await asyncio.gather(*(self._start(flow) for flow in self._flows))

    async def stop(self) -> None:
        """End every flow."""
        for process in (*self._clients, *self._servers):
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
        await asyncio.gather(*(process.wait() for process in (*self._clients, *self._servers)))
        self._clients, self._servers = [], []

    async def _start(self, flow: BulkTraffic) -> None:
        server_log = self._folder / f"{flow.name}-server.log"
        client_log = self._folder / f"{flow.name}-client.log"
        for log in (server_log, client_log):
            log.write_bytes(b"")
        server = await self._runtimes[flow.target_node].spawn(
            ["iperf3", "-s", "-1", "-B", flow.target_address, "-p", str(flow.port), "--forceflush"],
            name=f"{flow.name}-server",
            log=server_log,
        )
        self._servers.append(server)
        await said(server_log, "Server listening", flow.name, server)
        client = await self._runtimes[flow.source_node].spawn(
            [
                *(
                    "iperf3",
                    "-c",
                    flow.target_address,
                    "-p",
                    str(flow.port),
                    "-u",
                    "-b",
                    f"{flow.rate_kbps}k",
                    "-l",
                    "1200",
                ),
                *("-t", str(LONGEST_S), "-i", "1", "--forceflush"),
                *(["-R"] if flow.direction == "down" else ["-S", str(FORGED_TOS)]),
            ],
            name=f"{flow.name}-client",
            log=client_log,
        )
        self._clients.append(client)
        await said(client_log, "sec", flow.name, client)


def log_text(log: Path) -> str:
    """What a program has printed so far; logs are short and local."""
    return log.read_text(errors="replace")


async def said(log: Path, wanted: str, flow: str, process: asyncio.subprocess.Process) -> None:
    """Wait until iperf3 has printed what is `wanted`. Raises `NotReady` with what it said instead."""

    async def look() -> bool | None:
        text = log_text(log)
        if process.returncode is not None:
            raise NotReady(
                f"bulk traffic `{flow}`: iperf3 ended with status {process.returncode}: {text.strip()[-200:]}"
            )
        return True if wanted in text else None

    await wait_until(
        look, what=f"bulk traffic `{flow}`: iperf3 to say `{wanted}`", deadline_s=READY_S, every_s=0.05
    )
