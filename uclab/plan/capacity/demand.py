"""What a site's calls and endpoints put on each of its lines, and into which class of its queue (C8)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from uclab.model import topology as model
from uclab.model.bandwidth import PORTS_A_CALL, media_stream, signalling_kbps
from uclab.model.load import LoadedTopology
from uclab.model.traffic import CallTraffic
from uclab.plan.resolve.circuits import sites_behind
from uclab.plan.schema.plan import EgressQueue, Plan, QueueClass


@dataclass(frozen=True)
class Demand:
    """What a site's calls and endpoints send in each direction."""

    calls: int
    media_kbps: float
    """Of one call of the line's own site."""
    all_media_kbps: float
    """Of all calls together; of those of sites behind this one, too, with their codecs."""
    signalling_kbps: float
    """Of all endpoints together."""
    signalling_per_call_kbps: float
    """Of one call: that of as many endpoints as one call stands for."""
    voice_dscp: int
    signalling_dscp: int
    max_loss_pct: float
    """What the policy allows, per cent."""
    relayed_calls: int
    """Calls that the media ports of a session controller are enough for."""

    def with_loss(self) -> Demand:
        """What has to arrive of it, where the policy's loss is borne."""
        kept = 1 - self.max_loss_pct / 100
        return replace(self, media_kbps=self.media_kbps * kept, all_media_kbps=self.all_media_kbps * kept)

    def per_call_kbps(self, queue: EgressQueue, queue_class: QueueClass) -> float:
        """What one call more adds to a class."""
        return self._in(queue, queue_class, self.media_kbps, self.signalling_per_call_kbps)

    def kbps(self, queue: EgressQueue, queue_class: QueueClass) -> float:
        """What all calls and endpoints send in a class."""
        return self._in(queue, queue_class, self.all_media_kbps, self.signalling_kbps)

    def _in(self, queue: EgressQueue, queue_class: QueueClass, media: float, signalling: float) -> float:
        voice_is_here = queue_class is class_of(queue, self.voice_dscp)
        signalling_is_here = queue_class is class_of(queue, self.signalling_dscp)
        return media * voice_is_here + signalling * signalling_is_here


def class_of(queue: EgressQueue, dscp: int) -> QueueClass:
    """The class that takes packets with a DSCP: the one that names it, otherwise the one that names none."""
    for queue_class in queue.classes:
        if dscp in queue_class.dscps:
            return queue_class
    return next(
        (queue_class for queue_class in reversed(queue.classes) if not queue_class.dscps), queue.classes[-1]
    )


def voice_shares(queue: EgressQueue, voice_dscp: int) -> bool:
    """Whether classes are kept apart, but voice has none of its own: it is among all the bulk."""
    return len(queue.classes) > 1 and not class_of(queue, voice_dscp).dscps


def relayed_calls(media_ports: tuple[int, int]) -> int:
    """Calls for which a media relay has ports, in pairs that begin with an even one."""
    low, high = media_ports
    pairs = (high + 1) // 2 - (low + 1) // 2
    return 2 * pairs // PORTS_A_CALL


def demand_of(
    loaded: LoadedTopology, plan: Plan, site: model.Site, tunnel_bytes: int = 0
) -> tuple[Demand, int]:
    """What a site's lines carry, and of how many endpoints: its own, and of the sites behind it (V5); with
    an overlay's `tunnel_bytes` around every packet."""
    sites = [site, *sites_behind(loaded.topology, site)]
    traffics = [behind.traffic.over(loaded.policy.traffic) for behind in sites]
    calls = [
        math.ceil(len(behind.endpoints) * traffic.simultaneous_pct / 100)
        for behind, traffic in zip(sites, traffics, strict=True)
    ]
    media = [media_stream(traffic, tunnel_bytes).kbps("line") for traffic in traffics]
    spread_s = loaded.policy.registration_spread_s

    def signalling(traffic: CallTraffic, endpoints: int) -> float:
        return signalling_kbps(traffic, endpoints, spread_s, tunnel_bytes)

    demand = Demand(
        calls=sum(calls),
        media_kbps=media[0],
        all_media_kbps=sum(count * kbps for count, kbps in zip(calls, media, strict=True)),
        signalling_kbps=sum(
            signalling(traffic, len(behind.endpoints))
            for behind, traffic in zip(sites, traffics, strict=True)
        ),
        signalling_per_call_kbps=signalling(traffics[0], 1) * 100 / traffics[0].simultaneous_pct,
        voice_dscp=plan.policy.voice_dscp,
        signalling_dscp=plan.policy.signalling_dscp,
        max_loss_pct=plan.policy.max_loss_pct,
        relayed_calls=relayed_calls(plan.policy.media_ports),
    )
    return demand, sum(len(behind.endpoints) for behind in sites)
