"""The walk of a call's media or of an endpoint's signalling: tap by tap in order, and who is to blame where
it changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from uclab.judge.evidence.network import Leg, PlannedNetwork
from uclab.judge.measure.run_evidence import ObservedMarking, RunEvidence
from uclab.judge.measure.streams import Hop, Stream
from uclab.judge.result.media import HopRecord, Walk
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import Direction

LEG_ORDER: dict[Leg, int] = {"direct": 0, "up": 1, "down": 2}


def media_walk(
    evidence: RunEvidence, call: str, direction: Direction, stream: Stream, receiver: Endpoint
) -> Walk:
    """All taps at which a stream was seen, in the order in which its packets passed them."""
    number = evidence.seen.media.streams.index(stream)
    hops = [hop for (stream_number, _, _), hop in evidence.seen.media.hops.items() if stream_number == number]
    sender = evidence.network.endpoints[stream.sender]
    ordered = order_hops(evidence.network, hops, sender.name, receiver.name)
    records: list[HopRecord] = []
    for index, hop in enumerate(ordered):
        markings = evidence.media_markings.get((stream.ssrc, hop.tap, hop.leg), Counter())
        before = ordered[index - 1].packets if index else hop.packets
        lost = max(before - _passed(ordered, index), 0)
        records.append(_record(hop, markings, lost, hop.tap in evidence.network.air_taps))
    return Walk(call, direction, tuple(records))


def order_hops(network: PlannedNetwork, hops: Sequence[Hop], sender: str, receiver: str) -> list[Hop]:
    """By leg; within a leg in the order of the plan's path; taps beside it by median delay.

    (Both ends of a cable see a packet within the clock's noise, so that delay alone would not order them.)
    """
    ordered: list[Hop] = []
    for leg in sorted({hop.leg for hop in hops}, key=lambda leg: LEG_ORDER[leg]):
        on_leg = [hop for hop in hops if hop.leg == leg]
        endpoint = receiver if leg == "down" else sender
        path = network.path_of.get(endpoint) if leg != "direct" else None
        position = {hop.tap: index for index, hop in enumerate(path.hops)} if path else {}
        sign = -1 if leg == "down" else 1
        planned = sorted((h for h in on_leg if h.tap in position), key=lambda hop: sign * position[hop.tap])
        others = sorted((h for h in on_leg if h.tap not in position), key=lambda hop: hop.median_us)
        ordered += _inserted(planned, others)
    return ordered


def _inserted(planned: Sequence[Hop], others: Sequence[Hop]) -> list[Hop]:
    """Taps beside the plan's way, each in front of the first planned one that packets reached later."""
    found, rest = [], list(others)
    latest = 0.0
    for hop in planned:
        latest = max(latest, hop.median_us)
        while rest and rest[0].median_us < latest:
            found.append(rest.pop(0))
        found.append(hop)
    return found + rest


def in_series(network: PlannedNetwork, hops: Sequence[HopRecord], stream: Stream) -> list[HopRecord]:
    """The hops of a stream's walk without those beside it, each with all packets that it or a later one of
    its leg saw: what was seen farther on has not been lost, whatever a capture shows.

    A tap is beside the walk if it is off the plan's way while more was seen farther on: a frame that a switch
    floods, or a packet that came before a route was learnt.
    """
    ends = [network.endpoints[number].name for number in (stream.sender, stream.receiver) if number >= 0]
    planned = {hop.tap for name in ends if name in network.path_of for hop in network.path_of[name].hops}
    found = []
    for index, hop in enumerate(hops):
        passed = _passed(hops, index)
        if hop.tap in planned or hop.packets == passed:
            found.append(replace(hop, packets=passed))
    return found


def _passed(hops: Sequence[Hop] | Sequence[HopRecord], index: int) -> int:
    """Packets that one of a walk's hops, or a later one of its leg, saw."""
    return max(hop.packets for hop in hops[index:] if hop.leg == hops[index].leg)


def _record(hop: Hop, markings: Counter[ObservedMarking], lost: int, on_air: bool) -> HopRecord:
    common = markings.most_common(1)
    marking = common[0][0] if common else ObservedMarking(-1, -1, -1)
    priority = _or_none(marking.pcp)
    return HopRecord(
        tap=hop.tap,
        dscp=_or_none(marking.dscp),
        pcp=None if on_air else priority,
        vlan=_or_none(marking.vlan),
        delay_us=round(hop.median_us, 1),
        packets=hop.packets,
        lost=lost,
        leg=hop.leg,
        mixed=sum(markings.values()) - (common[0][1] if common else 0),
        service_vlan=_or_none(marking.service_vlan),
        service_pcp=_or_none(marking.service_pcp),
        label=_or_none(marking.label),
        tc=_or_none(marking.tc),
        up=priority if on_air else None,
    )


def marking_columns(walk: Walk) -> dict[str, str]:
    """Headings of a walk's table and what they show of a hop; those of Wi-Fi and carriers only where they are
    used."""
    columns = {"DSCP": "dscp", "802.1p": "pcp", "VLAN": "vlan"}
    carried = {
        "UP": "up",
        "S-tag 802.1p": "service_pcp",
        "S-VLAN": "service_vlan",
        "TC": "tc",
        "label": "label",
    }
    used = {
        heading: name
        for heading, name in carried.items()
        if any(getattr(hop, name) is not None for hop in walk.hops)
    }
    return columns | used


def _or_none(value: int) -> int | None:
    return value if value >= 0 else None


def passed_through(network: PlannedNetwork, taps: Sequence[str]) -> str | None:
    """The one device that lies between the first and the last of taps that follow each other on a way; None
    where there are several. (What two taps of two devices have between them is a cable.)"""
    owners = [network.owner(network.device(tap)) for tap in taps]
    inside = {owner for owner, following in pairwise(owners) if owner == following}
    return inside.pop() if len(inside) == 1 else None


def blame_between(network: PlannedNetwork, last_right: str | None, first_wrong: str) -> str:
    """The device that changed something: the one between the last right tap and the first wrong one.

    Taps at both ends of a cable show the same, so a change lies between a device's own two taps; where a tap
    is missing, it is the device in front of the first wrong tap. A change at the very first tap is the
    sender's own.
    """
    wrong = network.owner(network.device(first_wrong))
    if last_right is None:
        return wrong
    right = network.owner(network.device(last_right))
    return wrong if right == wrong else right
