"""What every WAN line and each of its queues must carry, and has room for: in kbit/s and in calls (C8, Q2).

Rates count Ethernet frames without FCS, as Linux' HTB does. A call here is one endpoint's: one stream each
way over the site's line. Two neighbours in a call with each other are two, since media passes the cloud (C7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from uclab.model import topology as model
from uclab.model.bandwidth import PORTS_A_CALL, TUNNEL_BYTES, media_stream
from uclab.model.link_degradation import under
from uclab.model.load import LoadedTopology
from uclab.plan.capacity.air_capacity import air_capacities
from uclab.plan.capacity.demand import Demand, class_of, demand_of, voice_shares
from uclab.plan.capacity.line_capacity import Capacity, DirectionCapacity, LineCapacity, QueueCapacity, Way
from uclab.plan.resolve.circuits import line_interfaces
from uclab.plan.resolve.lines import wan_lines
from uclab.plan.schema.plan import EgressQueue, LinkEnd, Plan, QueueClass

MEDIA_PORTS = "media ports"
ROUNDING_KBPS = 2
"""The planner cuts rates of lines and classes down to whole kbit/s: a line that is enough has that more."""


def capacity(loaded: LoadedTopology, plan: Plan) -> Capacity:
    """Need and room of every WAN line, and of every access point's air, of a plan made from that topology."""
    lines = tuple(line for site in loaded.topology.sites for line in _lines(loaded, plan, site))
    airs = air_capacities(loaded, plan)
    small = any(line.shortage for line in lines) or any(air.shortage for air in airs)
    return Capacity(plan.topology, "fail" if small else "pass", lines, airs)


def _narrow_circuit(plan: Plan, name: str, directions: Sequence[DirectionCapacity]) -> str | None:
    """What an exchange lets in of a circuit drops whatever is above it, calls too (Q2, W5)."""
    circuit = next((c for e in plan.circuit_exchanges for c in e.circuits if c.name == name), None)
    need = max(direction.need_kbps for direction in directions)
    if circuit is None or circuit.rate_kbps >= need:
        return None
    return f"circuit `{name}` has a rate of {circuit.rate_kbps} kbit/s; its calls need {need:.0f} kbit/s"


def _shared(queue: EgressQueue, demand: Demand) -> str | None:
    """Voice among bulk has nothing of its own, however wide the line."""
    if not demand.calls or not voice_shares(queue, demand.voice_dscp):
        return None
    return f"voice shares queue `{class_of(queue, demand.voice_dscp).name}` with all bulk: room for 0"


def _few_ports(plan: Plan, demand: Demand) -> str | None:
    """All calls pass a media relay, which needs ports for each (C7)."""
    if demand.calls <= demand.relayed_calls:
        return None
    low, high = plan.policy.media_ports
    return (
        f"`media.udp_ports` {low}-{high} of policy `{plan.policy.name}` are enough for "
        f"{demand.relayed_calls} calls at once, {demand.calls} are placed; a call takes {PORTS_A_CALL} ports"
    )


def _lines(loaded: LoadedTopology, plan: Plan, site: model.Site) -> list[LineCapacity]:
    lines = []
    for number, connection in enumerate(site.connections):
        near = LinkEnd(site.router.name, line_interfaces(site)[connection.name])
        tunnel_bytes = TUNNEL_BYTES if _is_underlay(plan, near) else 0
        demand, endpoints = demand_of(loaded, plan, site, tunnel_bytes)
        line = next(line for line in wan_lines(plan) if line.near == near)
        profile = under(loaded.profiles[connection.profile], connection.conditions)
        ways: tuple[tuple[Way, LinkEnd, int], ...] = (
            ("up", near, profile.up.rate_kbps),
            ("down", line.far, profile.down.rate_kbps),
        )
        directions, shortage = [], []
        for way, end, line_kbps in ways:
            queue = next(q for q in plan.node(end.device).queues if q.interface == end.interface)
            directions.append(direction_capacity(way, end.device, queue, demand))
            if words := _shared(queue, demand) or _shortage(directions[-1], demand.calls, line_kbps):
                shortage.append(f"site `{site.name}`, line `{connection.name}` {way}: {words}")
        if words := _few_ports(plan, demand):
            shortage.append(words)
        if words := _narrow_circuit(plan, f"{site.name}-{connection.name}", directions):
            shortage.append(words)
        lines.append(
            LineCapacity(
                site=site.name,
                line=connection.name,
                link=line.link,
                standby=number > 0,
                endpoints=endpoints,
                calls=demand.calls,
                stream=media_stream(site.traffic.over(loaded.policy.traffic), tunnel_bytes),
                per_call_kbps=demand.media_kbps,
                directions=tuple(directions),
                shortage=tuple(shortage),
                title=profile.title,
                source=profile.source,
            )
        )
    return lines


def _is_underlay(plan: Plan, near: LinkEnd) -> bool:
    """Whether all that a line carries is in an overlay's tunnel."""
    ends = [tunnel.near for overlay in plan.overlays for tunnel in overlay.tunnels]
    return near in [LinkEnd(end.device, end.underlay) for end in ends]


def direction_capacity(way: Way, device: str, queue: EgressQueue, demand: Demand) -> DirectionCapacity:
    """Need and room of one queue with its classes."""
    queues = tuple(_queue(queue, queue_class, demand) for queue_class in queue.classes)
    need = sum(queue_capacity.need_kbps for queue_capacity in queues)
    per_call = sum(queue_capacity.per_call_kbps for queue_capacity in queues)
    limits = [
        (queue_capacity.calls, queue_capacity.name)
        for queue_capacity in queues
        if queue_capacity.calls is not None
    ]
    limits.append((_whole(queue.rate_kbps, per_call), "line"))
    limits.append((demand.relayed_calls, MEDIA_PORTS))
    limits.sort(key=lambda limit: limit[0])
    return DirectionCapacity(
        way=way,
        device=device,
        interface=queue.interface,
        rate_kbps=queue.rate_kbps,
        kept_apart=len(queue.classes) > 1,
        need_kbps=need,
        room_kbps=max(0.0, queue.rate_kbps - need),
        lacking_kbps=max(0.0, need - queue.rate_kbps),
        calls=limits[0][0],
        full_first=limits[0][1],
        full_next=limits[1][1] if len(queue.classes) > 1 else None,
        calls_alone=_alone(queue, demand),
        calls_alone_lossy=_alone(queue, demand.with_loss()),
        queues=queues,
    )


def _alone(queue: EgressQueue, demand: Demand) -> int:
    """Calls without any signalling, in the class of voice."""
    voice_class, per_call = class_of(queue, demand.voice_dscp), demand.media_kbps
    if len(queue.classes) == 1:
        return min(_whole(queue.rate_kbps, per_call), demand.relayed_calls)
    if voice_shares(queue, demand.voice_dscp):
        return 0
    media_alone = replace(demand, signalling_kbps=0.0, signalling_per_call_kbps=0.0)
    return min(_borrowing(queue, voice_class, per_call, media_alone), demand.relayed_calls)


def _queue(queue: EgressQueue, queue_class: QueueClass, demand: Demand) -> QueueCapacity:
    per_call = demand.per_call_kbps(queue, queue_class)
    need = demand.kbps(queue, queue_class)
    # Bulk takes whatever a queue has that it shares with voice.
    lost = voice_shares(queue, demand.voice_dscp) and queue_class is class_of(queue, demand.voice_dscp)
    return QueueCapacity(
        name=queue_class.name,
        dscps=queue_class.dscps,
        guaranteed_kbps=queue_class.rate_kbps,
        ceiling_kbps=queue_class.ceil_kbps,
        need_kbps=need,
        room_kbps=max(0.0, queue_class.rate_kbps - need),
        lacking_kbps=max(0.0, need - queue_class.rate_kbps),
        per_call_kbps=per_call,
        calls=(0 if lost else _whole(queue_class.rate_kbps, per_call)) if per_call else None,
        calls_borrowing=(0 if lost else _borrowing(queue, queue_class, per_call, demand))
        if per_call
        else None,
    )


def _borrowing(queue: EgressQueue, queue_class: QueueClass, per_call: float, demand: Demand) -> int:
    """HTB lends what is left over to the class with the lowest priority number first. So a class in front of
    the overloaded one gets all but what the others use of their guarantees."""
    rest = [other for other in queue.classes if not other.dscps and other is not queue_class]
    guaranteed = _whole(queue_class.rate_kbps, per_call)
    if not rest or any(other.priority <= queue_class.priority for other in rest):
        return guaranteed
    others = [other for other in queue.classes if other is not queue_class and other not in rest]
    left = queue.rate_kbps - sum(other.rate_kbps for other in rest)
    together = per_call + sum(demand.per_call_kbps(queue, other) for other in others)
    return max(guaranteed, min(_whole(queue_class.ceil_kbps, per_call), _whole(left, together)))


def _shortage(direction: DirectionCapacity, calls: int, line_kbps: int) -> str | None:
    """What does not fit in a direction and what would, or None."""
    if direction.fits:
        return None
    limits: Sequence[tuple[str, int, float]] = [
        *((f"queue `{q.name}` is guaranteed", q.guaranteed_kbps, q.need_kbps) for q in direction.queues),
        ("the line has", direction.rate_kbps, direction.need_kbps),
    ]
    who, rate, need = max(limits, key=lambda limit: limit[2] / limit[1])
    enough = math.ceil((need + ROUNDING_KBPS) / rate * line_kbps / 10) * 10
    at_once = f"{calls} call{'s' if calls != 1 else ''} at once need{'' if calls != 1 else 's'}"
    return (
        f"{who} {rate} kbit/s, {at_once} {need:.1f} kbit/s: room for {direction.calls}; "
        f"choose a line of {enough} kbit/s or more, a narrower codec, or fewer calls at once"
    )


def _whole(rate_kbps: float, per_call_kbps: float) -> int:
    """How many calls fit whole; the allowance is for the last bit of binary fractions."""
    return math.floor(rate_kbps / per_call_kbps + 1e-9)
