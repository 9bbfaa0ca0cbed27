"""A plan in which the calls that fit on a line can be counted by experiment (C8, Q2).

A load generator at the line's site calls one in the data centre, beside the session controller: so each call
has exactly one stream each way over the line, as `uclab.plan.capacity` counts them. Captures are taken where
they are needed for the answer alone: at both generators and at both ends of the line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface

from uclab.model.bandwidth import TAG_BYTES
from uclab.model.load import LoadedTopology
from uclab.model.traffic import SrtpSuite
from uclab.plan.capacity.calls_per_line import capacity
from uclab.plan.capacity.experiment_record import MeasuringRecord, Spoken, WayRecord
from uclab.plan.capacity.line_capacity import DirectionCapacity, LineCapacity
from uclab.plan.lan.endpoints import tones
from uclab.plan.load.load_placement import (
    LoadGenerator,
    LoadPlan,
    account_of,
    free_addresses,
    free_node_name,
    places_for_generators,
    plug_in,
    with_accounts,
)
from uclab.plan.load.record import PACKET_MS, LoadUser, PoolCodec
from uclab.plan.resolve.lines import wan_lines
from uclab.plan.resolve.names import mac_address, port_interface
from uclab.plan.resolve.plan_edits import with_new_port
from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.plan import (
    BulkTraffic,
    Interface,
    Link,
    LinkEnd,
    Node,
    NodeKind,
    Plan,
    Route,
    SessionController,
    SwitchRole,
    Tap,
)

NEAR, FAR = "callers", "answerers"
MOST_CALLS = 500
"""More calls than this are not placed: one machine cannot carry them."""
BEYOND = 0.1
"""Calls are placed up to this share above the computed number, and a few more."""
FEW = 3
STEP_S = 3.0
"""From one call to the next near the computed number."""
BULK_PCT = 25
"""Bulk beside the calls, of the line's rate: at the limit calls take some 85 %, so that a tenth too much is
sent, and the machine has the rest of its time for the calls."""
SUITE: SrtpSuite = "AES_CM_128_HMAC_SHA1_80"
"""What load generators encrypt with."""


@dataclass(frozen=True)
class Measuring:
    """The plan of an experiment, and what it is about."""

    load_plan: LoadPlan
    record: MeasuringRecord


def measurable(loaded: LoadedTopology, plan: Plan) -> tuple[LineCapacity, ...]:
    """The lines that can be measured: each site's preferred one, where load generators have a place."""
    able = {vlan.site for vlan in places_for_generators(plan)}
    return tuple(line for line in capacity(loaded, plan).lines if not line.standby and line.site in able)


def measuring(plan: Plan, line: LineCapacity, spoken: Spoken = "both") -> Measuring:
    """The experiment for a line, with media in both directions or one.

    `PlanError` where load generators do not speak like that, or the line carries more calls than can be
    placed.
    """
    codec = _codec(line)
    directions = [direction for direction in line.directions if spoken in ("both", direction.way)]
    computed = min(direction.calls_alone for direction in directions)
    most = math.ceil(computed * (1 + BEYOND)) + FEW
    if most > MOST_CALLS:
        raise PlanError(
            f"{_name(line)}: {computed} calls fit by computation; more than {MOST_CALLS} are not placed."
            " Measure a line of a lower rate: its queues have the same shares"
        )
    overloaded = all(direction.kept_apart for direction in line.directions)
    bulk = _bulk(plan, line, directions) if overloaded else ()
    plan, near = _with_callers(plan, line.site, range(most))
    plan, far = _with_answerers(plan, range(most, 2 * most))
    plan = replace(with_accounts(plan, (near, far)), bulk=bulk)
    plan = replace(plan, taps=_needed(plan, line, (near.node, far.node)))
    record = MeasuringRecord(
        site=line.site,
        line=line.line,
        codec=codec,
        per_call_kbps=round(line.per_call_kbps, 2),
        ways=tuple(_way(plan, direction) for direction in directions),
        near=near.node,
        far=far.node,
        most=most,
        spoken=spoken,
        overloaded=overloaded,
        step_s=STEP_S,
    )
    return Measuring(LoadPlan(plan, "", (near, far)), record)


def _name(line: LineCapacity) -> str:
    return f"site {line.site}, line {line.line}"


def _codec(line: LineCapacity) -> PoolCodec:
    """What generators are to speak. `PlanError` where they cannot."""
    stream = line.stream
    if stream.codec == "G722":
        raise PlanError(f"{_name(line)}: G722 is computed only; load generators speak G711 and Opus")
    if stream.packet_ms not in PACKET_MS:
        lengths = ", ".join(map(str, PACKET_MS))
        raise PlanError(
            f"{_name(line)}: packets of {stream.packet_ms} ms are computed only; load generators send"
            f" {lengths} ms"
        )
    if stream.tag_bytes != TAG_BYTES[SUITE]:
        raise PlanError(
            f"{_name(line)}: an SRTP tag of {stream.tag_bytes} bytes is computed only; load generators speak"
            f" {SUITE}"
        )
    kbps = stream.payload_bytes * 8 // stream.packet_ms
    return PoolCodec(stream.codec, stream.packet_ms, kbps)


def _bulk(plan: Plan, line: LineCapacity, directions: Sequence[DirectionCapacity]) -> tuple[BulkTraffic, ...]:
    """Bulk of the line's site, each way that calls speak: enough to overload a line that calls nearly fill.
    `PlanError` where nobody there sends any."""
    rates = {direction.way: direction.rate_kbps * BULK_PCT // 100 for direction in directions}
    found = tuple(
        replace(bulk_flow, rate_kbps=rates[bulk_flow.direction])
        for bulk_flow in plan.bulk
        if bulk_flow.name == f"{line.site}-{bulk_flow.direction}" and bulk_flow.direction in rates
    )
    if len(found) < len(rates):
        raise PlanError(f"{_name(line)}: no PC of the site could overload it with bulk")
    return found


def _way(plan: Plan, direction: DirectionCapacity) -> WayRecord:
    voice = next((q.name for q in direction.queues if plan.policy.voice_dscp in q.dscps), "line")
    tap = next(t for t in plan.taps if (t.device, t.interface) == (direction.device, direction.interface))
    return WayRecord(
        way=direction.way,
        device=direction.device,
        tap=tap.label,
        calls=direction.calls_alone,
        calls_lossy=direction.calls_alone_lossy,
        queue=voice,
        others=next((q.name for q in direction.queues if not q.dscps), voice),
        next=next((n for n in (direction.full_first, direction.full_next) if n and n != voice), None),
    )


def _users(plan: Plan, share: range, address: str) -> tuple[LoadUser, ...]:
    """Users who share an address: what is measured is the line, not the subnet."""
    tone_hz = tones(share.stop)
    return tuple(LoadUser(account_of(plan, number), address, tone_hz[number]) for number in share)


def _with_callers(plan: Plan, site: str, share: range) -> tuple[Plan, LoadGenerator]:
    """The plan with the generator that calls, at an access port of the site's voice VLAN."""
    vlan = next(vlan for vlan in places_for_generators(plan) if vlan.site == site)
    name = free_node_name(plan, NEAR)
    address = free_addresses(plan, vlan, 1)[0]
    mac = mac_address(plan.topology, name, "eth0")
    node = Node(
        name=name,
        kind=NodeKind.PC,
        site=site,
        interfaces=(Interface("eth0", mac, (str(address),)),),
        routes=(Route("0.0.0.0/0", vlan.gateway),),
    )
    plan, plugged = plug_in(plan, vlan, name, mac)
    plan = replace(plan, nodes=(*plan.nodes, node), links=(*plan.links, plugged))
    return plan, LoadGenerator(name, site, "", _users(plan, share, str(address.ip)))


def _with_answerers(plan: Plan, share: range) -> tuple[Plan, LoadGenerator]:
    """The plan with the generator that answers, beside the session controller that phones prefer."""
    phone = next(endpoint for endpoint in plan.endpoints if endpoint.registers)
    controller = next(
        session_controller
        for session_controller in plan.session_controllers
        if session_controller.host_name == phone.registrars[0]
    )
    switch, beside = next(
        (switch, port)
        for switch in plan.switches
        if switch.role is SwitchRole.DATACENTRE
        for port in switch.ports
        if port.peer == controller.node
    )
    name = free_node_name(plan, FAR)
    mac = mac_address(plan.topology, name, "eth0")
    address = _beside(plan, controller)
    number = max(port.number for port in switch.ports) + 1
    interface = port_interface(switch.name, switch.dpid, number)
    port = replace(beside, number=number, interface=interface, peer=name)
    node = Node(name, NodeKind.SERVER, switch.site, (Interface("eth0", mac, (str(address),)),))
    plan = with_new_port(plan, switch.name, port)
    link = Link(f"{name}-{switch.name}", LinkEnd(name, "eth0"), LinkEnd(switch.name, interface), "lan")
    tap = Tap(f"{name}:eth0", name, "eth0", name, False)
    plan = replace(plan, nodes=(*plan.nodes, node), links=(*plan.links, link), taps=(*plan.taps, tap))
    return plan, LoadGenerator(name, switch.site, "", _users(plan, share, str(address.ip)))


def _beside(plan: Plan, controller: SessionController) -> IPv4Interface:
    """A free address in the session controller's network."""
    taken: set[IPv4Interface] = {
        IPv4Interface(cidr) for node in plan.nodes for i in node.interfaces for cidr in i.addresses
    }
    own = next(interface for interface in taken if str(interface.ip) == controller.address)
    free = next(
        (host for host in own.network.hosts() if host not in {interface.ip for interface in taken}), None
    )
    if free is None:
        raise PlanError(f"no free address in {own.network} for the generator that answers")
    return IPv4Interface((free, own.network.prefixlen))


def _needed(plan: Plan, line: LineCapacity, generators: Sequence[str]) -> tuple[Tap, ...]:
    """Captures at both generators and at both ends of the line: each costs the machine calls."""
    ends = next((wan_line.near, wan_line.far) for wan_line in wan_lines(plan) if wan_line.link == line.link)
    wanted = {*ends, *(LinkEnd(generator, "eth0") for generator in generators)}
    return tuple(tap for tap in plan.taps if LinkEnd(tap.device, tap.interface) in wanted)
