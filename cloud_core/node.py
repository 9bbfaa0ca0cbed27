"""A node whose programs run in containers: an endpoint's driver works unchanged on the cloud's side."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloud_core.containers import SERVICE_ID, ContainerSpec, Mount, Podman
from uclab.runtime.node import NodeRuntime, ProgramRoot


class ContainerRuntime:
    """`NodeRuntime` of a node in the cloud: same namespace, but its programs run in containers."""

    def __init__(self, node: NodeRuntime, podman: Podman, image: str) -> None:
        """Programs spawned here run from `image` in the namespace of `node`."""
        self._node = node
        self._podman = podman
        self._image = image
        self._numbers = itertools.count(1)

    @property
    def name(self) -> str:
        """Name of the node in the plan."""
        return self._node.name

    @property
    def namespace_path(self) -> Path:
        """The node's network namespace."""
        return self._node.namespace_path

    @property
    def nameservers(self) -> tuple[str, ...]:
        """DNS servers of the node."""
        return self._node.nameservers

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
        """Start a program in a container of its own; what is `writable` becomes the service user's.

        The process returned is podman's: SIGTERM and SIGINT reach the program, whose status it ends with.
        """
        if root != "device" or stdin is not None:
            raise ValueError(f"{self.name}: containers run programs of their image only, without input")
        for folder in (writable or {}).values():
            give_to_service(folder)
        spec = ContainerSpec(
            name=f"{self.name}-{next(self._numbers)}",
            image=self._image,
            entrypoint=argv[0],
            arguments=tuple(argv[1:]),
            namespace=self.namespace_path,
            log=log,
            mounts=(
                *(Mount(source, target, writable=True) for target, source in (writable or {}).items()),
                *(Mount(source, target) for target, source in (readable or {}).items()),
            ),
            environment=tuple((env or {}).items()),
            nameservers=self.nameservers,
        )
        container = await self._podman.run(spec)
        return container.process

    async def connect_tcp(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection opened inside the node's namespace."""
        return await self._node.connect_tcp(host, port)


def give_to_service(path: Path) -> None:
    """Make `path` and all below it the service user's."""
    os.chown(path, SERVICE_ID, SERVICE_ID)
    if path.is_dir():
        for below in path.rglob("*"):
            os.chown(below, SERVICE_ID, SERVICE_ID, follow_symlinks=False)
