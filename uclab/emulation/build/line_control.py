"""Lines that change while the lab runs: each direction of each cable, with what it can be made to do.

What a direction does is its planned line, then what its schedule adds, then the brown-out that it suffers.
Black holes are independent of all that, and of cut cables.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from uclab.emulation.link import black_hole
from uclab.emulation.link.cabling import LabIntf
from uclab.emulation.link.impairment import ImpairedDevice
from uclab.emulation.linux import queues
from uclab.emulation.mininet.network import LabNet
from uclab.plan.resolve.queues import at_rate
from uclab.plan.schema.plan import EgressQueue, Impairment, LineStep, LinkEnd, Plan
from uclab.plan.traffic.breakable import controlled_ends, planned_line
from uclab.plan.wan.brown_out import BrownOut
from uclab.plan.wan.schedules import stepped


class NotPossible(Exception):
    """A line cannot be changed as asked; the message says why and what is possible."""


@dataclass(frozen=True)
class LineState:
    """What a direction of a cable does now."""

    link: str
    sender: str
    receiver: str
    impairment: Impairment
    rate_kbps: int | None
    """Of the sender's queue; None where nothing shapes."""

    def as_record(self) -> dict[str, object]:
        """For events."""
        what = self.impairment
        return {
            "sender": self.sender,
            "receiver": self.receiver,
            "delay_ms": what.delay_ms,
            "jitter_ms": what.jitter_ms,
            "loss_pct": what.loss_pct,
            "rate_kbps": self.rate_kbps,
        }


class Direction:
    """One direction of a cable; of a WAN line, from router to router."""

    def __init__(self, plan: Plan, net: LabNet, link: str, sender: LinkEnd, receiver: LinkEnd) -> None:
        self.link = link
        self.sender = sender.device
        self.receiver = receiver.device
        self.interface = sender.interface
        """The sender's."""
        self.step: LineStep | None = None
        """What the line's schedule adds now."""
        self.brown_out: BrownOut | None = None
        self._receiver_interface = receiver.interface
        self._from: LabIntf = net[sender.device].nameToIntf[sender.interface]
        self._to: LabIntf = net[receiver.device].nameToIntf[receiver.interface]
        self.planned: Impairment | None = planned_line(plan, sender, receiver)
        node = next((node for node in plan.nodes if node.name == sender.device), None)
        queues_there = node.queues if node is not None else ()
        self._queue: EgressQueue | None = next(
            (q for q in queues_there if q.interface == sender.interface), None
        )
        self._device: ImpairedDevice | None = next(
            (device for device in net.lines if device.node == receiver.device), None
        )
        self._rate_kbps = self._queue.rate_kbps if self._queue else None
        self._now: LineState | None = self.state()

    def state(self) -> LineState | None:
        """What the direction does now; None where it is a cable and nothing else."""
        if self.planned is None:
            return None
        line, rate = self.planned, self._queue.rate_kbps if self._queue else None
        if self.step is not None:
            line = stepped(line, self.step)
            rate = (self.step.rate_kbps or rate) if self._queue else None
        if self.brown_out is not None:
            line = self.brown_out.on(line)
            rate = self.brown_out.rate_on(rate) if rate else None
        return LineState(self.link, self.sender, self.receiver, line, rate)

    def check(self, brown_out: BrownOut) -> None:
        """Raise `NotPossible` where the direction cannot be changed so."""
        if brown_out.rate_kbps is not None and self._queue is None:
            raise NotPossible(f"{self.link}: nothing shapes what {self.sender} sends: its rate cannot change")

    def apply(self) -> LineState | None:
        """Make the line do what it is to do; returns the state when it does, None where that is no change."""
        wanted = self.state()
        if wanted is None or self._device is None or wanted == self._now:
            return None
        self._now = None  # unknown, if what follows fails
        self._device.change(self._receiver_interface, wanted.impairment)
        if self._queue is not None and wanted.rate_kbps not in (None, self._rate_kbps):
            changed = at_rate(self._queue, wanted.rate_kbps)
            queues.change_rates(self._from.node.live_namespace(), changed, self._from.index)
            self._rate_kbps = wanted.rate_kbps
        self._now = wanted
        return wanted

    def drop_all(self, on: bool) -> None:
        """Begin or end to lose every frame."""
        act = black_hole.drop_all if on else black_hole.let_through
        act(self._to.node.live_namespace(), self._to.index)


class LineControl:
    """All cables of a running network."""

    def __init__(self, plan: Plan, net: LabNet) -> None:
        self._lock = threading.Lock()
        self._of = {
            link: (Direction(plan, net, link, a, b), Direction(plan, net, link, b, a))
            for link, (a, b) in controlled_ends(plan).items()
        }
        every = [way for ways in self._of.values() for way in ways]
        self._leaving = {(way.sender, way.interface): way for way in every if way.planned is not None}

    def states(self, link: str) -> list[LineState]:
        """What the directions of a cable do now; none for one that is a cable and nothing else."""
        return [state for way in self._of.get(link, ()) if (state := way.state()) is not None]

    def brown_out(self, link: str, brown_out: BrownOut, leaving: str | None = None) -> list[LineState]:
        """Change both directions of a line, or what leaves one device by it. Raises `NotPossible`."""
        lines = [direction for direction in self._directions(link, leaving) if direction.planned is not None]
        if not lines:
            impaired = (name for name, ways in self._of.items() if any(way.planned for way in ways))
            raise NotPossible(
                f"{link}: a cable has no delay and no loss to change (it can be cut or be a black hole); "
                f"lines that have: {', '.join(sorted(impaired)) or 'none'}"
            )
        for direction in lines:
            direction.check(brown_out)
        with self._lock:
            for direction in lines:
                direction.brown_out = brown_out
            return [state for direction in lines if (state := direction.apply()) is not None]

    def clear_up(self, link: str) -> list[LineState]:
        """End the brown-out of a line."""
        with self._lock:
            ended = [direction for direction in self._of[link] if direction.brown_out is not None]
            for direction in ended:
                direction.brown_out = None
            return [state for direction in ended if (state := direction.apply()) is not None]

    def step(self, node: str, interface: str, step: LineStep) -> LineState | None:
        """Let a line's schedule have its way with what leaves a device by an interface; None where that
        changes nothing."""
        with self._lock:
            direction = self._leaving[node, interface]
            direction.step = step
            return direction.apply()

    def drop_all(self, link: str, leaving: str | None = None, *, on: bool = True) -> None:
        """Make a cable a black hole, in both directions or for what leaves one device; or end it."""
        for direction in self._directions(link, leaving):
            direction.drop_all(on)

    def _directions(self, link: str, leaving: str | None) -> tuple[Direction, ...]:
        ways = self._of[link]
        chosen = tuple(way for way in ways if leaving in (None, way.sender))
        if not chosen:
            ends = " and ".join(way.sender for way in ways)
            raise NotPossible(f"{link}: nothing leaves `{leaving}` by it; its ends are {ends}")
        return chosen
