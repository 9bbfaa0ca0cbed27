# ruff: noqa: N802 (the names are Mininet's)
"""Mininet hosts that cost nothing to make: no shell, no pty, no process until one is asked for.

A `LabHost` is a Mininet `Host` to whoever uses Mininet (`net["desk1"].cmd("ping -c1 ...")`, `popen`, `IP()`)
and a `NodeRuntime` to cloud core and endpoints.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import shlex
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mininet.node import Host

from uclab.emulation.linux import netns, sandbox
from uclab.emulation.linux.netns import NETNS_DIR, Namespace
from uclab.plan.schema.plan import Node
from uclab.runtime.node import NotReady, ProgramRoot


class ShelllessNode:
    """What hosts and switches share: commands are processes started straight in the namespace."""

    name: str
    namespace: Namespace | None
    """None until the network is up."""

    @classmethod
    def checkSetup(cls) -> None:
        """Mininet looks for ifconfig and mnexec here; neither is used."""

    def startShell(self, mnopts: str | None = None) -> None:
        """No shell."""

    def mountPrivateDirs(self) -> None:
        """No private directories: programs are confined by `spawn`."""

    def terminate(self) -> None:
        """Nothing to end: the namespace goes with the network."""

    def live_namespace(self) -> Namespace:
        """The namespace; RuntimeError while the network is not up."""
        if self.namespace is None:
            raise RuntimeError(f"{self.name} is not up yet: start the network first")
        return self.namespace

    def popen(self, *args: Any, **kwargs: Any) -> subprocess.Popen[Any]:
        """A `Popen` in the namespace, with Mininet's argument forms: a list, a string, or several strings."""
        argv = _argv(args, shell=bool(kwargs.pop("shell", False)))
        kwargs.pop("mncmd", None)
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        with netns.entered(self.live_namespace()):
            return subprocess.Popen(argv, **kwargs)

    def cmd(self, *args: Any, **kwargs: Any) -> str:
        """Output of a command; a single string may use shell syntax, as in Mininet. Blocks until it ends."""
        arguments = list(args[0]) if len(args) == 1 and isinstance(args[0], list) else list(args)
        text = " ".join(str(word) for word in arguments)
        process = self.popen(
            ["sh", "-c", text], stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
        )
        output: str = process.communicate()[0]
        if kwargs.get("verbose"):
            print(output, end="")
        return output


def _argv(args: Sequence[Any], *, shell: bool) -> list[str]:
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        arguments = [str(word) for word in args[0]]
    elif len(args) == 1:
        arguments = [str(args[0])] if shell else shlex.split(str(args[0]))
    else:
        arguments = [str(word) for word in args]
    return ["sh", "-c", " ".join(arguments)] if shell else arguments


class SandboxedProcess(asyncio.subprocess.Process):
    """A program behind bubblewrap. Signals go to the program itself, since bubblewrap does not pass them
    on."""

    def attach(self, program_pid: int) -> None:
        """From now on `pid` and signals mean the program."""
        self.pid = program_pid

    def send_signal(self, signal: int) -> None:
        """Send a signal to the program unless it has ended (bubblewrap, its parent, ends with it and has its
        exit status)."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(15)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(9)


class LabHost(ShelllessNode, Host):
    """A device with a network namespace of its own."""

    def __init__(self, name: str, plan: Node | None = None, **params: Any) -> None:
        self.namespace = None
        self.plan = plan
        self.files_dir: Path | None = None
        """Where the device's own resolv.conf and hosts are, once the network is up."""
        super().__init__(name, **params)

    @property
    def namespace_path(self) -> Path:
        """Path that names the network namespace inside the lab's mount namespace."""
        return NETNS_DIR / self.name

    @property
    def nameservers(self) -> tuple[str, ...]:
        """DNS servers of the node."""
        return self.plan.nameservers if self.plan else ()

    def config(self, mac: str | None = None, ip: str | None = None, **_params: Any) -> dict[str, Any]:
        """Keep address and MAC for the interface; they are set together when the network comes up."""
        results: dict[str, Any] = {}
        self.setParam(results, "setMAC", mac=mac)
        self.setParam(results, "setIP", ip=ip)
        return results

    def write_files(self, folder: Path) -> None:
        """Write the device's own resolv.conf and hosts."""
        folder.mkdir(parents=True, exist_ok=True)
        resolv = (
            "".join(f"nameserver {server}\n" for server in self.nameservers)
            + "options timeout:2 attempts:2\n"
        )
        (folder / "resolv.conf").write_text(resolv)
        (folder / "hosts").write_text(f"127.0.0.1 localhost {self.name}\n")
        self.files_dir = folder

    @property
    def files(self) -> dict[str, Path]:
        """The device's own files, by where its programs look for them."""
        own = sorted(self.files_dir.iterdir()) if self.files_dir else []
        return {f"/etc/{path.name}": path for path in own}

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
        capabilities: Sequence[str] = (),
        devices: Sequence[str] = (),
    ) -> asyncio.subprocess.Process:
        """Start a program in the node; see `NodeRuntime.spawn`. The returned process's `pid` is the program's
        own.

        It has no capabilities but those asked for. Ports below 1024 and ping need none (see
        `sysctl.NODE_DEFAULTS`).
        """
        self.live_namespace()
        sandbox.locate(argv[0], root)
        confined = sandbox.Sandbox(
            root, self.files, readable or {}, writable or {}, env or {}, capabilities, devices
        )
        reader, writer = os.pipe()
        try:
            try:
                command = [
                    "nsenter",
                    f"--net={self.namespace_path}",
                    "--",
                    *sandbox.command(confined, argv, writer),
                ]
                process = await self._start(command, log, stdin, writer)
            finally:
                os.close(writer)
            info = await _read_all(reader)
        finally:
            os.close(reader)
        if not info:
            code = await process.wait()
            raise NotReady(f"{self.name}: cannot start {name} (bubblewrap: exit status {code}): {_tail(log)}")
        process.attach(int(json.loads(info)["child-pid"]))
        return process

    async def _start(
        self, command: Sequence[str], log: Path, stdin: int | None, info_fd: int
    ) -> SandboxedProcess:
        log.parent.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        with log.open("ab") as output:
            transport, protocol = await loop.subprocess_exec(
                lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=1 << 16, loop=loop),
                *command,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(info_fd,),
                start_new_session=True,
            )
        return SandboxedProcess(transport, protocol, loop)

    async def connect_tcp(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection opened inside the node's namespace. `host` is a numeric address: names are the
        node's business."""
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        sock = self.live_namespace().socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
            return await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise


async def _read_all(descriptor: int) -> bytes:
    """Everything from a pipe until its other end is closed, without blocking the event loop."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(os.dup(descriptor), "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        return await reader.read()
    finally:
        transport.close()


def _tail(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").splitlines()[-3:])
