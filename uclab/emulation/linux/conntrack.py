"""A device's table of connections, emptied as by a restart (one message to ctnetlink, no program)."""

from __future__ import annotations

import os
import socket
import struct

from uclab.emulation.linux.netns import Namespace

_NETLINK_NETFILTER = 12
_CT_DELETE = 1 << 8 | 2
"""NFNL_SUBSYS_CTNETLINK and IPCTNL_MSG_CT_DELETE (linux/netfilter/nfnetlink*.h); without a filter: all."""
_REQUEST_ACK = 0x1 | 0x4


def forget_connections(namespace: Namespace) -> None:
    """Forget all tracked connections, translations with them. OSError where the kernel refuses."""
    with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
        sock.send(delete_all())
        code = -struct.unpack_from("=i", sock.recv(4096), 16)[0]
    if code:
        raise OSError(code, f"{namespace.name}: cannot forget connections: {os.strerror(code)}")


def delete_all() -> bytes:
    """The message: netlink header and nfgenmsg of IPv4 (pure)."""
    body = struct.pack("=BBH", socket.AF_INET, 0, 0)
    return struct.pack("=IHHII", 16 + len(body), _CT_DELETE, _REQUEST_ACK, 1, 0) + body
