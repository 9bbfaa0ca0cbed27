"""A small network of its own for the endpoints' tests: a bridge, a DNS server, and one namespace a device.

Nothing of the host's network is touched: every namespace is held by a process that dies with the test's
process, and interfaces are created inside these namespaces only.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from testbed.nodes import NamespaceNode
from uclab.runtime.readiness import wait_until

DNS_ADDRESS = "10.99.0.254"


async def _run(*argv: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {output.decode(errors='replace')}")
    return output.decode(errors="replace")


class SandboxNode(NamespaceNode):
    """One device of the sandbox, whose namespace a process holds."""

    def __init__(self, name: str, address: str, holder: asyncio.subprocess.Process, folder: Path) -> None:
        super().__init__(name, Path(f"/proc/{holder.pid}/ns/net"), (DNS_ADDRESS,), folder)
        self.address = address

    async def command(self, *argv: str) -> str:
        """Run one of the host's network tools inside the node and return what it printed."""
        return await _run("nsenter", f"--net={self.namespace_path}", *argv)


class Sandbox:
    """`async with Sandbox(folder, hosts) as sandbox: phone = await sandbox.node("desk1", "10.99.0.11")`."""

    def __init__(self, folder: Path, names: Mapping[str, str]) -> None:
        self._folder = folder
        self._names = dict(names)
        self._holders: list[asyncio.subprocess.Process] = []
        self.nodes: list[SandboxNode] = []
        self._lan: SandboxNode | None = None

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lan = await self._hold("lan", DNS_ADDRESS)
        await self._lan.command("ip", "link", "add", "br0", "type", "bridge")
        await self._lan.command("ip", "addr", "add", f"{DNS_ADDRESS}/24", "dev", "br0")
        await self._lan.command("ip", "link", "set", "br0", "up")
        await self._start_dns()
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in self.nodes:
            for process in node.processes:
                if process.returncode is None:
                    process.kill()
                await process.wait()
        for holder in self._holders:
            holder.kill()
            await holder.wait()

    async def _hold(self, name: str, address: str) -> SandboxNode:
        holder = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"),
            stdin=asyncio.subprocess.DEVNULL,
        )
        self._holders.append(holder)
        node = SandboxNode(name, address, holder, self._folder)
        self.nodes.append(node)
        host = os.readlink("/proc/self/ns/net")

        async def own_namespace() -> bool | None:
            return True if os.readlink(node.namespace_path) != host else None

        await wait_until(own_namespace, what=f"namespace of {name}", deadline_s=5)
        await node.command("ip", "link", "set", "lo", "up")
        return node

    async def _start_dns(self) -> None:
        assert self._lan is not None
        records = [f"--host-record={name},{address}" for name, address in self._names.items()]
        await self._lan.spawn(
            [
                *("/usr/sbin/dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--user=root"),
                *(f"--listen-address={DNS_ADDRESS}", "--local=/test/", "--log-facility=-", "--pid-file="),
                *records,
            ],
            name="dns",
            log=self._folder / "dns.log",
        )
        lan = self._lan

        async def listening() -> bool | None:
            _, writer = await lan.connect_tcp(DNS_ADDRESS, 53)
            writer.close()
            return True

        await wait_until(listening, what="DNS server", deadline_s=5)

    async def node(self, name: str, address: str) -> SandboxNode:
        """A device of that address on the sandbox's bridge."""
        assert self._lan is not None
        node = await self._hold(name, address)
        pid = node.namespace_path.parts[2]
        await self._lan.command(
            *(
                "ip",
                "link",
                "add",
                f"p{len(self.nodes)}",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                pid,
            )
        )
        await self._lan.command("ip", "link", "set", f"p{len(self.nodes)}", "master", "br0", "up")
        await node.command("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        await node.command("ip", "link", "set", "eth0", "up")
        return node
