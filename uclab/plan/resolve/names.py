"""Names, MAC addresses and secrets that are made from the topology: the same topology always gives the same
ones."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

KERNEL_NAME_MAX = 15
"""Longest network interface name (IFNAMSIZ of Linux is 16 with the closing zero)."""


def digest(*parts: str, size: int) -> bytes:
    """`size` bytes that depend on nothing but `parts`."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=size).digest()


def mac_address(topology: str, device: str, interface: str) -> str:
    """A locally administered unicast MAC address (IEEE 802 section 8.4), stable when other devices come and
    go."""
    return "02:" + ":".join(f"{octet:02x}" for octet in digest("mac", topology, device, interface, size=5))


def password(topology: str, user: str) -> str:
    """A subscriber's lab password: not secret, but different for each account."""
    return digest("password", topology, user, size=12).hex()


def port_interface(switch: str, dpid: int, number: int) -> str:
    """Kernel name of a switch port, e.g. `acc1-p3`. A long switch name gives way to its datapath id
    (`S12-p3`)."""
    name = f"{switch}-p{number}"
    return name if len(name) <= KERNEL_NAME_MAX else f"S{dpid}-p{number}"


def free_name(wanted: str, taken: Collection[str], longest: int = KERNEL_NAME_MAX) -> str:
    """`wanted`, or, where that is taken, `wanted` with the lowest number from 2 behind it; at most
    `longest` characters."""
    name, number = wanted[:longest], 2
    while name in taken:
        tail = f"-{number}"
        name, number = wanted[: longest - len(tail)] + tail, number + 1
    return name


def link_name(a: str, b: str, taken: Collection[str]) -> str:
    """A cable's name, `acc1-dist1`; parallel cables are numbered."""
    return free_name(f"{a}-{b}", taken, longest=63)
