"""Reaching a supervisor that is just starting."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from uclab.lab.client import LabClient, LabError, wait_for_socket
from uclab.lab.directory import LabDirectory


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until the test's end."""
    started = subprocess.Popen(["sleep", "60"])
    yield started
    started.kill()
    started.wait()


def test_a_socket_counts_when_somebody_listens(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    # given a socket that is bound, so its file is there, but refuses connections yet
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "api.sock"))
        answers: list[bool] = []
        waiting = threading.Thread(
            target=lambda: answers.append(wait_for_socket(tmp_path / "api.sock", process))
        )
        waiting.start()
        waiting.join(timeout=0.1)
        # then the wait goes on,
        assert waiting.is_alive()
        # and ends when the server listens
        server.listen()
        waiting.join(timeout=10)
        assert answers == [True]


def test_a_process_that_ended_is_not_waited_for(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    process.kill()
    assert not wait_for_socket(tmp_path / "api.sock", process)


def test_a_supervisor_that_fails_is_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a supervisor whose own code failed, which answers with text
    client = LabClient(LabDirectory("noted"))
    answer = httpx.Response(500, text="Internal Server Error")
    monkeypatch.setattr(client._http, "request", lambda *args, **kwargs: answer)
    # then what is said names lab, request and log
    with pytest.raises(LabError, match=r"lab `noted` failed at POST /heal/edge: Internal.*supervisor\.log"):
        client.heal("edge")
