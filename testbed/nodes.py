"""Stand-ins for a lab's devices, `uclab.runtime.node.NodeRuntime` each: one whose programs run in a namespace
that the test made, one that has no namespace at all and answers from functions of the test."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from uclab.doctor import DEVICE_ROOT
from uclab.runtime.node import ProgramRoot

_CLONE_NEWNET = 0x40000000

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class FakeNode:
    """A node of which no part is real: what listens on it are functions, from what is asked to the answer."""

    nameservers = ("198.18.0.53",)

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespace_path = Path("/run/netns") / name
        self.handlers: dict[tuple[str, int], Callable[[bytes], bytes]] = {}
        self.questions: list[tuple[str, int]] = []
        self._servers: list[asyncio.Server] = []

    async def spawn(self, *_: object, **__: object) -> asyncio.subprocess.Process:
        raise AssertionError("the cloud's programs run in containers")

    async def connect_tcp(self, host: str, port: int) -> Streams:
        self.questions.append((host, port))
        handler = self.handlers.get((host, port))
        if handler is None:
            raise ConnectionRefusedError(111, "Connection refused")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(handler(await reader.read(4096)))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._servers.append(server)
        return await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End what answers."""
        for server in self._servers:
            server.close()


class NamespaceNode:
    """A device in a network namespace that a test made; `folder` takes its `resolv.conf`."""

    def __init__(self, name: str, namespace_path: Path, nameservers: tuple[str, ...], folder: Path) -> None:
        self.name = name
        self.namespace_path = namespace_path
        self.nameservers = nameservers
        self.processes: list[asyncio.subprocess.Process] = []
        self._folder = folder

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
        inside = self._bubble(writable or {}, readable or {}) if root == "device" else []
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={self.namespace_path}"),
                *inside,
                *argv,
                stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {})},
            )
        self.processes.append(process)
        return process

    def _bubble(self, writable: Mapping[str, Path], readable: Mapping[str, Path]) -> list[str]:
        """The command that gives a program the device image as its root."""
        resolv = self._folder / f"resolv-{self.name}.conf"
        resolv.write_text("".join(f"nameserver {server}\n" for server in self.nameservers))
        return [
            # a program that changes its user, as dnsmasq does, forgets that it is to die with its parent
            *(
                "bwrap",
                "--die-with-parent",
                "--unshare-pid",
                "--ro-bind",
                str(DEVICE_ROOT),
                "/",
                "--dev",
                "/dev",
            ),
            *("--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run"),
            *("--ro-bind", str(resolv), "/etc/resolv.conf"),
            *(word for path, source in writable.items() for word in ("--bind", str(source), path)),
            *(word for path, source in readable.items() for word in ("--ro-bind", str(source), path)),
        ]

    async def connect_tcp(self, host: str, port: int) -> Streams:
        opened = await asyncio.to_thread(
            self.opened, lambda: socket.create_connection((host, port), timeout=5)
        )
        opened.setblocking(False)
        return await asyncio.open_connection(sock=opened)

    def udp_socket(self) -> socket.socket:
        """A UDP socket in the node."""
        return self.opened(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def opened(self, open_socket: Callable[[], socket.socket]) -> socket.socket:
        """The socket that `open_socket` makes, belonging to the node (setns(2), in a thread of its own)."""
        outcome: list[socket.socket | OSError] = []

        def enter_and_open() -> None:
            descriptor = os.open(self.namespace_path, os.O_RDONLY)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
                outcome.append(open_socket())
            except OSError as error:
                outcome.append(error)
            finally:
                os.close(descriptor)

        thread = threading.Thread(target=enter_and_open)
        thread.start()
        thread.join()
        if isinstance(outcome[0], OSError):
            raise outcome[0]
        return outcome[0]
