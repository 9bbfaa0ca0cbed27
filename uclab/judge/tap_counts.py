"""How many frames each tap saw in each second, and when its file's first and last frame was: what tells a tap
that saw nothing from a network in which nothing was."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from uclab.capture.pcapng import Packets

SECOND_NS = 1_000_000_000


@dataclass
class TapCounts:
    """Grows by batches; two numbers a tap and second."""

    frames: dict[str, Counter[int]] = field(default_factory=dict)
    """Tap -> second since the epoch -> frames."""
    latest_ns: dict[str, dict[int, int]] = field(default_factory=dict)
    """Tap -> second -> when its last frame was."""
    first_ns: dict[str, int] = field(default_factory=dict)
    last_ns: dict[str, int] = field(default_factory=dict)

    def add(self, packets: Packets, labels: list[str]) -> None:
        """Takes a batch; `labels` names the taps of its interface indices."""
        timed = packets.time_ns > 0  # a simple packet block has no time
        if not timed.any():
            return
        times, interface = packets.time_ns[timed], packets.interface[timed]
        second = times // SECOND_NS
        start = int(second.min())
        code, inverse, counts = np.unique(
            (second - start) * len(labels) + interface, return_inverse=True, return_counts=True
        )
        latest = np.zeros(len(code), np.int64)
        np.maximum.at(latest, inverse, times)
        for value, count, last in zip(code.tolist(), counts.tolist(), latest.tolist(), strict=True):
            offset, index = divmod(value, len(labels))
            self.frames.setdefault(labels[index], Counter())[start + offset] += count
            its = self.latest_ns.setdefault(labels[index], {})
            its[start + offset] = max(last, its.get(start + offset, 0))
        for index in np.unique(interface).tolist():
            its, label = times[interface == index], labels[index]
            self.first_ns[label] = min(int(its.min()), self.first_ns.get(label, 1 << 62))
            self.last_ns[label] = max(int(its.max()), self.last_ns.get(label, 0))

    def at(self, tap: str) -> Counter[int]:
        """Seconds with frames at a tap."""
        return self.frames.get(tap, Counter())
