"""How many frames each tap saw in each second, and when its file's first and last frame was: what tells a tap
that saw nothing from a network in which nothing was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from uclab.capture.packets import Packets

SECOND_NS = 1_000_000_000
UNKNOWN = (-1, -1)
SENT, GOT = 1, 2
"""Which way a frame went at a tap; 0 where nobody can tell."""


@dataclass
class TapCounts:
    """Grows by batches; a few numbers a tap and second."""

    ends: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Tap -> MAC address of the node at its own end of the cable, and at the other end; -1 where there is a
    switch. They tell the way of a frame."""
    frames: dict[str, Counter[int]] = field(default_factory=dict)
    """Tap -> second since the epoch -> frames."""
    sent: dict[str, Counter[int]] = field(default_factory=dict)
    """Of these, those that left the device, as far as that can be told."""
    got: dict[str, Counter[int]] = field(default_factory=dict)
    """Those that came to it."""
    latest_ns: dict[str, dict[int, int]] = field(default_factory=dict)
    """Tap -> second -> when its last frame was."""
    first_ns: dict[str, int] = field(default_factory=dict)
    last_ns: dict[str, int] = field(default_factory=dict)

    def add(self, packets: Packets, labels: list[str], src_mac: npt.NDArray[np.uint64]) -> None:
        """Takes a batch; `labels` names the taps of its interface indices."""
        timed = packets.time_ns > 0  # a simple packet block has no time
        if not timed.any():
            return
        times, interface = packets.time_ns[timed], packets.interface[timed]
        way = self._ways(labels, interface, src_mac[timed])
        second = times // SECOND_NS
        start = int(second.min())
        code, inverse, counts = np.unique(
            ((second - start) * 3 + way) * len(labels) + interface, return_inverse=True, return_counts=True
        )
        latest = np.zeros(len(code), np.int64)
        np.maximum.at(latest, inverse, times)
        for value, count, last in zip(code.tolist(), counts.tolist(), latest.tolist(), strict=True):
            rest, index = divmod(value, len(labels))
            offset, its_way = divmod(rest, 3)
            label, at = labels[index], start + offset
            self.frames.setdefault(label, Counter())[at] += count
            if its_way:
                counted = self.sent if its_way == SENT else self.got
                counted.setdefault(label, Counter())[at] += count
            known = self.latest_ns.setdefault(label, {})
            known[at] = max(last, known.get(at, 0))
        for index in np.unique(interface).tolist():
            mine, label = times[interface == index], labels[index]
            self.first_ns[label] = min(int(mine.min()), self.first_ns.get(label, 1 << 62))
            self.last_ns[label] = max(int(mine.max()), self.last_ns.get(label, 0))

    def _ways(
        self, labels: list[str], interface: npt.NDArray[np.int32], src_mac: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.int64]:
        """By the sender: what a node did not send came from the switch at the other end of its cable."""
        ends = np.array([self.ends.get(label, UNKNOWN) for label in labels], np.int64)
        near, far = ends[interface, 0], ends[interface, 1]
        sender = src_mac.astype(np.int64)
        sent = (sender == near) | ((near < 0) & (far >= 0) & (sender != far))
        got = (sender == far) | ((far < 0) & (near >= 0) & (sender != near))
        return np.where(sent, SENT, np.where(got, GOT, 0))

    def at(self, tap: str) -> Counter[int]:
        """Seconds with frames at a tap."""
        return self.frames.get(tap, Counter())
