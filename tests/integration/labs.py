"""Drives the `uclab` command as a user would, for tests of whole labs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.machine import MACHINE
from uclab.cli.status import NOT_SHOWN

UCLAB = Path(sys.executable).with_name("uclab")
UP_DEADLINE_S = 120.0
WHOLE_RUNS = ("run", "campaign")
"""Verbs that bring a lab up, drive it, take it down and judge it: they can be said again."""
on_request = pytest.mark.skipif(
    not os.environ.get("UCLAB_ALL_FAULTS"), reason="tried by `make drills`, for the time it takes"
)


class UclabCommand:
    """The command with a state folder of its own, so that tests run side by side."""

    def __init__(self, folder: Path, enter: Sequence[str] = ()) -> None:
        """`enter`: the beginning of a command line that runs the rest somewhere else (`remains.Machine`)."""
        self.folder = folder
        self.enter = tuple(enter)
        self.environment = {**os.environ, "UCLAB_LABS": str(folder / "labs")}

    def __call__(
        self, *arguments: str, status: int | None = 0, wanted: Callable[[], bool] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end; with `status` it must end so.

        A run that is not as `wanted`, and says that the machine was too busy for it, is made again with the
        machine for itself, as it advises.
        """
        done = self._run(arguments)
        if wanted is not None:
            good = wanted()
        else:
            good = done.returncode == status if status is not None else done.returncode != NOT_SHOWN
        if not good and (busy := self._too_busy(arguments)) and not MACHINE.alone:
            warnings.warn(f"made again: {busy}", stacklevel=2)
            MACHINE.have_alone()
            self._out(arguments).rename(self._out(arguments).with_suffix(".busy"))
            done = self._run(arguments)
        if status is not None:
            assert done.returncode == status, (
                f"uclab {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def _run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.enter, str(UCLAB), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=300,
        )

    def _out(self, arguments: Sequence[str]) -> Path:
        return self.folder / arguments[arguments.index("--out") + 1]

    def _too_busy(self, arguments: Sequence[str]) -> str:
        """What a whole run said of the machine; nothing, where it had no part in the verdict."""
        if not arguments or arguments[0] not in WHOLE_RUNS or "--out" not in arguments:
            return ""
        results = self._out(arguments) / "results.json"
        return str(json.loads(results.read_text())["too_busy"]) if results.exists() else ""

    def json(self, *arguments: str) -> Any:
        """The JSON that a verb prints."""
        return json.loads(self(*arguments, "--json").stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a verb and return its process. It hears Ctrl-C even where the tests themselves run in the
        background: a shell without job control starts background commands with SIGINT ignored."""
        return subprocess.Popen(
            [*self.enter, str(UCLAB), *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            preexec_fn=hear_ctrl_c,
        )

    def supervisor_of(self, name: str) -> int:
        """Process id of a lab's supervisor as soon as there is one."""
        own = f"UCLAB_LABS={self.environment['UCLAB_LABS']}\0".encode()
        wanted = f"uclab.lab.supervisor\0{name}\0".encode()
        deadline = time.monotonic() + UP_DEADLINE_S
        while time.monotonic() < deadline:
            for entry in os.listdir("/proc"):
                if not entry.isdigit():
                    continue
                try:
                    command = Path(f"/proc/{entry}/cmdline").read_bytes()
                    environment = Path(f"/proc/{entry}/environ").read_bytes()
                except OSError:
                    continue
                if wanted in command and own in environment and command.startswith(sys.executable.encode()):
                    return int(entry)
            time.sleep(0.01)
        raise AssertionError(f"no supervisor of {name}")

    def happened(self, name: str, kind: str) -> bool:
        """Whether a lab's run directory has an event of this kind by now."""
        lines = (self.folder / name / "events.jsonl").read_text().splitlines()
        return any(json.loads(line)["kind"] == kind for line in lines)

    def wait_for_event(self, name: str, *kinds: str, source: str | None = None) -> dict[str, Any]:
        """The first event of one of these kinds (and from that source) in a lab's run directory
        (`<folder>/<name>`)."""
        file = self.folder / name / "events.jsonl"
        deadline = time.monotonic() + UP_DEADLINE_S
        while time.monotonic() < deadline:
            if file.exists():
                for line in file.read_text().splitlines():
                    event = json.loads(line)
                    if event["kind"] in kinds and source in (None, event["source"]):
                        return dict(event)
            time.sleep(0.01)
        raise AssertionError(f"{name}: none of {kinds} within {UP_DEADLINE_S:g} s")


def lab_of_module(
    topology: str, name: str, files: Mapping[str, str] | None = None
) -> Callable[[pytest.TempPathFactory], Iterator[UclabCommand]]:
    """A fixture for all tests of a module: the command with that topology up under that name, its run
    directory `<folder>/<name>`. `files` are written beside it first, by path."""

    @pytest.fixture(scope="module")
    def uclab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UclabCommand]:
        command = UclabCommand(tmp_path_factory.mktemp(name))
        for path, text in (files or {}).items():
            (command.folder / path).parent.mkdir(exist_ok=True)
            (command.folder / path).write_text(text)
        command("up", topology, "--name", name, "--out", str(command.folder / name))
        yield command
        command("down", "--name", name, status=None)

    return uclab


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to one process."""
    os.kill(pid, number)


def hear_ctrl_c() -> None:
    """For a child: see `UclabCommand.start`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
