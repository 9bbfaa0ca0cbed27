"""The lab's socket: private before anybody can connect, and closed to everybody but root and its owner."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from uclab.access.local_socket import listening_private, peer

STRANGER = 4711


def test_the_socket_is_private_when_it_is_there(tmp_path: Path) -> None:
    # given an umask that takes nothing away
    before = os.umask(0)
    try:
        with listening_private(tmp_path / "api.sock"):
            assert stat.S_IMODE((tmp_path / "api.sock").stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_strangers_connection_is_closed_unread(tmp_path: Path) -> None:
    # given a socket whose file a stranger can reach all the same
    tmp_path.chmod(0o755)
    with listening_private(tmp_path / "api.sock") as server:
        server.setblocking(False)
        os.chmod(tmp_path / "api.sock", 0o666)
        with socket.socket(socket.AF_UNIX) as stranger:
            _connect_as(STRANGER, stranger, tmp_path / "api.sock")
            # when it is his turn, then nobody is let in, and his connection ends
            with pytest.raises(BlockingIOError):
                server.accept()
            assert stranger.recv(1) == b""
        # and root is served
        with socket.socket(socket.AF_UNIX) as root:
            root.connect(str(tmp_path / "api.sock"))
            accepted, _ = server.accept()
            assert peer(accepted) == (os.getpid(), 0)
            accepted.close()


def _connect_as(user: int, sock: socket.socket, path: Path) -> None:
    """Connect with another user's credentials, by a folder that is open already: those above are root's."""
    folder = os.open(path.parent, os.O_PATH)
    here = os.open(".", os.O_PATH)
    try:
        os.fchdir(folder)
        os.seteuid(user)
        sock.connect(path.name)
    finally:
        os.seteuid(0)
        os.fchdir(here)
        os.close(folder)
        os.close(here)
