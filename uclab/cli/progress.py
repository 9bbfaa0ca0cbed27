"""How long work shows itself: a live line with counts and time on a terminal, plain lines in CI."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.status import Status

from uclab.api import Watcher
from uclab.cli.console import Console, plain
from uclab.lab.events import PROGRESS
from uclab.records.run import Event
from uclab.scenarios import ScenarioProgress

LOUD_EVENTS = {
    *("process-died", "restarted", "restart-failed", "given-up"),
    *("port-security-drop", "tls-refused", "registration-failed"),
}


class ProgressPrinter:
    """Prints progress to stderr: standard output stays for results."""

    def __init__(self, console: Console, status: Status | None) -> None:
        self._console = console
        self._status = status
        self._began = time.monotonic()
        self._last_line = ""
        self._loud: dict[tuple[str, str], int] = {}

    def stage(self, text: str) -> None:
        """A new stage of a run."""
        self._say(text)

    def notice(self, text: str) -> None:
        """What somebody is to do: it stays to be read."""
        self._console.print(text, markup=False, highlight=False)

    def event(self, event: Event) -> None:
        """An event of the lab."""
        if event.kind == PROGRESS:
            step = json.loads(event.detail)
            text = f"{step['step']} {step['done']}/{step['total']}"
            if self._status is not None or step["done"] == step["total"]:
                self._say(text)
        elif event.kind in LOUD_EVENTS:
            seen = self._loud[event.source, event.kind] = self._loud.get((event.source, event.kind), 0) + 1
            if seen == 1:
                self._console.print(
                    f"  ! {event.source}: {event.kind} {event.detail}", markup=False, highlight=False
                )

    def step(self, step: ScenarioProgress) -> None:
        """A step of the scenario."""
        self._say(f"{step.unit} {step.done}/{step.total}: {step.text}")

    def _say(self, text: str) -> None:
        line = f"[{time.monotonic() - self._began:6.1f} s] {text}"
        if self._status is not None:
            self._status.update(plain(line))
        elif text != self._last_line:
            self._console.print(line, markup=False, highlight=False)
        self._last_line = text


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Watcher]:
    """A watcher that shows what goes on for as long as the block runs."""
    if quiet:
        yield Watcher()
        return
    console = Console(stderr=True, soft_wrap=True)
    if sys.stderr.isatty():
        with console.status("") as status:
            teller = ProgressPrinter(console, status)
            yield Watcher(teller.event, teller.step, teller.stage, teller.notice)
    else:
        teller = ProgressPrinter(console, None)
        yield Watcher(teller.event, teller.step, teller.stage, teller.notice)
