"""Setting a machine up: host packages, device image, container images, by the shell scripts in this folder.

They are shell because the checkout's own set-up (`ci/setup.sh`) runs them on a bare machine, before there is
a Python environment. This module runs them for `uclab setup`.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from uclab.kinds.cloud_service import CLOUD_SERVICES

SCRIPT = Path(__file__).with_name("setup.sh")
CHECK_VARIABLE = "UCLAB_SETUP_CHECK"
FOLDERS_VARIABLE = "UCLAB_SERVICE_FOLDERS"
"""Further folders with a Containerfile, a line each."""
COMPLAINT = "setup: "
UNABLE = 2
"""Exit status of the script where this user or machine cannot set up at all: no root, no apt."""

Said = Callable[[str], None]


class SetupRefused(Exception):
    """This user or this machine cannot set up (exit status 2)."""


class SetupFailed(Exception):
    """A part of the set-up failed; what was complete stays (exit status 3)."""


def set_up(said: Said, script: Path = SCRIPT) -> None:
    """Install and build what is missing; `said` gets a line for each thing done.

    Raises SetupRefused and SetupFailed. An interrupt is passed on to the script, and its end waited for.
    """
    _run(script, said, _folders())


def missing(script: Path = SCRIPT) -> tuple[str, ...]:
    """What `set_up` would do, a line each; changes nothing. Raises SetupRefused and SetupFailed."""
    found: list[str] = []
    _run(script, found.append, {CHECK_VARIABLE: "1", **_folders()})
    return tuple(line.removeprefix("to do: ") for line in found)


def _folders() -> dict[str, str]:
    """The folders of services that other packages add: what the script cannot find beside itself."""
    folders = [str(service.image_folder) for service in CLOUD_SERVICES.values() if service.on_request]
    return {FOLDERS_VARIABLE: "\n".join(folders)} if folders else {}


def _run(script: Path, said: Said, variables: dict[str, str]) -> None:
    process = subprocess.Popen(
        ["bash", str(script)],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    why = ""  # the script's last complaint; those of its parts come before it
    try:
        for line in process.stdout:
            message = line.rstrip("\n")
            if message.startswith(COMPLAINT):
                message, why = why, message.removeprefix(COMPLAINT)
            if message:
                said(message.removeprefix("== "))
        status = process.wait()
    except KeyboardInterrupt:
        _end(process, said)
        raise
    if status == UNABLE:
        raise SetupRefused(why)
    if status != 0:
        raise SetupFailed(why or f"{script.name} ended with status {status}")


def _end(process: subprocess.Popen[str], said: Said) -> None:
    """Let the script clean up, however often Ctrl-C is pressed. A terminal's has reached the script, too; a
    signal for this process alone has not."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        for line in process.stdout:
            said(line.rstrip("\n").removeprefix("== "))
        process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
