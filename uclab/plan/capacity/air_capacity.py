"""What calls take of an access point's channel: its time, which all that send share (C8, Q2, W7)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from uclab.model.bandwidth import MediaStream, media_stream
from uclab.model.load import LoadedTopology
from uclab.model.wmm import category, contention_us
from uclab.plan.schema.plan import Plan, Policy, RadioChannel

USABLE_PCT = 80.0
"""Share of the channel's time that calls may take; the rest is for signalling, beacons, sent again."""


@dataclass(frozen=True)
class AirCapacity:
    """An access point's channel; shares of its time, per cent."""

    site: str
    access_point: str
    stations: int
    calls: int
    """Calls of its stations at the busiest moment."""
    per_call_pct: float
    """One stream up and one down, in the category of the policy's user priority for voice."""
    need_pct: float
    calls_fit: int
    shortage: tuple[str, ...]
    """What does not fit, in a sentence; empty where all does."""


def air_capacities(loaded: LoadedTopology, plan: Plan) -> tuple[AirCapacity, ...]:
    """Need and room of every access point's channel, of a plan made from that topology."""
    airs = {air.access_point: air for air in plan.airs}
    found = []
    for site in loaded.topology.sites:
        traffic = site.traffic.over(loaded.policy.traffic)
        stream, share = media_stream(traffic), traffic.simultaneous_pct
        own = [airs[point.name] for point in site.access_points]
        found += [air_capacity(air, plan.policy, stream, share, site.name) for air in own]
    return tuple(found)


def air_capacity(
    air: RadioChannel, policy: Policy, stream: MediaStream, simultaneous_pct: float, site: str
) -> AirCapacity:
    """Need and room of a channel. `simultaneous_pct`: share of the stations that are in a call at once."""
    bits = stream.media_kbps("tagged") * stream.packet_ms
    wait_us = contention_us(category(policy.up(policy.voice_dscp)))
    both_us = sum(wait_us + bits * 1000 / kbps for kbps in (air.up_kbps, air.down_kbps))
    per_call_pct = both_us / (stream.packet_ms * 1000) * 100
    calls = math.ceil(len(air.stations) * simultaneous_pct / 100)
    fit, need_pct = math.floor(USABLE_PCT / per_call_pct), calls * per_call_pct
    description = (
        f"site `{site}`, access point `{air.access_point}`: {calls} calls at once take {need_pct:.1f} % of "
        f"the channel's time: room for {fit}; spread its stations over more access points"
    )
    return AirCapacity(
        site=site,
        access_point=air.access_point,
        stations=len(air.stations),
        calls=calls,
        per_call_pct=per_call_pct,
        need_pct=need_pct,
        calls_fit=fit,
        shortage=(description,) if calls > fit else (),
    )
