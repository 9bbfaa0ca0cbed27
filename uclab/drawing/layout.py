"""Where everything stands in the drawing of a plan: cloud on top, below it the internet, the sites, the
phones. Pixels."""

from __future__ import annotations

from dataclasses import replace

from uclab.drawing.boxes import (
    DATACENTRE,
    MARGIN,
    ROW,
    TITLE,
    Box,
    Frame,
    Icon,
    Layout,
    spread,
)
from uclab.drawing.site import place_site, site_width
from uclab.plan.resolve.circuits import border_router
from uclab.plan.schema.plan import NodeKind, Plan, SwitchRole
from uclab.plan.wan.circuit_handoff import PEERING_SWITCH
from uclab.plan.wan.datacentre_peering import web_server


def arrange(plan: Plan) -> Layout:
    """Places for all devices of a plan."""
    sites = list(dict.fromkeys(vlan.site for vlan in plan.vlans))
    widths = [site_width(plan, site) for site in sites]
    places = list(dict.fromkeys(s.site for s in plan.switches if s.role is SwitchRole.DATACENTRE))
    inner = max(sum(widths) + MARGIN * (len(widths) - 1), (DATACENTRE + MARGIN) * len(places), 760.0)
    middle = MARGIN + inner / 2
    boxes: dict[str, Box] = {}
    frames: list[Frame] = []

    top = TITLE
    frames += [
        _datacentre(plan, place, number, len(places), middle, top, boxes)
        for number, place in enumerate(places)
    ]
    private = any(switch.role is SwitchRole.CARRIER for switch in plan.switches)
    top += (3 if private else 2) * ROW + 40 + ROW * max(_further_rows(plan, place) for place in places)
    frames.append(_internet(plan, middle, top, inner, boxes))
    top += 2 * ROW + 40
    top = _exchanges(plan, middle, top, boxes)
    top = _modems(plan, middle, top, boxes)
    if carriers := _carriers(plan, middle, top, boxes):
        frames.append(carriers)
        top += carriers.height + 22
    left = middle - (sum(widths) + MARGIN * (len(widths) - 1)) / 2
    bottom = top
    for site, width in zip(sites, widths, strict=True):
        frame = place_site(plan, site, left, top, width, boxes)
        frames.append(frame)
        bottom = max(bottom, frame.top + frame.height)
        left += width + MARGIN
    return Layout(boxes, tuple(frames), inner + 2 * MARGIN, bottom)


def _datacentre(
    plan: Plan, place: str, number: int, count: int, middle: float, top: float, boxes: dict[str, Box]
) -> Frame:
    width = DATACENTRE
    centre = middle + (number - (count - 1) / 2) * (width + MARGIN)
    nodes = [node for node in plan.nodes if node.site == place]
    servers = [node for node in nodes if node.kind is NodeKind.SERVER]
    upper, lower = top + 64, top + 64 + ROW
    third = lower + ROW
    switch = next(s for s in plan.switches if s.site == place)
    boxes[switch.name] = Box(switch.name, "switch", "data-centre switch", centre, upper)
    spots = iter(((-220, upper), (220, upper)))
    others = iter(((-220, lower), (220, lower)))
    peers, controllers = {p.node for p in plan.pstn_peers}, {c.node for c in plan.session_controllers}
    further = {server.node: server.service.replace("-", " ") for server in plan.cloud_servers}
    servers = [node for node in servers if node.name not in further]
    for node in sorted(servers, key=lambda n: n.name not in controllers | peers):
        icon: Icon = "telephone-network" if node.name in peers else "server"
        role = "session controller" if node.name in controllers else "load generator"
        subtitle = "telephone network" if node.name in peers else role
        if node.name == web_server(place):
            subtitle, side, y = "web server", -220, third
        else:
            side, y = next(spots if node.name in controllers | peers else others)
        boxes[node.name] = Box(node.name, icon, subtitle, centre + side, y)
    for node in nodes:
        if node.kind is NodeKind.CLOUD_ROUTER:
            border = node.name == border_router(place)
            subtitle, side, y = ("border router", 0, lower) if border else ("peering router", 220, third)
            boxes[node.name] = Box(node.name, "router", subtitle, centre + side, y)
    rows = 2 if any(b.y == third for b in boxes.values()) else 1
    here = [node.name for node in nodes if node.name in further]
    for count, name in enumerate(here):
        row, column = divmod(count, A_ROW)
        x, y = centre + 220 * (column - 1), upper + (rows + 1 + row) * ROW
        boxes[name] = Box(name, "server", further[name], x, y)
    height = ROW * (rows + _further_rows(plan, place)) + 122
    domain = plan.session_controllers[0].domain
    return Frame("cloud", f"{domain} · data centre {place}", centre - width / 2, top, width, height)


A_ROW = 3
"""Servers of further services beside each other."""


def _further_rows(plan: Plan, place: str) -> int:
    """Rows that a data centre's servers of further services take."""
    here = sum(plan.node(server.node).site == place for server in plan.cloud_servers)
    return -(-here // A_ROW)


def _internet(plan: Plan, middle: float, top: float, inner: float, boxes: dict[str, Box]) -> Frame:
    upper, lower = top + 62, top + 62 + ROW
    here = [node for node in plan.nodes if node.site == "internet"]
    names = {server.node for server in plan.name_servers}
    boxes |= {
        node.name: Box(node.name, "router", "internet core", middle, upper)
        for node in here
        if node.kind is NodeKind.ROUTER
    }
    servers = [node for node in here if node.kind is NodeKind.SERVER]
    for node, side in zip(servers, (-1, 1), strict=False):
        subtitle = "public DNS" if node.name in names else "public server"
        boxes[node.name] = Box(node.name, "server", subtitle, middle + side * 240, upper)
    providers = [node for node in here if node.kind is NodeKind.ISP]
    for node, x in zip(providers, spread(len(providers), middle, 230.0), strict=True):
        boxes[node.name] = Box(node.name, "router", "provider", x, lower)
    width = max(660.0, 230.0 * len(providers))
    return Frame("internet", "internet", middle - width / 2, top, width, ROW + 114)


def _carriers(plan: Plan, middle: float, top: float, boxes: dict[str, Box]) -> Frame | None:
    """Private circuits: the cloud's peering switches above the carriers' networks above the sites'
    termination units; None without any."""
    switches = [switch for switch in plan.switches if switch.role is SwitchRole.CARRIER]
    exchange = [switch for switch in plan.switches if switch.role is SwitchRole.SDN_EXCHANGE]
    if not switches and not exchange:
        return None
    peering = [s.name for s in switches if s.name.endswith(PEERING_SWITCH)]
    units = [s.name for s in switches if s.name not in peering]
    inside = [*_networks(plan), *(s.name for s in exchange)]
    y, widest = top + 62, 0
    for row in (peering, inside, units):
        for name, x in zip(row, spread(len(row), middle, 190.0), strict=True):
            known = name in peering, name in units
            subtitle = "peering switch" if known[0] else "circuit's end" if known[1] else "carrier"
            boxes[name] = Box(name, "switch", subtitle, x, y)
        y += ROW if row or row is peering else 0
        widest = max(widest, len(row))
    for node in (node for node in plan.nodes if node.kind is NodeKind.OTHER_CUSTOMER):
        boxes[node.name] = replace(boxes[node.name], icon="router", subtitle="other customer")
    width = max(660.0, 190.0 * widest + 40)
    return Frame("carriers", "private circuits", middle - width / 2, top, width, y - top - 52)


def _networks(plan: Plan) -> list[str]:
    """Switches and other customers of all carriers in one row: customers outside, the core in the middle."""
    switches = [s for s in plan.switches if s.role is SwitchRole.CARRIER_NETWORK]
    others = {n.name for n in plan.nodes if n.kind is NodeKind.OTHER_CUSTOMER}
    row: list[str] = []
    for core in (s for s in switches if not any(p.peer in others or p.tagged for p in s.ports)):
        edges = [s for s in switches if any(p.peer == core.name for p in s.ports)]
        half = (len(edges) + 1) // 2
        for edge in edges[:half]:
            row += [*(p.peer for p in edge.ports if p.peer in others), edge.name]
        row.append(core.name)
        for edge in edges[half:]:
            row += [edge.name, *(p.peer for p in edge.ports if p.peer in others)]
    return row


def _exchanges(plan: Plan, middle: float, top: float, boxes: dict[str, Box]) -> float:
    """Peering LANs, each beside its route server; where what comes next begins."""
    switches = [switch for switch in plan.switches if switch.role is SwitchRole.EXCHANGE]
    if sum(node.kind is NodeKind.ISP for node in plan.nodes) % 2:
        middle -= 115  # in the gap between two providers
    for switch, x in zip(switches, spread(len(switches), middle, 400.0), strict=True):
        boxes[switch.name] = Box(switch.name, "switch", "peering LAN", x, top + 20)
        server = f"{switch.name}-rs"
        boxes[server] = Box(server, "server", "route server", x + 190, top + 20)
    return top + (ROW if switches else 0)


def _modems(plan: Plan, middle: float, top: float, boxes: dict[str, Box]) -> float:
    """Modems in a row between the internet and the sites; where what comes next begins."""
    switches = [switch for switch in plan.switches if switch.role is SwitchRole.MODEM]
    for switch, x in zip(switches, spread(len(switches), middle, 190.0), strict=True):
        boxes[switch.name] = Box(switch.name, "switch", "modem", x, top + 20)
    return top + (ROW if switches else 0)
