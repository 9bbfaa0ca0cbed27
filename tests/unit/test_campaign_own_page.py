"""locust's page on the loopback is its owner's alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from uclab.campaign.own_page import serve

ASK = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
with socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=20) as sock:
    try:
        sock.sendall(b'hello\\n')
        print(sock.makefile().readline(), end='')
    except ConnectionError:
        pass
"""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where a page is served that says again what it was told; the caller's sudo user is 4711."""
    monkeypatch.setenv("SUDO_UID", "4711")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener, ["head", "-n", "1"]), daemon=True).start()
        yield int(listener.getsockname()[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
@pytest.mark.parametrize(("user", "answer"), [(0, "hello\n"), (4711, "hello\n"), (4712, "")])
def test_the_page_answers_root_and_who_called_by_sudo(port: int, user: int, answer: str) -> None:
    asked = [sys.executable, "-c", ASK, str(port), str(user)]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == answer
