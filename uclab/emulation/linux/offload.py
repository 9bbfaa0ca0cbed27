"""Checksum and segmentation offload off, by the ethtool ioctl (linux/ethtool.h): no process a interface.

Two reasons. Open vSwitch's userspace datapath forwards what it reads from a packet socket, and a checksum
left for hardware to fill in would go out wrong, so that TCP fails. And a capture must show the packets that
were on the wire, not 64 KiB super-packets.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

_SIOCETHTOOL = 0x8946
_SET_TX_CHECKSUM, _SET_TSO, _SET_GSO, _SET_GRO = 0x17, 0x1F, 0x24, 0x2C
_GET = {_SET_TX_CHECKSUM: 0x16, _SET_TSO: 0x1E, _SET_GSO: 0x23, _SET_GRO: 0x2B}


def switch_off(sock: socket.socket, interface: str) -> None:
    """No offload on `interface`; `sock` is any AF_INET socket of its namespace."""
    for command in (_SET_TX_CHECKSUM, _SET_TSO, _SET_GSO, _SET_GRO):
        _ethtool(sock, interface, command, 0)


def settings(sock: socket.socket, interface: str) -> dict[int, int]:
    """What of these is on at a network card: by the command that sets it. What its driver does not know is
    left out."""
    found: dict[int, int] = {}
    for command, question in _GET.items():
        with suppress(OSError):
            found[command] = _ethtool(sock, interface, question, 0)
    return found


def apply(sock: socket.socket, interface: str, wanted: Mapping[int, int]) -> None:
    """Set a card's offloads as `settings` gives them; what its driver cannot change stays."""
    for command, value in wanted.items():
        with suppress(OSError):
            _ethtool(sock, interface, command, value)


def _ethtool(sock: socket.socket, interface: str, command: int, value: int) -> int:
    """Carry a command out; the value that the kernel gave back."""
    data = ctypes.create_string_buffer(struct.pack("=II", command, value), 8)
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(data))
    fcntl.ioctl(sock, _SIOCETHTOOL, request)
    return int(struct.unpack("=II", data.raw)[1])
