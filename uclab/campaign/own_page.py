"""locust's page on this machine's loopback, for root and who called by sudo alone: locust's own has no
passwords, and the loopback is everybody's.

`python -m uclab.campaign.own_page PORT COMMAND...`: each connection of theirs is the input and output of a
`COMMAND`; those of others are closed unread. The kernel says whose a connection is (proc_pid_net(5), tcp).
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from uclab.access.private_files import owners
from uclab.runtime.installation import module_command

LOOPBACK = "127.0.0.1"
CONNECTIONS = Path("/proc/self/net/tcp")
LOCAL, REMOTE, USER = 1, 2, 7
"""Columns of that file."""


def command_line(port: int, command: Sequence[str]) -> list[str]:
    """The program that serves `command` at a port of the loopback."""
    return module_command("uclab.campaign.own_page", str(port), *command)


def user_behind(connection: socket.socket) -> int | None:
    """The user whose process is at the other end of a connection within this machine; None where there is no
    such process any more."""
    wanted = (_written(connection.getpeername()), _written(connection.getsockname()))
    for line in CONNECTIONS.read_text().splitlines()[1:]:
        columns = line.split()
        if (columns[LOCAL], columns[REMOTE]) == wanted:
            return int(columns[USER])
    return None


def _written(end: tuple[str, int]) -> str:
    """An address and port as the kernel writes them: the address as a number of the machine's byte order."""
    return f"{int.from_bytes(socket.inet_aton(end[0]), sys.byteorder):08X}:{end[1]:04X}"


def serve(listener: socket.socket, command: Sequence[str]) -> None:
    """Serve until the process ends, or the listener is closed."""
    allowed = {0, *owners()}
    while listener.fileno() >= 0:
        try:
            connection, _ = listener.accept()
        except OSError:  # closed meanwhile, or whoever connected is gone already
            continue
        with connection:
            if user_behind(connection) in allowed:
                subprocess.Popen(list(command), stdin=connection.fileno(), stdout=connection.fileno())


def main() -> None:
    """Command line entry."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is reaped by the kernel
    with socket.create_server((LOOPBACK, int(sys.argv[1]))) as listener:
        serve(listener, sys.argv[2:])


if __name__ == "__main__":
    main()
