"""A router's watch over its lines to providers: asks public servers by each of them, and has a line without
answers stand back (N5, V2).

`python -m controllers.line_watch --watch WATCH.json --events EVENTS.jsonl`

A line that stands back keeps its default route, with a metric behind all others: questions that are bound to
the line find it. The new route is there before the old one goes, so that no packet meets neither.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2 import NetlinkError as Pyroute2Error

from controllers.line_health import GRACE, LineHealth, stepped_back
from uclab.plan.schema.codec import from_data
from uclab.plan.schema.link_monitor import STEPPED_BACK, LineWatch, WatchedLine

_ECHO_REQUEST = struct.Struct("!BBHHH")
_SIOCGIFFLAGS = 0x8913
_IFF_UP_AND_RUNNING = 0x1 | 0x40
_ROUTES = Path("/proc/net/route")
_DEFAULT = "00000000"
_STATIC = 4
"""RTPROT_STATIC (linux/rtnetlink.h), as routes of the plan have it."""


class Prober:
    """Asks by one line."""

    def __init__(self, line: WatchedLine, targets: Sequence[str], dscp: int) -> None:
        self.line = line
        self._targets = targets
        self._number = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, line.interface.encode() + b"\0")

    def ask(self) -> None:
        """One question to each target; a line without a route loses it."""
        self._number = (self._number + 1) & 0xFFFF
        for target in self._targets:
            with suppress(OSError):
                self._socket.sendto(_ECHO_REQUEST.pack(8, 0, 0, 0, self._number), (target, 0))

    def answered(self) -> bool:
        """Whether anything has come back since the last time."""
        some = False
        while True:
            try:
                some |= self._socket.recv(64)[:1] == b"\0"
            except BlockingIOError:
                return some
            except OSError:  # an ICMP error of an earlier question
                continue

    def has_carrier(self) -> bool:
        """Whether the interface is up and plugged in."""
        request = struct.pack("16sH22x", self.line.interface.encode(), 0)
        try:
            flags = struct.unpack("16sH22x", fcntl.ioctl(self._socket, _SIOCGIFFLAGS, request))[1]
        except OSError:
            return False
        return bool(flags & _IFF_UP_AND_RUNNING == _IFF_UP_AND_RUNNING)


def default_routes(table: str) -> set[tuple[str, int]]:
    """(Gateway, metric) of each default route in the text of `/proc/net/route` (pure)."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {
        (str(IPv4Address(int.from_bytes(bytes.fromhex(row[2])[::-1]))), int(row[6]))
        for row in rows
        if row[1] == _DEFAULT and row[7] == _DEFAULT
    }


def changes(
    lines: Sequence[WatchedLine], back: Sequence[bool], present: set[tuple[str, int]]
) -> tuple[list[tuple[WatchedLine, int]], list[tuple[WatchedLine, int]]]:
    """Routes to add and to take away, as line and metric, so that lines stand where they should (pure)."""
    add, remove = [], []
    for line, stands_back in zip(lines, back, strict=True):
        wanted, other = line.metric, line.metric + STEPPED_BACK
        if stands_back:
            wanted, other = other, wanted
        if (line.via, wanted) not in present:
            add.append((line, wanted))
        if (line.via, other) in present:
            remove.append((line, other))
    return add, remove


class Watching:
    """The state of the watch."""

    def __init__(self, watch: LineWatch, kernel: IPRoute, events: Path) -> None:
        self._watch, self._kernel, self._events = watch, kernel, events
        self._probers = [Prober(line, watch.targets, watch.dscp) for line in watch.lines]
        self._health = [
            LineHealth(watch.lost_after, watch.return_after_s, missed=-GRACE) for _ in watch.lines
        ]
        self._back: tuple[bool, ...] = (False,) * len(watch.lines)

    def look(self, now: float) -> None:
        """What became of the last questions; then the next ones."""
        present = default_routes(_ROUTES.read_text())
        known = {via for via, _ in present}
        before = [health.good for health in self._health]
        for prober, health in zip(self._probers, self._health, strict=True):
            up = prober.has_carrier() and prober.line.via in known
            health.tell(now, up=up, answered=prober.answered())
        self._report(before)
        self._back = stepped_back(self._health, self._back)
        self._arrange(present)
        for prober in self._probers:
            prober.ask()

    def _report(self, before: Sequence[bool]) -> None:
        for prober, health, was in zip(self._probers, self._health, before, strict=True):
            if health.good != was:
                kind = "path-good" if health.good else "path-lost"
                targets = ", ".join(self._watch.targets)
                detail = f"{prober.line.interface}: probed {targets} every {self._watch.interval_ms} ms"
                record: Mapping[str, object] = {
                    "source": self._watch.router, "kind": kind, "detail": detail, "time": time.time(),
                }  # fmt: skip
                with self._events.open("a") as file:
                    file.write(json.dumps(record) + "\n")

    def _arrange(self, present: set[tuple[str, int]]) -> None:
        """A line without carrier takes no route: it is tried again with the next look."""
        add, remove = changes(self._watch.lines, self._back, present)
        for verb, routes in (("replace", add), ("del", remove)):
            for line, metric in routes:
                with suppress(Pyroute2Error):
                    self._kernel.route(
                        verb, dst="0.0.0.0/0", gateway=line.via, priority=metric, proto=_STATIC
                    )


def run(watch: LineWatch, events: Path) -> None:
    """Watch until the process is told to end."""
    interval_s = watch.interval_ms / 1000
    with IPRoute() as kernel:
        watching = Watching(watch, kernel, events)
        due = time.monotonic()
        while True:
            time.sleep(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            watching.look(now)
            due = max(due + interval_s, now)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="controllers.line_watch")
    parser.add_argument("--watch", type=Path, required=True)
    parser.add_argument("--events", type=Path, required=True)
    options = parser.parse_args(arguments)
    run(from_data(LineWatch, json.loads(options.watch.read_text())), options.events)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
