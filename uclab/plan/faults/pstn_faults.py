"""Deliberate faults that come from outside: what somebody on the internet does to calls."""

from __future__ import annotations

from dataclasses import replace

from uclab.plan.schema.fault import pick, registered
from uclab.plan.schema.injection import Injection
from uclab.plan.schema.plan import NodeKind, Plan
from uclab.plan.wan.internet import PLACE

RELAY_PORTS = 128
"""Media ports of the relay in this drill: few, so that an intruder finds those in use within a second without
a packet to each of 45,000."""
PACKETS_PER_S = 48
"""To each port in use. A phone sends 50: it gets its media back for most of the time, and loses a third."""
SEARCH_MS = 1000


@registered(
    "media-injected",
    "a host on the internet sends forged RTP to the media relay",
    "media.injected",
    "hub.media",
    "quality.voice",
    may_break=("quality.overload", "audio.heard"),
    blames="web",
)
def _media_injected(plan: Plan, target: str | None) -> Plan:
    """`target` is a public server. It knows the relay's address and ports, and neither keys nor calls."""
    servers = {n.name: n for n in plan.nodes if n.kind is NodeKind.SERVER and n.site == PLACE}
    # The name server is busy with the calls themselves.
    names = {server.node for server in plan.name_servers}
    others = {name: server for name, server in servers.items() if name not in names} or servers
    intruder = pick(others if target is None else servers, target, "public server")
    controllers = tuple(
        replace(
            controller, media_ports=(controller.media_ports[0], controller.media_ports[0] + RELAY_PORTS - 1)
        )
        for controller in plan.session_controllers
    )
    injections = tuple(
        Injection(intruder.name, controller.media_address, controller.media_ports, PACKETS_PER_S, SEARCH_MS)
        for controller in controllers
    )
    return replace(plan, session_controllers=controllers, injections=(*plan.injections, *injections))
