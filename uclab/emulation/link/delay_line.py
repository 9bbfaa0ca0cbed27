"""The lab's own line: a process that holds packets for their delay, loses some, and accounts for all of them.

Stands in for netem where the kernel has none. `uclab.emulation.link.impairment` starts one in each device at
which impaired lines arrive; all its lines run in this one process. Run as
`python -m uclab.emulation.link.delay_line`, order on stdin.
"""

from __future__ import annotations

import ctypes
import gc
import heapq
import json
import os
import random
import select
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from uclab.emulation.link import loss_jitter_model
from uclab.emulation.linux.nfqueue import PacketQueues, Verdict
from uclab.plan.schema.codec import from_data
from uclab.plan.schema.plan import Bursts, JitterDistribution

_PR_SET_TIMERSLACK = 29
LATENESS_STEP_US = 10
LATENESS_STEPS = 1000
LATE_NS = 20_000_000
"""Later by the time of a packet of voice."""
ROOM = 20
"""How many times a line's own limit the kernel's queue is, so that the line's limit decides and is accounted
for, also when a longer delay has raised it."""
MESSAGE_BYTES = 1 << 16
DONE = b"done"


@dataclass(frozen=True)
class LineOrder:
    """One direction of a line."""

    queue: int
    """NFQUEUE number."""
    delay_ms: float
    jitter_ms: float
    """Standard deviation of the delay."""
    loss_pct: float
    limit_packets: int
    seed: int
    keep_order: bool
    jitter_distribution: JitterDistribution = "normal"
    bursts: Bursts | None = None


@dataclass
class LineAccount:
    """What a line did: every packet that arrived was delivered, lost, refused for lack of room, or is still
    on its way."""

    arrived: int = 0
    delivered: int = 0
    lost: int = 0
    refused: int = 0
    delay_sum_ms: float = 0.0
    """Of the delays that were decided for delivered packets."""
    lateness_us: list[int] = field(default_factory=lambda: [0] * (LATENESS_STEPS + 1))
    """Histogram: how much later than decided packets were released, in steps of 10 us; the last step holds
    the rest."""

    late_ms: dict[int, float] = field(default_factory=dict)
    """Second since the epoch -> how late the latest packet of it was released, where that is no trifle: this
    process was not given the processor, so it is the machine's doing."""

    def lateness_percentile_us(self, percent: float) -> int:
        """Upper edge of the step in which the percentile falls."""
        wanted = sum(self.lateness_us) * percent / 100
        seen = 0
        for step, count in enumerate(self.lateness_us):
            seen += count
            if seen >= wanted:
                return (step + 1) * LATENESS_STEP_US
        return (LATENESS_STEPS + 1) * LATENESS_STEP_US

    def as_record(self) -> dict[str, Any]:
        """For the JSON file."""
        record = {name: value for name, value in asdict(self).items() if name != "lateness_us"}
        return {
            **record,
            "lateness_p50_us": self.lateness_percentile_us(50),
            "lateness_p99_us": self.lateness_percentile_us(99),
        }


class Line:
    """Decides when a packet leaves (pure: time comes in as an argument). The same seed gives the same
    decisions."""

    def __init__(self, order: LineOrder) -> None:
        self.order = order
        self.account = LineAccount()
        self.held = 0
        self._random = random.Random(order.seed)
        self._loss = loss_jitter_model.Loss(self._random, order.loss_pct, order.bursts)
        self._last_release_ns = 0

    def change(self, order: LineOrder) -> None:
        """Other figures for the packets that arrive from now on; chance goes on where it was, and what is on
        its way keeps its time."""
        self.order = order
        self._loss.change(order.loss_pct, order.bursts)

    def release_ns(self, arrived_ns: int) -> int | None:
        """When the packet that arrived now is to go on, or None: it is lost, or there is no room for it."""
        account, order = self.account, self.order
        account.arrived += 1
        # delay and loss are drawn for every packet, so that a packet's jitter does not depend on the loss of
        # others
        lost = self._loss.lost()
        delay_ms = order.delay_ms
        if order.jitter_ms:
            jitter_ms = order.jitter_ms / loss_jitter_model.TABLE_DEVIATIONS[order.jitter_distribution]
            scatter = loss_jitter_model.deviation(self._random, order.jitter_distribution)
            delay_ms = max(0.0, delay_ms + jitter_ms * scatter)
        if lost:
            account.lost += 1
            return None
        if self.held >= order.limit_packets:
            account.refused += 1
            return None
        release = arrived_ns + round(delay_ms * 1e6)
        if order.keep_order:
            release = max(release, self._last_release_ns)
            self._last_release_ns = release
        self.held += 1
        account.delay_sum_ms += (release - arrived_ns) / 1e6
        return release

    def released(self, late_ns: int, second: int = 0) -> None:
        """The packet went on, this much after its time; `second` since the epoch."""
        self.held -= 1
        if late_ns >= LATE_NS:
            self.account.late_ms[second] = max(self.account.late_ms.get(second, 0.0), late_ns / 1e6)
        self.account.delivered += 1
        self.account.lateness_us[min(max(late_ns, 0) // (LATENESS_STEP_US * 1000), LATENESS_STEPS)] += 1


class DelayLines:
    """All lines of a device on one clock."""

    def __init__(self, lines: list[Line], queues: PacketQueues) -> None:
        self._lines = {line.order.queue: line for line in lines}
        self._queues = queues
        self._waiting: list[tuple[int, int, int, int]] = []
        """Heap of (release time, order of arrival, queue, packet)."""
        self._count = 0

    def change(self, order: LineOrder) -> None:
        """Give a line other figures. What has arrived by now is decided with the old ones."""
        self.take()
        self._lines[order.queue].change(order)

    def take(self) -> None:
        """See what arrived and decide on it."""
        arrivals = self._queues.arrivals()
        # in this order: where the processor is taken away in between, packets go on late, never early
        real = time.time_ns()
        now = time.monotonic_ns()
        for arrival in arrivals:
            # a packet's delay begins when it arrived, not when this process came to see it
            waited_ns = 0 if arrival.arrived_ns is None else max(0, real - arrival.arrived_ns)
            queue, packet = arrival.queue, arrival.packet
            release = self._lines[queue].release_ns(now - waited_ns)
            if release is None:
                self._queues.decide(queue, packet, Verdict.DROP)
            else:
                self._count += 1
                heapq.heappush(self._waiting, (release, self._count, queue, packet))

    def give(self) -> float | None:
        """Release what is due; returns the seconds until the next packet is, None while there is none."""
        waiting = self._waiting
        while waiting:
            now = time.monotonic_ns()
            if waiting[0][0] > now:
                return (waiting[0][0] - now) / 1e9
            release, _, queue, packet = heapq.heappop(waiting)
            self._queues.decide(queue, packet, Verdict.ACCEPT)
            self._lines[queue].released(now - release, time.time_ns() // 1_000_000_000)
        return None


def raise_priority() -> str:
    """Ask for prompt scheduling and exact timers; says what was granted."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        return "real-time"
    except OSError:
        pass
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
        return "nice -15"
    except OSError:
        return "normal"


def write_account(path: Path, lines: list[Line], queues: PacketQueues, scheduling: str) -> None:
    """The account of all lines as JSON."""
    record = {
        "scheduling": scheduling,
        "overflows": queues.overflows,
        "lines": {str(line.order.queue): line.account.as_record() for line in lines},
    }
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1))
    temporary.replace(path)


def answer(control: socket.socket, delay: DelayLines) -> bool:
    """Carry out a message of changed orders and say so; False when nobody is there to send any more."""
    message = control.recv(MESSAGE_BYTES)
    if not message:
        return False
    for changed in json.loads(message):
        delay.change(from_data(LineOrder, changed))
    control.send(DONE)
    return True


def main() -> None:
    """Serve until SIGTERM or SIGINT; SIGUSR1 writes the account, messages on the control socket change
    lines."""
    order = json.load(sys.stdin)
    lines = [Line(from_data(LineOrder, line)) for line in order["lines"]]
    queues = PacketQueues([(line.order.queue, ROOM * line.order.limit_packets) for line in lines])
    scheduling = raise_priority()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    os.write(order["ready_fd"], b"1")
    os.close(order["ready_fd"])
    delay = DelayLines(lines, queues)
    account = Path(order["account"])
    # select() is the only wait finer than a millisecond, and takes no descriptor above 1023: a large lab's
    # hands one down that is higher.
    control = socket.socket(fileno=os.dup(order["control_fd"]))
    os.close(order["control_fd"])
    sources: list[Any] = [queues.fileno(), reader, control]
    while True:
        timeout = delay.give()
        readable, _, _ = select.select(sources, [], [], timeout)
        if queues.fileno() in readable:
            delay.take()
        if control in readable and not answer(control, delay):
            sources.remove(control)
        if reader in readable:
            signals = os.read(reader, 64)
            write_account(account, lines, queues, scheduling)
            if signal.SIGTERM in signals or signal.SIGINT in signals:
                return


if __name__ == "__main__":
    main()
