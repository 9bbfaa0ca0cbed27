"""Bandwidth management at the way out of an interface: HTB with a class for each kind of traffic, chosen by
DSCP (N2, C8), in a carrier's network by service tag or label (Q1).

Every class has a short queue of its own (pfifo): a long one would only add delay, and on a port of the
userspace datapath it would fill the sending socket's buffer and hold up other ports. ARP has its filter, or
unanswered ARP drops calls under load.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from pyroute2 import NetlinkError as Pyroute2Error

from uclab.emulation.linux import netns
from uclab.emulation.linux.netns import Namespace
from uclab.plan.schema.plan import EgressQueue

_ROOT, _LINE = 0x10000, 0x10001
_FIRST_CLASS, _FIRST_LEAF = 0x10, 0x20
_ETH_P_IP, _ETH_P_ARP, _ETH_P_8021Q, _ETH_P_MPLS = 0x0800, 0x0806, 0x8100, 0x8847
_FRAME = 1514
_AUX, _FRAME_START, _FITS = (1 << 32) - 0x1000, (1 << 32) - 0x200000, (1 << 32) - 1
"""Classic BPF (linux/filter.h): SKF_AD_OFF, where 48 says whether a tag stands beside the frame and 44 is
that tag; SKF_LL_OFF, the frame from its first byte; and the value that means "this class"."""
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
class LabelFilter:
    """MPLS packets of a traffic class go to a class: bits 20 to 22 of the label stack entry (RFC 5462)."""

    tc: int
    target: int
    protocol: int = _ETH_P_MPLS

    @property
    def key(self) -> str:
        """In pyroute2's form; the label stack is the network header."""
        return f"{self.tc << 1:#04x}/0x0e+2"


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


def filters(queue: EgressQueue) -> list[DscpFilter | LabelFilter]:
    """The u32 filters of a queue (pure). What none takes goes to the class without DSCPs or codes."""
    if queue.sorts_by == "mpls-tc":
        return [LabelFilter(tc, _handle(n)) for n, c in enumerate(queue.classes) for tc in c.codes]
    if queue.sorts_by == "service-pcp":
        return []
    found: list[DscpFilter | LabelFilter] = []
    for number, c in enumerate(queue.classes):
        for protocol in (_ETH_P_IP, _ETH_P_8021Q):
            found += [DscpFilter(protocol, dscp, _handle(number)) for dscp in c.dscps]
        if c.arp:
            found.append(DscpFilter(_ETH_P_ARP, None, _handle(number)))
    return found


def service_tag_filters(queue: EgressQueue) -> list[str]:
    """`tc` commands for classes chosen by the priority of the service tag (pure).

    Classic BPF, because that tag may stand in the frame (a socket sent it) or beside it (the kernel's own
    datapath did), and u32 sees only the one. Jumps are relative; the last but one says that it fits.
    """
    if queue.sorts_by != "service-pcp":
        return []
    beside = f"32 0 0 {_AUX + 48},21 2 0 0,32 0 0 {_AUX + 44},5 0 0 1"
    commands: list[str] = []
    for number, c in enumerate(queue.classes):
        for pcp in c.codes:
            program = f"{beside},40 0 0 {_FRAME_START + 14},116 0 0 13,21 0 1 {pcp},6 0 0 {_FITS},6 0 0 0"
            commands.append(
                f"filter add dev {queue.interface} parent 1: protocol 802.1ad prio {len(commands) + 1} "
                f"bpf bytecode '9,{program}' classid 1:{_FIRST_CLASS + number:x}"
            )
    return commands


def default_class(queue: EgressQueue) -> int:
    """Handle of the class that takes the rest; the last one if all name DSCPs or codes (pure)."""
    numbers = [number for number, c in enumerate(queue.classes) if not c.dscps and not c.codes]
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
        if commands := service_tag_filters(queue):
            batch = "\n".join([*commands, ""])
            done = subprocess.run(["tc", "-batch", "-"], input=batch, capture_output=True, text=True)
            if done.returncode:
                raise QueueError(
                    f"{namespace.name}: {queue.interface}: tc refused a filter: {done.stderr.strip()}"
                )


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


@dataclass(frozen=True)
class ClassCounters:
    """What the kernel has counted of a class since the queue was installed."""

    rate_kbps: float
    octets: int
    dropped: int
    waiting: int
    """Packets, now."""


def counters(kernel: IPRoute, queue: EgressQueue, index: int) -> list[ClassCounters]:
    """The counters of a queue's classes, in their order. `kernel` is a socket of the interface's namespace.
    Raises `QueueError` where the queue is gone."""
    try:
        classes = {kernel_class["handle"]: kernel_class for kernel_class in kernel.get_classes(index=index)}
        return [_counted(classes[_handle(number)]) for number in range(len(queue.classes))]
    except (Pyroute2Error, KeyError, AttributeError, OSError) as error:
        raise QueueError(f"{queue.interface}: the kernel does not tell its classes: {error}") from error


def _counted(kernel_class: Any) -> ClassCounters:
    statistics = kernel_class.get_attr("TCA_STATS2")
    sent, queued = statistics.get_attr("TCA_STATS_BASIC"), statistics.get_attr("TCA_STATS_QUEUE")
    rate = kernel_class.get_attr("TCA_OPTIONS").get_attr("TCA_HTB_PARMS")["rate"]
    return ClassCounters(rate / 125, sent["bytes"], queued["drops"], queued["qlen"])


def install_all(namespace: Namespace, queues: Sequence[EgressQueue], indices: dict[str, int]) -> None:
    """Put all queues of a device on their interfaces."""
    for queue in queues:
        install(namespace, queue, indices[queue.interface])


def _handle(number: int) -> int:
    return _ROOT | (_FIRST_CLASS + number)


def _class(handle: int, parent: int, rate_kbps: int, ceil_kbps: int, priority: int) -> HtbClass:
    rate, ceil = rate_kbps * 125, ceil_kbps * 125
    return HtbClass(handle, parent, rate, ceil, priority, max(2 * _FRAME, round(ceil * BURST_MS / 1000)))
