"""Bandwidth management and behaviour of a WAN line (N2, C8, Q2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from uclab.model.policy import QueueShare
from uclab.model.profile import Direction, LinkProfile
from uclab.plan.resolve.names import digest
from uclab.plan.schema.plan import Bursts, EgressQueue, Impairment, LinkEnd, QueueClass

SITE_SHARE_PCT = 97
"""The site shapes a little below the line's rate, so that the queue stands in its own router, where classes
are kept."""
FIFO_PACKETS = 60
"""Depth of a line's own queue where nothing tells classes apart."""
FULL_PACKET_BITS = 1500 * 8
"""What a depth in milliseconds is counted in."""


def site_queue(interface: str, rate_kbps: int, shares: Sequence[QueueShare]) -> EgressQueue:
    """The customer router's queue towards its provider."""
    return classes_queue(interface, rate_kbps * SITE_SHARE_PCT // 100, shares)


def provider_queue(interface: str, profile: LinkProfile, shares: Sequence[QueueShare]) -> EgressQueue:
    """The provider's queue towards the customer: with classes where the line's profile says so, otherwise
    one for all; as deep as the profile says, if it does."""
    rate_kbps = profile.down.rate_kbps
    queue = (
        classes_queue(interface, rate_kbps, shares) if profile.honours_classes else fifo(interface, rate_kbps)
    )
    depth = queue_packets(profile)
    if depth is None:
        return queue
    deep = [c if c.dscps else replace(c, limit_packets=depth) for c in queue.classes]
    return replace(queue, classes=tuple(deep))


def queue_packets(profile: LinkProfile) -> int | None:
    """Depth of the provider's queue in packets, None where the profile leaves it open."""
    if profile.queue_ms is None:
        return profile.queue_packets
    return max(1, math.ceil(profile.down.rate_kbps * profile.queue_ms / FULL_PACKET_BITS))


def classes_queue(interface: str, rate_kbps: int, shares: Sequence[QueueShare]) -> EgressQueue:
    """One class for each share of the policy."""
    classes = tuple(
        QueueClass(
            name=share.name,
            dscps=share.dscps,
            rate_kbps=max(1, rate_kbps * share.guaranteed_pct // 100),
            ceil_kbps=max(1, rate_kbps * share.ceiling_pct // 100),
            priority=share.priority,
            limit_packets=share.limit_packets,
            arp=share.arp,
        )
        for share in shares
    )
    return EgressQueue(interface, rate_kbps, classes)


def carrier_queue(
    interface: str,
    rate_kbps: int,
    shares: Sequence[QueueShare],
    sorts_by: Literal["service-pcp", "mpls-tc"],
    code: Callable[[int], int],
) -> EgressQueue:
    """The same classes inside a carrier's network, told apart by service tag or label: `code` maps a DSCP. A
    code of two classes belongs to the first."""
    taken = {0}
    classes = []
    for queue_class, share in zip(classes_queue(interface, rate_kbps, shares).classes, shares, strict=True):
        own = tuple(dict.fromkeys(c for c in map(code, share.dscps) if c not in taken))
        taken.update(own)
        classes.append(replace(queue_class, dscps=(), codes=own))
    return EgressQueue(interface, rate_kbps, tuple(classes), sorts_by)


def control_code(shares: Sequence[QueueShare], code: Callable[[int], int]) -> int:
    """What a carrier marks ARP with: the highest code of the class that takes ARP."""
    return max((code(dscp) for share in shares if share.arp for dscp in share.dscps), default=0)


def fifo(interface: str, rate_kbps: int) -> EgressQueue:
    """One queue for everything."""
    return EgressQueue(
        interface, rate_kbps, (QueueClass("all", (), rate_kbps, rate_kbps, 0, FIFO_PACKETS, arp=True),)
    )


def at_rate(queue: EgressQueue, rate_kbps: int) -> EgressQueue:
    """The queue of a line whose rate has changed: every class keeps its share, and its depth in packets."""
    share = rate_kbps / queue.rate_kbps
    classes = tuple(
        replace(c, rate_kbps=max(1, int(c.rate_kbps * share)), ceil_kbps=max(1, int(c.ceil_kbps * share)))
        for c in queue.classes
    )
    return replace(queue, rate_kbps=rate_kbps, classes=classes)


def without_classes(queue: EgressQueue, kept_dscp: int) -> EgressQueue:
    """A drill's queue: the class of `kept_dscp`, and the one for all others, which gets the rest."""
    kept = [c for c in queue.classes if kept_dscp in c.dscps]
    rest = queue.rate_kbps - sum(c.rate_kbps for c in kept)
    others = [replace(c, rate_kbps=rest, ceil_kbps=queue.rate_kbps) for c in queue.classes if not c.dscps]
    return replace(queue, classes=(*kept, *others))


def narrowed(queue: EgressQueue, rate_kbps: int) -> EgressQueue:
    """A drill's queue: the same classes with the same shares of another rate."""
    classes = tuple(
        replace(
            c,
            rate_kbps=max(1, c.rate_kbps * rate_kbps // queue.rate_kbps),
            ceil_kbps=max(1, c.ceil_kbps * rate_kbps // queue.rate_kbps),
        )
        for c in queue.classes
    )
    return replace(queue, rate_kbps=rate_kbps, classes=classes)


def impairment(
    interface: str, direction: Direction, seed_of: str, arrives_at: LinkEnd | None = None
) -> Impairment:
    """Delay, jitter and loss of one direction; the seed depends on `seed_of` alone: runs can be repeated."""
    bursts = direction.bursts
    return Impairment(
        interface=interface,
        delay_ms=direction.delay_ms,
        jitter_ms=direction.jitter_ms,
        loss_pct=direction.loss_pct,
        limit_packets=max(1000, int(direction.rate_kbps * direction.delay_ms / 8 / 100)),
        seed=1 + int.from_bytes(digest("line", seed_of, size=3)),
        jitter_distribution=direction.jitter_distribution,
        bursts=Bursts(bursts.enter_pct, bursts.leave_pct, bursts.lost_pct) if bursts else None,
        arrives_at=arrives_at,
    )
