"""tshark, by pyshark: a capture file's packets as dissected layers, and the fields of these.

tshark takes a packet for what the lower of its two port numbers is registered for, and a client's ephemeral
port may be one of those (34980 is EtherCAT's). So each extract holds one kind of traffic, chosen by the
lab's own ports, and tshark is told what that is, whatever the ports (`all_as`), or reads no ports at all
(`WITHOUT_PORTS`).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pyshark
from pyshark.tshark.tshark import get_tshark_version

ANY_PORT = "1-65535"
ENDS_S = 10.0
"""How long tshark may take to end once it has said everything."""
WITHOUT_PORTS = tuple(part for name in ("tcp", "udp") for part in ("--disable-protocol", name))
"""Options of tshark for those who want nothing above IP: no port decides what a packet is taken for."""


def all_as(table: str, protocol: str) -> tuple[str, str]:
    """Options of tshark that take everything of a table (`tcp.port`, `udp.port`, `tls.port`) for one
    protocol."""
    return "-d", f"{table}=={ANY_PORT},{protocol}"


class DissectionError(RuntimeError):
    """tshark could not be run or did not finish; the message says on which file and why."""


@contextmanager
def dissected(extract: Path, **options: Any) -> Iterator[Any]:
    """A file's packets as pyshark reads them, closed in the end. Raises `DissectionError`, whatever goes
    wrong meanwhile."""
    capture = _FileCapture(str(extract), keep_packets=False, **options)
    try:
        yield capture
    except Exception as error:  # pyshark raises its own, asyncio's and OSError's kinds
        raise DissectionError(f"tshark on {extract}: {error}") from error
    finally:
        _close(capture)


class _FileCapture(pyshark.FileCapture):  # type: ignore[misc]  # untyped
    """pyshark 0.6 starts tshark once more for each file only to ask for its version, which takes as long as a
    small file."""

    def _get_tshark_version(self) -> Any:
        return _version(self.tshark_path)

    def _setup_eventloop(self) -> None:
        """A loop of its own. pyshark 0.6 takes the thread's, and ties the whole process's watcher of children
        to it: who starts a program from another loop afterwards cannot."""
        self.eventloop = asyncio.new_event_loop()

    async def _cleanup_subprocess(self, process: Any) -> None:
        """A tshark that was killed has not told all that there is, and its output ends like any other's: half
        of the evidence must not be taken for all of it. pyshark 0.6 looks at exit statuses above 0 alone, and
        does not wait for one."""
        if self._eof_reached and process.returncode is None:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), ENDS_S)
        if self._eof_reached and (process.returncode or 0) < 0:
            raise DissectionError(f"tshark was ended by signal {-process.returncode}")
        if process.returncode is None:
            await end(process)
            return
        await super()._cleanup_subprocess(process)


async def end(process: Any) -> None:
    """End a program by its number. `process.kill()` asks first whether it has ended, and so takes its exit
    status from under asyncio's watcher of children, which then says that it knows no such process."""
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(process.wait(), ENDS_S)


@cache
def _version(path: str | None) -> Any:
    return get_tshark_version(path)


def _close(capture: Any) -> None:
    """pyshark 0.6 may raise when tshark has already gone; all packets have been read then."""
    try:
        capture.close()
    except Exception as error:
        capture._running_processes.clear()  # or its destructor closes, and raises, once more
        if type(error).__name__ not in ("TSharkCrashException", "DissectionError"):
            raise DissectionError(f"closing tshark: {error}") from error
    finally:
        capture.eventloop.close()


def all_values(layer: Any, field: str) -> list[str]:
    """All values of a field of a dissected layer."""
    container = layer.get_field(field)
    values = container.all_fields if container is not None else []
    return [str(value.show if value.show is not None else value.get_default_value()) for value in values]


def first_value(layer: Any, field: str) -> str:
    """The first value of a field; empty where there is none."""
    return (all_values(layer, field) or [""])[0]
