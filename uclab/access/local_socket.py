"""A UNIX socket that only its owner and root can use: private from its first moment, and each who connects is
asked by the kernel who he is (SO_PEERCRED, unix(7))."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Any

CREDENTIALS = struct.Struct("3i")
"""Process, user and group."""


UNFINISHED = ".new"
"""Behind the name of a socket that does not listen yet."""
BACKLOG = 256
"""Connections that may be waiting to be accepted."""


class OwnersSocket(socket.socket):
    """Accepts connections of root and of this process's user; those of others are closed unread."""

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection of somebody who may; blocks like `socket.accept`."""
        while True:
            connection, address = super().accept()
            if peer(connection)[1] in (0, os.geteuid()):
                return connection, address
            connection.close()


def peer(connection: socket.socket) -> tuple[int, int]:
    """Process id and user id of the other side; of a listener's client, those of who called listen(2)."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    process, user, _ = CREDENTIALS.unpack(raw)
    return process, user


def listening_private(path: Path) -> OwnersSocket:
    """A socket that listens at `path`, mode 0600. It is there only when it is private and listens: who sees
    it may connect. What was there is replaced."""
    unfinished = path.with_name(f"{path.name}{UNFINISHED}")
    unfinished.unlink(missing_ok=True)
    sock = OwnersSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # the file that bind(2) makes has the mode of the socket, less the umask
        os.fchmod(sock.fileno(), 0o600)
        sock.bind(str(unfinished))
        sock.listen(BACKLOG)
        unfinished.rename(path)
    except BaseException:
        sock.close()
        raise
    return sock
