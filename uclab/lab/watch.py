"""Watches the lab's processes: one that ends unasked is reported by name at once, with its last log lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from uclab.runtime.logs import last_lines


class Ends(Protocol):
    """Whatever has an end that can be waited for: a process of asyncio, or the emulation's own."""

    async def wait(self) -> int:
        """Exit status, minus the signal that ended it. Where that does not say why, `end_reason` may."""
        ...


class ProcessWatch:
    """Knows every process that ought to be running."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        """`report` is called with the process's name and what is known of its end."""
        self._report = report
        self.dead: list[str] = []
        """Those that have ended unexpectedly and are not back, in the order of their ends."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._expected: set[str] = set()

    def watch(self, name: str, process: Ends, log: Path) -> None:
        """Report `name` when the process ends, unless `expect_end` is called before it does."""
        self._expected.discard(name)
        self.revived((name,))

        async def wait() -> None:
            code = await process.wait()
            if name in self._expected:
                return
            how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
            how = getattr(process, "end_reason", None) or how
            self.died(
                name, f"{name} ended unexpectedly ({how}); last lines of {log.name}:\n{last_lines(log)}"
            )

        self._tasks[name] = asyncio.get_running_loop().create_task(wait())

    def died(self, name: str, detail: str) -> None:
        """Somebody else has seen the end of what is watched elsewhere, e.g. a phone's."""
        if name not in self.dead:
            self.dead.append(name)
        self._report(name, detail)

    def revived(self, names: Iterable[str]) -> None:
        """They run again."""
        back = set(names)
        self.dead[:] = [name for name in self.dead if name not in back]

    def expect_end(self, name: str | None = None) -> None:
        """The end of this process (or of all) is wanted from now on."""
        self._expected.update([name] if name else self._tasks)

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
