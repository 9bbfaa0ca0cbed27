"""The air between an access point and its stations: a process that passes their frames as a channel does.

Neither netem nor HTB knows a channel that several senders share, so there is one variant for all kernels.
`uclab.emulation.wifi.radio` starts one in the namespace of each `RadioChannel`. Run as
`python -m uclab.emulation.wifi.air`, order on stdin.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from uclab.emulation.link.delay_line import raise_priority
from uclab.emulation.wifi.edca_channel import Medium, Sent
from uclab.plan.schema.codec import from_data
from uclab.plan.schema.plan import RadioChannel

_ETH_P_ALL, _SOL_PACKET = 3, 263
_AUXDATA, _IGNORE_OUTGOING = 8, 23
"""Socket options of packet(7): what the kernel knows of a frame beside it; none that we send ourselves."""
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35
_RECEIVE_BUFFER = 4 << 20
_VLAN_VALID = 1 << 4
_AUX = struct.Struct("=IIIHHHH")
"""struct tpacket_auxdata: status, two lengths, two offsets, tag control information, tag protocol."""
_STAMP = struct.Struct("=qq")
_LONGEST, _BATCH = 4096, 64
_TAG = struct.Struct(">HH")
_CUSTOMER_TAG = 0x8100


def tagged(frame: bytes, tci: int) -> bytes:
    """A frame with the VLAN tag that the kernel took off when it arrived (net/core/dev.c, skb_vlan_untag)."""
    return frame[:12] + _TAG.pack(_CUSTOMER_TAG, tci) + frame[12:]


def targets(air: RadioChannel, interface: str, frame: bytes, vlan: int) -> tuple[str, ...]:
    """The air's interfaces by which a frame goes on that arrived on `interface`: from stations only to the
    access point; from there to the station with its address, to the whole SSID where it is for a group."""
    if interface != air.interface:
        return (air.interface,)
    if frame[0] & 1:
        return tuple(station.interface for station in air.stations if station.vlan == vlan)
    address = frame[:6].hex(":")
    return tuple(station.interface for station in air.stations if station.mac == address)


class Channel:
    """The medium between packet sockets."""

    def __init__(self, air: RadioChannel) -> None:
        self.air = air
        self.medium = Medium(air)
        names = (air.interface, *(station.interface for station in air.stations))
        self.sockets = {name: _opened(name) for name in names}

    def take(self, interface: str) -> None:
        """See what arrived on an interface."""
        sock = self.sockets[interface]
        for _ in range(_BATCH):
            try:
                frame, beside, _, _ = sock.recvmsg(_LONGEST, 256)
            except BlockingIOError:
                return
            except OSError:
                return  # its cable was pulled
            tci, waited_ns = _beside(beside)
            if tci is None:
                continue  # nobody on the air sends without a tag
            to = targets(self.air, interface, frame, tci & 0xFFF)
            if to:
                now = time.monotonic_ns()
                self.medium.offer(
                    interface, tci >> 13, Sent(self._way(interface), to, tagged(frame, tci), now - waited_ns)
                )

    def give(self) -> float | None:
        """Pass on what is due; seconds until there is something to do again, None: nothing is under way."""
        now = time.monotonic_ns()
        self.medium.take_turns(now)
        for sent in self.medium.arriving(now):
            for name in sent.targets:
                with contextlib.suppress(OSError):  # a pulled cable loses it
                    self.sockets[name].send(sent.frame)
        due = self.medium.next_ns()
        return None if due is None else max(0, due - time.monotonic_ns()) / 1e9

    def _way(self, interface: str) -> Any:
        return "down" if interface == self.air.interface else "up"


def _opened(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(_SOL_PACKET, _AUXDATA, 1)
    sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.setblocking(False)
    sock.bind((interface, _ETH_P_ALL))
    return sock


def _beside(messages: list[tuple[int, int, bytes]]) -> tuple[int | None, int]:
    """The tag that the kernel took off a frame, None without one; and how long it has waited to be seen."""
    tci, waited_ns = None, 0
    for level, kind, data in messages:
        if (level, kind) == (_SOL_PACKET, _AUXDATA):
            status, _, _, _, _, found, _ = _AUX.unpack_from(data)
            tci = found if status & _VLAN_VALID else None
        elif (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _STAMP.unpack_from(data)
            waited_ns = max(0, time.time_ns() - seconds * 1_000_000_000 - nanoseconds)
    return tci, waited_ns


def main() -> None:
    """Serve until SIGTERM or SIGINT; these and SIGUSR1 write the account."""
    order = json.load(sys.stdin)
    channel = Channel(from_data(RadioChannel, order["air"]))
    scheduling = raise_priority()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    os.write(order["ready_fd"], b"1")
    os.close(order["ready_fd"])
    by_fd = {sock.fileno(): name for name, sock in channel.sockets.items()}
    while True:
        readable, _, _ = select.select([*by_fd, reader], [], [], channel.give())
        for fd in readable:
            if fd in by_fd:
                channel.take(by_fd[fd])
        if reader in readable:
            signals = os.read(reader, 64)
            record = {"scheduling": scheduling, **channel.medium.account()}
            Path(order["account"]).write_text(json.dumps(record, indent=1))
            if signal.SIGTERM in signals or signal.SIGINT in signals:
                return


if __name__ == "__main__":
    main()
