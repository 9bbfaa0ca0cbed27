"""A softclient's connections come under the kernel's watch."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from endpoints_emu.pjsua import connections

pytestmark = pytest.mark.req("V2")


def test_nothing_is_left_open_and_the_control_connection_is_let_alone(tmp_path: Path) -> None:
    # given files, a socket that listens, and a connection on 127.0.0.1
    with (
        (tmp_path / "file").open("w"),
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        before = len(os.listdir("/proc/self/fd"))
        # when connections are looked at, then none is watched, and none is held
        assert connections.watch(4, 1, 6) == 0
        assert len(os.listdir("/proc/self/fd")) == before
        assert not client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_connection_to_elsewhere_is_asked_after_and_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given that 127.0.0.1 were elsewhere
    monkeypatch.setattr(connections, "_LOOPBACK", "none")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert connections.watch(4, 1, 6) >= 1
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_USER_TIMEOUT]
        assert [client.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [4, 1, 6000]
        assert not server.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
