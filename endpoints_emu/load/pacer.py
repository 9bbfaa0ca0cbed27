"""Sending for all calls of a process: one loop, in ten slots of 2 ms, so that neither a timer a call nor a
burst of all calls is needed. Sockets for media come from here too.
"""

from __future__ import annotations

import _socket
import errno
import time
from collections.abc import Callable
from typing import Any, Protocol

import gevent

from endpoints_emu.load.timing_wheel import Wheel

DSCP_MEDIA = 46
"""EF."""
SLOTS = 10
SLOT_S = 0.02 / SLOTS
LATE_S = 0.005
"""A packet sent later than that after its time counts as late."""
STOOD_STILL_S = 0.2
"""After so long what should have been sent is not sent any more."""
_TIMESTAMPNS = 35
"""SO_TIMESTAMPNS of Linux (asm-generic/socket.h): the kernel says when a packet arrived."""


class Sender(Protocol):
    """What is sent for."""

    def send(self) -> None:
        """Send one packet; must not wait."""


class MediaEngine:
    """All media of a process."""

    def __init__(
        self, wheel: Wheel, *, dscp: int = DSCP_MEDIA, ports: tuple[int, int] = (20000, 64998)
    ) -> None:
        self.wheel = wheel
        self.unsent = 0
        """Packets that a socket did not take."""
        self.packets = 0
        self.late = 0
        """Packets sent more than `LATE_S` after their time."""
        self.latest_s = 0.0
        self._dscp = dscp
        self._ports = ports
        self._next_port = ports[0]
        self._slots: list[dict[Sender, None]] = [{} for _ in range(SLOTS)]
        self._loop = gevent.get_hub().loop
        self._pacer: Any = None

    @property
    def sessions(self) -> int:
        """Calls that are sent for."""
        return sum(map(len, self._slots))

    def bind(self, address: str) -> tuple[Any, Any, int]:
        """A free pair of ports: the even one for media, the next for RTCP (RFC 3550 section 11)."""
        low, high = self._ports
        for _ in range(low, high, 2):
            port = self._next_port
            self._next_port = low if port + 2 > high else port + 2
            pair = [_socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM) for _ in range(2)]
            try:
                for number, sock in enumerate(pair):
                    sock.setblocking(False)
                    sock.setsockopt(_socket.IPPROTO_IP, _socket.IP_TOS, self._dscp << 2)
                    sock.bind((address, port + number))
            except OSError as error:
                for sock in pair:
                    sock.close()
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            pair[0].setsockopt(_socket.SOL_SOCKET, _TIMESTAMPNS, 1)
            return pair[0], pair[1], port
        raise OSError(errno.EADDRINUSE, f"no free pair of ports between {low} and {high} at {address}")

    def watch(self, sock: Any, readable: Callable[[], None]) -> Any:
        """Have `readable` called by the event loop; it must not wait."""
        watcher = self._loop.io(sock.fileno(), 1)
        watcher.start(readable)
        return watcher

    def add(self, session: Sender) -> None:
        """Send for it every 20 ms from now on, in the slot that has the fewest."""
        min(self._slots, key=len)[session] = None
        if self._pacer is None:
            self._pacer = gevent.spawn(self._pace)

    def remove(self, session: Sender) -> None:
        """Send no more for it."""
        for slot in self._slots:
            slot.pop(session, None)

    def close(self) -> None:
        """Send for nobody any more."""
        if self._pacer is not None:
            self._pacer.kill(block=False)
            self._pacer = None

    def _pace(self) -> None:
        clock = time.monotonic
        due, number = clock(), 0
        while self.sessions:
            slot = self._slots[number % SLOTS]
            if slot:
                for session in tuple(slot):
                    session.send()
                late = clock() - due
                self.packets += len(slot)
                if late > LATE_S:
                    self.late += len(slot)
                if late > self.latest_s:
                    self.latest_s = late
            number += 1
            due += SLOT_S
            now = clock()
            if due > now:
                gevent.sleep(due - now)
            elif now - due > STOOD_STILL_S:
                due = now
            else:
                gevent.sleep(0)
        self._pacer = None
