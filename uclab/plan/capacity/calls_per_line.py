"""What every WAN line and each of its queues must carry, and has room for: in kbit/s and in calls (C8, Q2).

Rates count Ethernet frames without FCS, as Linux' HTB does. A call here is one endpoint's: one stream each
way over the site's line. Two neighbours in a call with each other are two, since media passes the cloud (C7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from uclab.model import topology as model
from uclab.model.bandwidth import PORTS_A_CALL, TUNNEL_BYTES, MediaStream, media_stream
from uclab.model.link_degradation import under
from uclab.model.load import LoadedTopology
from uclab.plan.capacity.air_capacity import AirCapacity, air_capacities
from uclab.plan.capacity.demand import Demand, class_of, demand_of, voice_shares
from uclab.plan.resolve.circuits import line_interfaces
from uclab.plan.resolve.lines import wan_lines
from uclab.plan.schema.plan import EgressQueue, LinkEnd, Plan, QueueClass

Way = Literal["up", "down"]
MEDIA_PORTS = "media ports"
ROUNDING_KBPS = 2
"""The planner cuts rates of lines and classes down to whole kbit/s: a line that is enough has that more."""


@dataclass(frozen=True)
class QueueCapacity:
    """One class of a line's queue, in one direction."""

    name: str
    dscps: tuple[int, ...]
    guaranteed_kbps: int
    ceiling_kbps: int
    need_kbps: float
    room_kbps: float
    """What is left of the guaranteed rate; 0 where the need is larger."""
    lacking_kbps: float
    """By how much the need is larger than the guaranteed rate."""
    per_call_kbps: float
    """What one call more adds, with its share of the signalling."""
    calls: int | None
    """Calls that the guaranteed rate carries, whatever else is sent; None where calls put nothing here."""
    calls_borrowing: int | None
    """Calls that fit while the class for everything else is overloaded: with what the others leave of their
    guarantees."""


@dataclass(frozen=True)
class DirectionCapacity:
    """One direction of a line, where it is queued."""

    way: Way
    device: str
    interface: str
    rate_kbps: int
    """Rate that the queue shapes to."""
    kept_apart: bool
    """False where one queue takes everything: then calls have no rate of their own under overload."""
    need_kbps: float
    room_kbps: float
    lacking_kbps: float
    calls: int
    """Calls that fit: until the first queue, or the line, is full."""
    full_first: str
    """The queue that is full first when calls are added; `line` where it is all of it, `media ports` where
    the session controller has no more."""
    full_next: str | None
    """What is the next bottleneck, had the first more room."""
    calls_alone: int
    """Calls that fit when nothing else has priority: beside bulk that overloads the line, where classes are
    kept apart. That is what an experiment finds (`uclab.plan.capacity.capacity_experiment`)."""
    calls_alone_lossy: int
    """The same where as much of voice may get lost as the policy allows: a call more may then hold."""
    queues: tuple[QueueCapacity, ...]

    @property
    def fits(self) -> bool:
        """Whether line and queues are as large as their needs."""
        return self.lacking_kbps == 0 and all(queue.lacking_kbps == 0 for queue in self.queues)


@dataclass(frozen=True)
class LineCapacity:
    """A WAN line of a site."""

    site: str
    line: str
    link: str
    standby: bool
    """True where another line is preferred: then it needs its room after a failover (V2)."""
    endpoints: int
    calls: int
    """Calls at the busiest moment."""
    stream: MediaStream
    per_call_kbps: float
    """Media of one call, each way."""
    directions: tuple[DirectionCapacity, ...]
    shortage: tuple[str, ...]
    """What does not fit, a sentence for each direction; empty where all does."""
    title: str = ""
    """What the line is, as its profile says for people..."""
    source: str = ""
    """...and where its numbers come from."""


@dataclass(frozen=True)
class Capacity:
    """The capacity of a whole topology."""

    topology: str
    verdict: Literal["pass", "fail"]
    lines: tuple[LineCapacity, ...]
    airs: tuple[AirCapacity, ...] = ()
    """Channels of access points."""

    @property
    def shortage(self) -> tuple[str, ...]:
        """Everything that does not fit."""
        lines = dict.fromkeys(reason for line in self.lines for reason in line.shortage)
        return (*lines, *(reason for air in self.airs for reason in air.shortage))


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
