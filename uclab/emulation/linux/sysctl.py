"""Kernel settings of a network namespace, written to /proc/sys/net without a process.

`/proc/sys/net` shows the namespace of the thread that opens the file, so the caller must be inside
(`netns.entered`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

WITHOUT_IPV6: tuple[tuple[str, str], ...] = (("net.ipv6.conf.all.disable_ipv6", "1"),)
"""No IPv6 chatter (neighbour discovery, MLD) in labs that plan IPv4. Writing `all` also sets `default`
(net/ipv6/addrconf.c)."""

NODE_DEFAULTS: tuple[tuple[str, str], ...] = (
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv4.ping_group_range", "0 2147483647"),
)
"""Servers bind port 53 or 443, and ping works, without any capability."""

FORWARDING: tuple[tuple[str, str], ...] = (
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.send_redirects", "0"),
    ("net.ipv4.conf.all.ignore_routes_with_linkdown", "1"),
)
"""A router; no ICMP redirects, since phones of one VLAN that talk through the cloud must not be told a
shorter way. A route whose interface has lost carrier is none, as on real routers; Linux would go on using
it."""


class SysctlError(OSError):
    """A kernel setting could not be written; the message names it and its value."""


def early(*settings: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """What must stand in a namespace before its first interface comes; a kernel without IPv6 needs less."""
    return (*(WITHOUT_IPV6 if Path("/proc/sys/net/ipv6").is_dir() else ()), *settings)


def write(settings: Iterable[tuple[str, str]], where: str) -> None:
    """Set each (`net.ipv4.ip_forward`, `1`) in the calling thread's namespace; `where` names it in errors."""
    for name, value in settings:
        try:
            descriptor = os.open("/proc/sys/" + name.replace(".", "/"), os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, value.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise SysctlError(
                error.errno, f"{where}: cannot set {name} to {value}: {error.strerror}"
            ) from error
