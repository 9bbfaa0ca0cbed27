"""Two machines, as namespaces of this one: network, mounts and processes of their own, and two cables.

```
one eth0 ------------------------------ eth0 two        the machines' ordinary network
one eth1 --- bridge of a third machine --- eth1 two     the cable into the lab
```
The bridge stands for what is between two network cards: whatever becomes of one machine, the card of the
other stays.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uclab.runtime.readiness import block_until

ADDRESSES = {"one": "192.168.56.10", "two": "192.168.56.11"}


@dataclass
class Machine:
    """A machine: it lives as long as its first process."""

    name: str
    process: subprocess.Popen[bytes]

    @property
    def init(self) -> int:
        """Process id, seen from here, of its first process: the child of `unshare`."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return block_until(
            lambda: int(children.read_text().split()[0]) if children.read_text().split() else None,
            what=f"machine {self.name}",
            deadline_s=10,
        )

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` there."""
        return ["nsenter", f"--target={self.init}", "--net", "--mount", "--pid", "--", *argv]

    def in_network(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` at its network alone: so that who starts it can signal it."""
        return ["nsenter", f"--target={self.init}", "--net", "--", *argv]

    def run(self, *argv: str) -> str:
        """Output of a command that has to succeed there."""
        return subprocess.run(self.command(argv), check=True, capture_output=True, text=True).stdout

    def interface(self, name: str) -> dict[str, Any]:
        """What `ip` knows of a network interface."""
        return dict(json.loads(self.run("ip", "-json", "address", "show", name))[0])

    def off(self) -> None:
        """Pull the plug: every process there is killed."""
        os.kill(self.init, 9)
        self.process.wait()


def switch_on(name: str) -> Machine:
    """A machine without cables."""
    words = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    machine = Machine(name, subprocess.Popen([*words, "sleep", "infinity"], start_new_session=True))
    machine.run("ip", "link", "set", "lo", "up")
    return machine


def lay_cables(one: Machine, two: Machine, between: Machine) -> None:
    """Both cables, and the addresses of the ordinary network."""
    _cable(one, "eth0", two, "eth0")
    for machine in (one, two):
        machine.run("ip", "address", "add", f"{ADDRESSES[machine.name]}/24", "dev", "eth0")
    between.run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")
    between.run("ip", "link", "add", "bridge", "up", "type", "bridge")
    for machine in (one, two):
        _cable(machine, "eth1", between, machine.name)
        between.run("ip", "link", "set", machine.name, "master", "bridge")


def _cable(a: Machine, at_a: str, b: Machine, at_b: str) -> None:
    pair = ["ip", "link", "add", at_a, "type", "veth", "peer", "name", at_b, "netns", str(b.init)]
    subprocess.run(a.in_network(pair), check=True)
    for machine, end in ((a, at_a), (b, at_b)):
        machine.run("ip", "link", "set", end, "up")
