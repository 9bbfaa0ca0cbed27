"""The kernel's watch over a process's own connections: TCP keep-alive and time limits (tcp(7), RFC 9293
section 3.8.4), for which PJSIP 2.15.1 has no settings."""

from __future__ import annotations

import contextlib
import os
import socket
import stat

_ESTABLISHED, _SYN_SENT = 1, 2
"""States of `struct tcp_info`."""
_LOOPBACK = "127."


def watch(idle_s: int, probe_s: int, lost_s: int) -> int:
    """Have the kernel ask after `idle_s` of silence, again every `probe_s`, and give a connection up after
    `lost_s`: also one that is still being opened, or on which something sent is not acknowledged.

    For all outside connections that the process has now; how many there are. Cheap enough to be called
    often.
    """
    watched = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.stat(f"/proc/self/fd/{name}").st_mode):
                continue
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as one:
            if one.family != socket.AF_INET or one.type != socket.SOCK_STREAM:
                continue
            state = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            if state not in (_ESTABLISHED, _SYN_SENT) or one.getsockname()[0].startswith(_LOOPBACK):
                continue
            watched += 1
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
                continue  # once only: the kernel's clock would start again each time
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle_s)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, probe_s)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, lost_s * 1000)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return watched
