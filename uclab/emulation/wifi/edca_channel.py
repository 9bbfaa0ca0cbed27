"""A Wi-Fi channel: who may send next, how long that takes, and when the frame arrives (W7, Q1). Pure: time
comes in as an argument.

One frame at a time, whoever sends. Of the frames that wait, those of the best access category go first, in
turns between the access point and its stations; each has the channel for its category's mean wait and its own
length. So bulk shares what voice leaves. Behind the channel come delay, jitter and loss of the radio, in each
direction and category by itself: a late frame of bulk holds up no voice.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from uclab.emulation.link.delay_line import Line, LineOrder
from uclab.model.wmm import CATEGORIES, AccessCategory, category, contention_us
from uclab.plan.schema.plan import Impairment, RadioChannel

Way = Literal["up", "down"]
FCS_BYTES = 4


@dataclass(frozen=True)
class Sent:
    """A frame that somebody wants to send."""

    way: Way
    targets: tuple[str, ...]
    """The air's interfaces by which it goes on."""
    frame: bytes
    arrived_ns: int


@dataclass(order=True)
class _Flying:
    release_ns: int
    number: int
    sent: Sent = field(compare=False)
    line: Line = field(compare=False)


class Medium:
    """The channel of an `RadioChannel`. The same seeds give the same decisions."""

    def __init__(self, air: RadioChannel) -> None:
        self._rate_kbps = {"up": air.up_kbps, "down": air.down_kbps}
        self._lines: dict[tuple[Way, AccessCategory], Line] = {}
        ways: tuple[tuple[Way, Impairment], ...] = (("up", air.up), ("down", air.down))
        for way, line in ways:
            for number, access_category in enumerate(CATEGORIES):
                self._lines[way, access_category] = Line(_order(line, number))
        self._limit = air.queue_packets
        self._waiting: dict[AccessCategory, dict[str, deque[Sent]]] = {
            access_category: {} for access_category in CATEGORIES
        }
        """By category and sender, in the order of their turns."""
        self._refused: dict[tuple[Way, AccessCategory], int] = dict.fromkeys(self._lines, 0)
        self._airtime_ns: dict[AccessCategory, int] = dict.fromkeys(CATEGORIES, 0)
        self._free_ns = 0
        self._flying: list[_Flying] = []
        self._count = 0

    def offer(self, sender: str, up: int, sent: Sent) -> bool:
        """A frame of user priority `up` waits for the channel; False where its sender has no room for it."""
        access_category = category(up)
        queue = self._waiting[access_category].setdefault(sender, deque())
        if len(queue) >= self._limit:
            self._refused[sent.way, access_category] += 1
            return False
        queue.append(sent)
        return True

    def take_turns(self, now_ns: int) -> None:
        """Let the channel carry what it can begin to carry by now."""
        while self._free_ns <= now_ns and (turn := self._next()) is not None:
            access_category, sent = turn
            bits = 8 * (len(sent.frame) + FCS_BYTES)
            airtime_ns = round(contention_us(access_category) * 1000 + bits * 1e6 / self._rate_kbps[sent.way])
            self._free_ns = max(self._free_ns, sent.arrived_ns) + airtime_ns
            self._airtime_ns[access_category] += airtime_ns
            line = self._lines[sent.way, access_category]
            release_ns = line.release_ns(self._free_ns)
            if release_ns is not None:
                self._count += 1
                heapq.heappush(self._flying, _Flying(release_ns, self._count, sent, line))

    def arriving(self, now_ns: int) -> list[Sent]:
        """The frames that have arrived by now."""
        arrived: list[Sent] = []
        while self._flying and self._flying[0].release_ns <= now_ns:
            flying = heapq.heappop(self._flying)
            flying.line.released(now_ns - flying.release_ns)
            arrived.append(flying.sent)
        return arrived

    def next_ns(self) -> int | None:
        """When something happens next without anybody sending; None: nothing does."""
        times = [self._flying[0].release_ns] if self._flying else []
        if any(self._waiting[access_category] for access_category in CATEGORIES):
            times.append(self._free_ns)
        return min(times, default=None)

    def account(self) -> dict[str, Any]:
        """What each direction and category did; airtime in milliseconds."""
        lines = {
            f"{way} {access_category}": {
                **line.account.as_record(),
                "no_room": self._refused[way, access_category],
            }
            for (way, access_category), line in self._lines.items()
        }
        return {
            "lines": lines,
            "airtime_ms": {access_category: ns / 1e6 for access_category, ns in self._airtime_ns.items()},
        }

    def _next(self) -> tuple[AccessCategory, Sent] | None:
        for access_category in CATEGORIES:
            senders = self._waiting[access_category]
            if senders:
                sender = next(iter(senders))
                queue = senders.pop(sender)
                sent = queue.popleft()
                if queue:
                    senders[sender] = queue  # behind all others: it has had its turn
                return access_category, sent
        return None


def _order(line: Impairment, number: int) -> LineOrder:
    """A direction's radio for one of its categories: the same figures, chance of its own."""
    return LineOrder(
        queue=number,
        delay_ms=line.delay_ms,
        jitter_ms=line.jitter_ms,
        loss_pct=line.loss_pct,
        limit_packets=line.limit_packets,
        seed=line.seed + number,
        keep_order=line.keep_order,
        jitter_distribution=line.jitter_distribution,
        bursts=line.bursts,
    )
