"""Bandwidth management at the way out of an interface: HTB with a class for each kind of traffic, chosen by
DSCP (N2, C8).

Every class has a short queue of its own (pfifo): a long one would only add delay, and on a port of the
userspace datapath it would fill the sending socket's buffer and hold up other ports. ARP has its filter, or
calls die of unanswered ARP under load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyroute2 import IPRoute
from pyroute2 import NetlinkError as Pyroute2Error

from uclab.emulation import netns
from uclab.emulation.netns import Namespace
from uclab.plan.types import EgressQueue

_ROOT, _LINE = 0x10000, 0x10001
_FIRST_CLASS, _FIRST_LEAF = 0x10, 0x20
_ETH_P_IP, _ETH_P_ARP, _ETH_P_8021Q = 0x0800, 0x0806, 0x8100
_FRAME = 1514
BURST_MS = 2.0
"""A class may send this much at once before it has to wait; longer bursts would show as jitter in the classes
below."""


class QueueError(Exception):
    """The kernel refused a queue; the message names interface and class."""


@dataclass(frozen=True)
class HtbClass:
    """A class as the kernel takes it. Rates in bytes a second, burst in bytes."""

    handle: int
    parent: int
    rate: int
    ceil: int
    priority: int
    burst: int


@dataclass(frozen=True)
class DscpFilter:
    """Packets of an Ethernet protocol, all or those of one DSCP, go to a class."""

    protocol: int
    dscp: int | None
    target: int

    @property
    def key(self) -> str:
        """In pyroute2's form: value/mask+offset, in the network header. After an 802.1Q tag too (u32 counts
        from the IP header)."""
        return "0x0/0x0+0" if self.dscp is None else f"{self.dscp << 2:#04x}/0xfc+1"


def classes(queue: EgressQueue) -> list[HtbClass]:
    """The HTB classes of a queue, the line itself first (pure)."""
    line = _class(_LINE, _ROOT, queue.rate_kbps, queue.rate_kbps, 0)
    return [line] + [
        _class(_handle(number), _LINE, c.rate_kbps, c.ceil_kbps, c.priority)
        for number, c in enumerate(queue.classes)
    ]


def filters(queue: EgressQueue) -> list[DscpFilter]:
    """The filters of a queue (pure). What none takes goes to the class without DSCPs."""
    found: list[DscpFilter] = []
    for number, c in enumerate(queue.classes):
        for protocol in (_ETH_P_IP, _ETH_P_8021Q):
            found += [DscpFilter(protocol, dscp, _handle(number)) for dscp in c.dscps]
        if c.arp:
            found.append(DscpFilter(_ETH_P_ARP, None, _handle(number)))
    return found


def default_class(queue: EgressQueue) -> int:
    """Handle of the class that takes the rest; the last one if all name DSCPs (pure)."""
    numbers = [number for number, c in enumerate(queue.classes) if not c.dscps]
    return _handle(numbers[-1] if numbers else len(queue.classes) - 1)


def install(namespace: Namespace, queue: EgressQueue, index: int) -> None:
    """Put the queue on the interface of that index."""
    with netns.entered(namespace), IPRoute() as kernel:
        try:
            kernel.tc("add", "htb", index, _ROOT, default=default_class(queue) & 0xFFFF)
            for c in classes(queue):
                kernel.tc("add-class", "htb", index, c.handle, parent=c.parent, rate=c.rate, ceil=c.ceil,
                          prio=c.priority, burst=c.burst, cburst=c.burst, quantum=_FRAME)  # fmt: skip
            for number, share in enumerate(queue.classes):
                leaf = (_FIRST_LEAF + number) << 16
                kernel.tc("add", "pfifo", index, leaf, parent=_handle(number), limit=share.limit_packets)
            for priority, f in enumerate(filters(queue), 1):
                kernel.tc("add-filter", "u32", index, parent=_ROOT, prio=priority, protocol=f.protocol,
                          target=f.target, keys=[f.key])  # fmt: skip
        except Pyroute2Error as error:
            raise QueueError(
                f"{namespace.name}: {queue.interface}: the kernel refused HTB: {error}"
            ) from error


def change_rates(namespace: Namespace, queue: EgressQueue, index: int) -> None:
    """Give an installed queue and its classes the rates of this one; what waits in it stays."""
    with netns.entered(namespace), IPRoute() as kernel:
        try:
            for c in classes(queue):
                kernel.tc("change-class", "htb", index, c.handle, parent=c.parent, rate=c.rate, ceil=c.ceil,
                          prio=c.priority, burst=c.burst, cburst=c.burst, quantum=_FRAME)  # fmt: skip
        except Pyroute2Error as error:
            raise QueueError(
                f"{namespace.name}: {queue.interface}: the kernel refused other rates: {error}"
            ) from error


def install_all(namespace: Namespace, queues: Sequence[EgressQueue], indices: dict[str, int]) -> None:
    """Put all queues of a device on their interfaces."""
    for queue in queues:
        install(namespace, queue, indices[queue.interface])


def _handle(number: int) -> int:
    return _ROOT | (_FIRST_CLASS + number)


def _class(handle: int, parent: int, rate_kbps: int, ceil_kbps: int, priority: int) -> HtbClass:
    rate, ceil = rate_kbps * 125, ceil_kbps * 125
    return HtbClass(handle, parent, rate, ceil, priority, max(2 * _FRAME, round(ceil * BURST_MS / 1000)))
