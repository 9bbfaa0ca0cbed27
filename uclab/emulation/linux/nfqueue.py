"""The kernel's packet queue (NFQUEUE), spoken directly: which packet arrived, and later the verdict on it.

Messages are those of linux/netfilter/nfnetlink_queue.h. Only the packet's number is copied, never the packet
(NFQNL_COPY_META), so a decision costs two small messages.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

_NETLINK_NETFILTER = 12
_SUBSYSTEM = 3 << 8
_PACKET, _VERDICT, _CONFIG = _SUBSYSTEM | 0, _SUBSYSTEM | 1, _SUBSYSTEM | 2
_REQUEST, _ACK, _ERROR = 1, 4, 2
_CFG_CMD, _CFG_PARAMS, _CFG_MAXLEN, _CMD_BIND, _COPY_META = 1, 2, 3, 1, 1
_PACKET_HEADER, _VERDICT_HEADER, _TIMESTAMP = 1, 2, 4
_RECEIVE_BUFFER = 16 << 20
"""Bytes. A message takes about 1 KiB of it; what does not fit is lost by the kernel, so it must not be
small."""
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35

_verdict = struct.Struct("=IHHIIBB").pack
_attribute_head = struct.Struct("=HH").unpack_from
_stamp = struct.Struct(">QQ").unpack_from


class Verdict(IntEnum):
    """What becomes of a packet."""

    DROP = 0
    ACCEPT = 1


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet that waits for its verdict."""

    queue: int
    packet: int
    """The kernel's number of it, within the queue."""
    arrived_ns: int | None
    """When it arrived at its interface, on the real-time clock, to the microsecond; None where the kernel
    does not say."""


class PacketQueues:
    """All queues that one process serves, on one netlink socket of the calling thread's namespace."""

    def __init__(self, queues: Sequence[tuple[int, int]]) -> None:
        """`queues` are (number, most packets the kernel may hold). Raises OSError where one cannot be had."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        self._socket.bind((0, 0))
        for number, limit in queues:
            self._configure(number, _CFG_CMD, struct.pack(">BxH", _CMD_BIND, 0))
            self._configure(number, _CFG_PARAMS, struct.pack(">IB", 0, _COPY_META))
            self._configure(number, _CFG_MAXLEN, struct.pack(">I", limit))
        # the kernel stamps arriving packets only while somebody wants to know (net_enable_timestamp)
        self._stamps = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stamps.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.overflows = 0
        """Times that the receive buffer was full and the kernel lost packets."""

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def arrivals(self) -> list[Arrival]:
        """All packets that wait to be seen; never blocks."""
        found: list[Arrival] = []
        while True:
            try:
                data = self._socket.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overflows += 1
                continue
            found += _packets(data)

    def decide(self, queue: int, packet: int, verdict: Verdict) -> None:
        """Give the verdict; an accepted packet goes on its way inside this call."""
        self._socket.send(
            _verdict(32, _VERDICT, _REQUEST, 0, 0, 0, 0)
            + struct.pack(">H", queue)
            + struct.pack("=HH", 12, _VERDICT_HEADER)
            + struct.pack(">II", verdict, packet)
        )

    def _configure(self, queue: int, kind: int, payload: bytes) -> None:
        attribute = struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)
        body = struct.pack("=BB", 0, 0) + struct.pack(">H", queue) + attribute
        self._socket.send(struct.pack("=IHHII", 16 + len(body), _CONFIG, _REQUEST | _ACK, 1, 0) + body)
        while True:
            data = self._socket.recv(1 << 16)
            _, message, _, _, _, code = struct.unpack_from("=IHHIIi", data)
            if message == _ERROR:
                if code:
                    raise OSError(-code, f"packet queue {queue}: {os.strerror(-code)}")
                return


def _packets(data: bytes) -> list[Arrival]:
    """The packets in a buffer of netlink messages (pure). The packet header is always the first attribute."""
    found: list[Arrival] = []
    offset = 0
    while offset + 32 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if kind == _PACKET:
            (queue,) = struct.unpack_from(">H", data, offset + 18)
            (packet,) = struct.unpack_from(">I", data, offset + 24)
            found.append(Arrival(queue, packet, _arrived_ns(data, offset + 20, offset + length)))
        offset += (length + 3) & ~3
    return found


def _arrived_ns(data: bytes, offset: int, end: int) -> int | None:
    while offset + 4 <= end:
        length, kind = _attribute_head(data, offset)
        if kind & 0x3FFF == _TIMESTAMP:
            seconds, micros = _stamp(data, offset + 4)
            return int(seconds * 1_000_000_000 + micros * 1000)
        if length < 4:
            break
        offset += (length + 3) & ~3
    return None
