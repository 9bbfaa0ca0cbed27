"""Where switches connect: a UNIX or TCP socket whose connections os-ken serves.

os-ken 4.2 (native threads) needs two things put right here. It sets a TCP option on every connection, which
a UNIX socket refuses. And the thread that serves a connection waits for ever for its sender after the
switch has gone, so that nobody learns of it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from pathlib import Path
from typing import Any

from os_ken.controller.controller import Datapath
from os_ken.controller.ofp_handler import OFPHandler
from os_ken.lib import hub

from uclab.access.local_socket import BACKLOG, listening_private

LOG = logging.getLogger(__name__)


class UnixStream(socket.socket):
    """A connection on a UNIX socket that lets TCP options pass without effect."""

    def setsockopt(self, level: int, *args: Any) -> None:
        """As of `socket.socket`."""
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, *args)


class Connection(Datapath):
    """A switch's connection. Its end wakes the sending thread, so that the connection is really over."""

    def _recv_loop(self) -> None:
        try:
            super()._recv_loop()
        finally:
            self.send(b"", close_socket=True)


class Handshakes(OFPHandler):
    """os-ken's handshakes (hello, features, ports, echo) without os-ken's own listeners on all addresses."""

    def start(self) -> None:
        """Start handling events."""
        self.threads.append(hub.spawn(self._event_loop))


class Listener:
    """Accepts switches on `unix:PATH` or `tcp:ADDRESS:PORT` until closed."""

    def __init__(self, where: str) -> None:
        kind, _, rest = where.partition(":")
        self._path: Path | None = None
        if kind == "unix" and rest:
            self._path = Path(rest)
            self._server: socket.socket = listening_private(self._path)
        elif kind == "tcp" and rest.rpartition(":")[2].isdigit():
            host, _, port = rest.rpartition(":")
            self._server = socket.create_server((host, int(port)), backlog=BACKLOG)
        else:
            raise ValueError(f"cannot listen on {where!r}: expected `unix:PATH` or `tcp:ADDRESS:PORT`")
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [hub.spawn(self._accept)]

    def close(self) -> None:
        """Accept no more, end every connection, and wait for their threads."""
        self._server.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        hub.joinall(self._threads)
        self._server.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                accepted, address = self._server.accept()
            except OSError:
                return
            if self._path is not None:
                accepted = UnixStream(fileno=accepted.detach())
            with self._lock:
                self._open.add(accepted)
            self._threads.append(hub.spawn(self._serve, accepted, address))

    def _serve(self, accepted: socket.socket, address: object) -> None:
        try:
            with contextlib.closing(Connection(accepted, address)) as connection:
                connection.serve()
        except Exception:
            LOG.exception("connection from %s ends: what it sent is not OpenFlow", address or "a UNIX socket")
        finally:
            with self._lock:
                self._open.discard(accepted)
            accepted.close()
