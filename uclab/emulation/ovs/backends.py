"""Which variant of what a machine may lack the lab runs on (`uclab doctor` prints it, the record of a run
says it)."""

from __future__ import annotations

import socket
import struct
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from uclab.emulation.linux import netns
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.ovs.vswitchd import Datapath

ImpairmentKind = Literal["netem", "userspace"]


@dataclass(frozen=True)
class Variants:
    """What stands in for what: the switch datapath, and what delays, jitters and loses packets on a line."""

    datapath: Datapath
    impairment: ImpairmentKind

    def as_record(self) -> dict[str, str]:
        """For `host.json`."""
        return asdict(self)


def detect() -> Variants:
    """Try the kernel's own means; where there are none, the userspace ones."""
    return Variants(
        datapath="kernel" if has_kernel_datapath() else "userspace",
        impairment="netem" if has_netem() else "userspace",
    )


def has_kernel_datapath() -> bool:
    """True when the openvswitch module is there (loading it if need be): its generic netlink family
    answers."""
    if not _family_exists("ovs_datapath"):
        _modprobe("openvswitch")
    return _family_exists("ovs_datapath")


def has_netem() -> bool:
    """True when a netem queue can be put on an interface; tried in a throw-away namespace."""
    probe = netns.anonymous("netem-probe")
    try:
        return _netem_works(probe) or (_modprobe("sch_netem") and _netem_works(probe))
    finally:
        netns.let_go(probe)


def _netem_works(probe: Namespace) -> bool:
    with netns.entered(probe):
        command = ["tc", "qdisc", "replace", "dev", "lo", "root", "netem", "delay", "1ms"]
        return subprocess.run(command, capture_output=True).returncode == 0


def _modprobe(module: str) -> bool:
    if not Path("/sbin/modprobe").exists():
        return False
    return subprocess.run(["/sbin/modprobe", "-q", module], capture_output=True).returncode == 0


def _family_exists(name: str) -> bool:
    """Ask the generic netlink controller for a family (CTRL_CMD_GETFAMILY, linux/genetlink.h)."""
    netlink_generic, controller, get_family, attr_family_name = 16, 16, 3, 2
    padded = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(padded), attr_family_name) + padded + b"\0" * (-len(padded) % 4)
    body = struct.pack("=BBxx", get_family, 1) + attribute
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink_generic) as sock:
        sock.settimeout(2.0)
        sock.send(struct.pack("=IHHII", 16 + len(body), controller, 1, 1, 0) + body)
        _, kind, _, _, _ = struct.unpack_from("=IHHII", sock.recv(1 << 14))
    return bool(kind == controller)
