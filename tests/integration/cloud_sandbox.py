"""A little internet for the cloud's tests: servers on one wire, and phones behind a NAT router.

Runs inside `UNSHARE`: when that ends, by whatever means, the kernel removes all of it.
```
desk1, desk2, soft1 -- site (NAT, 203.0.113.2) -- wire -- dns, sbc (with a media address), pstn
```
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from testbed.nodes import NamespaceNode

UNSHARE = (
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--propagation",
    "private",
)

DNS = "198.18.0.53"
SBC = "198.18.10.10"
MEDIA = "198.18.10.11"
PSTN = "198.18.10.20"
SITE = "203.0.113.2"
SERVERS: Mapping[str, tuple[str, ...]] = {"dns": (DNS,), "sbc": (SBC, MEDIA), "pstn": (PSTN,)}
PHONES: Mapping[str, str] = {"desk1": "10.10.110.11", "desk2": "10.10.110.12", "soft1": "10.10.110.13"}


def build(servers: Mapping[str, tuple[str, ...]] = SERVERS) -> dict[str, SandboxNode]:
    """Make the network; the nodes by name (also `site`)."""
    run("mount -t tmpfs tmpfs /run")
    Path("/run/netns").mkdir()
    run("ip link add wire type bridge", "ip link set wire up", "ip link set lo up")
    for name in (*servers, "site", *PHONES):
        run(f"ip netns add {name}", f"ip -n {name} link set lo up")
    for name, addresses in servers.items():
        connect(name, "wire")
        for address in addresses:
            run(f"ip -n {name} addr add {address}/15 dev eth0")
        run(f"ip -n {name} route add 203.0.113.0/24 dev eth0 src {addresses[0]}")
    connect("site", "wire")
    run(f"ip -n site addr add {SITE}/24 dev eth0", "ip -n site route add 198.18.0.0/15 dev eth0")
    run(
        "ip -n site link add lan type bridge",
        "ip -n site link set lan up",
        "ip -n site addr add 10.10.110.1/24 dev lan",
    )
    for name, address in PHONES.items():
        run(
            f"ip -n site link add p-{name} type veth peer name eth0 netns {name}",
            f"ip -n site link set p-{name} master lan up",
        )
        run(f"ip -n {name} addr add {address}/24 dev eth0", f"ip -n {name} link set eth0 up")
        run(f"ip -n {name} route add default via 10.10.110.1")
    run("ip netns exec site sysctl -qw net.ipv4.ip_forward=1")
    chain = "type nat hook postrouting priority srcnat; oifname eth0 masquerade random;"
    rules = f"table ip nat {{ chain post {{ {chain} }}; }}"
    subprocess.run(["ip", "netns", "exec", "site", "nft", rules], check=True)
    return {name: SandboxNode(name) for name in (*servers, "site", *PHONES)}


def connect(name: str, bridge: str) -> None:
    """Plug a node's `eth0` into a bridge."""
    run(
        f"ip link add w-{name} type veth peer name eth0 netns {name}",
        f"ip link set w-{name} master {bridge} up",
    )
    run(f"ip -n {name} link set eth0 up")


def run(*commands: str) -> None:
    """Run commands, one after the other, each of which has to succeed."""
    for command in commands:
        subprocess.run(command.split(), check=True)


class SandboxNode(NamespaceNode):
    """One device."""

    def __init__(self, name: str) -> None:
        super().__init__(name, Path("/run/netns") / name, (DNS,), Path("/run"))
