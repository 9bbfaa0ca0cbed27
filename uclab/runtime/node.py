"""What a service or an endpoint may ask of the device it runs on.

The emulation implements `NodeRuntime`; cloud core and endpoints use it and know nothing of namespaces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

ProgramRoot = Literal["device", "host"]
"""Where a program comes from: the device image (Debian stable, the same on every host) or the host itself."""


class NodeRuntime(Protocol):
    """One running device."""

    @property
    def name(self) -> str:
        """Name of the node in the plan."""

    @property
    def namespace_path(self) -> Path:
        """Path that names the network namespace (`/run/netns/...` inside the lab's mount namespace)."""

    @property
    def nameservers(self) -> tuple[str, ...]:
        """DNS servers of the node; `resolv.conf` inside it names them."""

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        name: str,
        log: Path,
        root: ProgramRoot = "device",
        writable: Mapping[str, Path] | None = None,
        readable: Mapping[str, Path] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
    ) -> asyncio.subprocess.Process:
        """Start a program in the node and return its process; stdout and stderr go to `log`.

        `writable`/`readable` map paths inside to folders or files outside. No shell, no pty. Raises
        `FileNotFoundError` where the program is not in that root. The lab watches the process: one that
        ends unasked is reported by `name`.
        """

    async def connect_tcp(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection opened inside the node's namespace, e.g. to a phone's control port on its
        127.0.0.1."""


class NotReady(Exception):
    """Something did not become ready in time; the message says what was waited for and what was last seen."""
