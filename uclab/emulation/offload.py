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

_SIOCETHTOOL = 0x8946
_SET_TX_CHECKSUM, _SET_TSO, _SET_GSO, _SET_GRO = 0x17, 0x1F, 0x24, 0x2C


def switch_off(sock: socket.socket, interface: str) -> None:
    """No offload on `interface`; `sock` is any AF_INET socket of its namespace."""
    for command in (_SET_TX_CHECKSUM, _SET_TSO, _SET_GSO, _SET_GRO):
        value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
        request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(value))
        fcntl.ioctl(sock, _SIOCETHTOOL, request)
