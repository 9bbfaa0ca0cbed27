"""What the queues of all lines send while a campaign runs, second by second (C8, D11).

Each router's namespace is entered once, to open a netlink socket there; from then on the socket is asked from
outside, without a program and without a thread.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute

from uclab.access.private_files import owner_only
from uclab.emulation.linux import netns
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.linux.queues import ClassCounters, QueueError, counters
from uclab.lab.client import LabClient
from uclab.plan.load.record import ClassUse, QueueUse
from uclab.plan.resolve.lines import wan_lines
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import EgressQueue, LinkEnd, Plan

EVERY_S = 1.0
MOST_RECORDS = 50_000
"""Records of a campaign (some 400 bytes each): with many lines, or for hours, they come less often."""


@dataclass(frozen=True)
class LineQueue:
    """The queue at an end of a line."""

    device: str
    tap: str
    queue: EgressQueue


def line_queues(plan: Plan) -> tuple[LineQueue, ...]:
    """The queues at both ends of all lines, the sites' own first (pure)."""
    taps = {LinkEnd(tap.device, tap.interface): tap.label for tap in plan.taps}
    found: list[LineQueue] = []
    for line in wan_lines(plan):
        for end in (line.near, line.far):
            queue = next((q for q in plan.node(end.device).queues if q.interface == end.interface), None)
            if queue is not None and end in taps:
                found.append(LineQueue(end.device, taps[end], queue))
    return tuple(found)


def interval_s(queues: int, longest_s: float) -> float:
    """Seconds between two looks, so that there are never too many records (pure)."""
    return max(EVERY_S, queues * longest_s / MOST_RECORDS)


def use(
    known: LineQueue, at: float, seconds: float, before: Sequence[ClassCounters], now: Sequence[ClassCounters]
) -> QueueUse:
    """What happened between two looks (pure)."""
    classes = tuple(
        ClassUse(
            name=queue_class.name,
            guaranteed_kbps=round(new.rate_kbps, 1),
            sent_kbps=round(max(new.octets - old.octets, 0) / 125 / seconds, 1),
            dropped=max(new.dropped - old.dropped, 0),
            waiting=new.waiting,
        )
        for queue_class, old, new in zip(known.queue.classes, before, now, strict=True)
    )
    return QueueUse(at, known.tap, classes)


class QueueLog:
    """Looks at the lines' queues about once a second, and writes what they did since the look before."""

    def __init__(self, path: Path, plan: Plan, namespaces: dict[str, str], longest_s: float) -> None:
        """`namespaces`: device to the path of its network namespace, as this process sees it."""
        self._path = path
        self._every_s = interval_s(len(line_queues(plan)), longest_s)
        self._kernels = {device: _socket_in(device, where) for device, where in namespaces.items()}
        self._watched = [
            (queue, kernel, index)
            for queue in line_queues(plan)
            if (kernel := self._kernels.get(queue.device)) is not None
            for index in kernel.link_lookup(ifname=queue.queue.interface)
        ]
        self._before: dict[str, list[ClassCounters]] = {}
        self._looked_at = 0.0

    @classmethod
    def of(cls, client: LabClient, plan: Plan, path: Path, longest_s: float) -> QueueLog:
        """That of a lab, whose namespaces are among the files of its supervisor."""
        root = f"/proc/{client.supervisor_pid()}/root"
        devices = sorted({queue.device for queue in line_queues(plan)})
        return cls(
            path, plan, {device: f"{root}{client.namespace_of(device)}" for device in devices}, longest_s
        )

    def look(self) -> None:
        """Look, where the last look is long enough ago."""
        now = time.monotonic()
        if now - self._looked_at < self._every_s:
            return
        seconds, self._looked_at = now - self._looked_at, now
        at = round(time.time(), 3)
        records = []
        for line_queue, kernel, index in self._watched:
            try:
                seen = counters(kernel, line_queue.queue, index)
            except QueueError:  # a router that was failed on purpose: there is nothing to tell
                self._before.pop(line_queue.tap, None)
                continue
            if line_queue.tap in self._before:
                records.append(use(line_queue, at, seconds, self._before[line_queue.tap], seen))
            self._before[line_queue.tap] = seen
        with open(self._path, "a", opener=owner_only) as log:
            log.writelines(json.dumps(to_data(record)) + "\n" for record in records)

    def close(self) -> None:
        """Let go of the routers."""
        for kernel in self._kernels.values():
            kernel.close()


def _socket_in(device: str, where: str) -> IPRoute:
    """A netlink socket that belongs to a namespace, whoever asks it later."""
    held = os.open(where, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with netns.entered(Namespace(device, Path(where), held)):
            return IPRoute()
    finally:
        os.close(held)
