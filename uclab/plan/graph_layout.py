"""Where everything stands in the drawing of a plan: cloud on top, below it the internet, the sites, the
phones. Pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from uclab.plan.carriage import PEERING_SWITCH
from uclab.plan.circuits import border_router
from uclab.plan.datacentre_peering import web_server
from uclab.plan.sites import DEFAULT
from uclab.plan.types import Node, NodeKind, Plan, PortMode, Switch, SwitchRole

Icon = Literal[
    "router", "firewall", "switch", "phone", "softclient", "pc", "server", "telephone-network", "access-point"
]

DEVICE_WIDTH, DEVICE_HEIGHT = 148.0, 46.0
LEAF_WIDTH, LEAF_HEIGHT = 72.0, 58.0
COLUMN = 88.0
"""Distance between two phones."""
ROW = 104.0
"""Distance between two rows of devices."""
MARGIN, PADDING = 28.0, 26.0
DATACENTRE = 630.0
ZONE = 66.0
"""Width of a firewall for each zone."""
TITLE = 62.0


@dataclass(frozen=True)
class Box:
    """A device; `x`, `y` is its middle."""

    name: str
    icon: Icon
    subtitle: str
    x: float
    y: float
    width: float = DEVICE_WIDTH
    height: float = DEVICE_HEIGHT
    vlan: tuple[str, int] | None = None
    """Site and VLAN id."""

    @property
    def is_leaf(self) -> bool:
        """Drawn upright: icon over name."""
        return self.width == LEAF_WIDTH


@dataclass(frozen=True)
class Frame:
    """A place: what stands in it belongs together."""

    kind: Literal["cloud", "internet", "site", "carriers"]
    title: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """The whole drawing."""

    boxes: dict[str, Box]
    """By device; a desk phone and its built-in switch are one box."""
    frames: tuple[Frame, ...]
    width: float
    height: float


def arrange(plan: Plan) -> Layout:
    """Places for all devices of a plan."""
    sites = list(dict.fromkeys(vlan.site for vlan in plan.vlans))
    widths = [_site_width(plan, site) for site in sites]
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
    top += (3 if private else 2) * ROW + 40
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
        frame = _site(plan, site, left, top, width, boxes)
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
    height = ROW * (2 if any(b.y == third for b in boxes.values()) else 1) + 122
    domain = plan.session_controllers[0].domain
    return Frame("cloud", f"{domain} · data centre {place}", centre - width / 2, top, width, height)


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
    for node, x in zip(providers, _spread(len(providers), middle, 230.0), strict=True):
        boxes[node.name] = Box(node.name, "router", "provider", x, lower)
    width = max(660.0, 230.0 * len(providers))
    return Frame("internet", "internet", middle - width / 2, top, width, ROW + 114)


def _carriers(plan: Plan, middle: float, top: float, boxes: dict[str, Box]) -> Frame | None:
    """Private circuits: the cloud's peering switches above the carriers' networks above the sites'
    termination units; None without any."""
    there = [switch for switch in plan.switches if switch.role is SwitchRole.CARRIER]
    exchange = [switch for switch in plan.switches if switch.role is SwitchRole.SDN_EXCHANGE]
    if not there and not exchange:
        return None
    peering = [s.name for s in there if s.name.endswith(PEERING_SWITCH)]
    units = [s.name for s in there if s.name not in peering]
    inside = [*_networks(plan), *(s.name for s in exchange)]
    y, widest = top + 62, 0
    for row in (peering, inside, units):
        for name, x in zip(row, _spread(len(row), middle, 190.0), strict=True):
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
    there = [switch for switch in plan.switches if switch.role is SwitchRole.EXCHANGE]
    if sum(node.kind is NodeKind.ISP for node in plan.nodes) % 2:
        middle -= 115  # in the gap between two providers
    for switch, x in zip(there, _spread(len(there), middle, 400.0), strict=True):
        boxes[switch.name] = Box(switch.name, "switch", "peering LAN", x, top + 20)
        server = f"{switch.name}-rs"
        boxes[server] = Box(server, "server", "route server", x + 190, top + 20)
    return top + (ROW if there else 0)


def _modems(plan: Plan, middle: float, top: float, boxes: dict[str, Box]) -> float:
    """Modems in a row between the internet and the sites; where what comes next begins."""
    there = [switch for switch in plan.switches if switch.role is SwitchRole.MODEM]
    for switch, x in zip(there, _spread(len(there), middle, 190.0), strict=True):
        boxes[switch.name] = Box(switch.name, "switch", "modem", x, top + 20)
    return top + (ROW if there else 0)


def _site(plan: Plan, site: str, left: float, top: float, width: float, boxes: dict[str, Box]) -> Frame:
    middle = left + width / 2
    nodes = [node for node in plan.nodes if node.site == site]
    y = top + 58
    for kind, icon in ((NodeKind.ROUTER, "router"), (NodeKind.FIREWALL, "firewall")):
        for node in (node for node in nodes if node.kind is kind):
            shown: Icon = "router" if icon == "router" else "firewall"
            wide = ZONE * len(node.interfaces) if kind is NodeKind.FIREWALL else 0.0
            boxes[node.name] = Box(node.name, shown, _edge_subtitle(node), middle, y, max(DEVICE_WIDTH, wide))
        y += ROW - 12
    switches = [s for s in plan.switches if s.site == site and s.controlled]
    root = next((f.root_order[0] for f in plan.fabrics if f.site == site), "")
    for role in (SwitchRole.EDGE, SwitchRole.CORE, SwitchRole.DISTRIBUTION):
        row = [switch for switch in switches if switch.role is role]
        for switch, x in zip(
            row, _spread(len(row), middle, min(width / max(len(row), 1), 420.0)), strict=True
        ):
            zones = [p for p in switch.ports if p.mode is PortMode.ACCESS]
            wide = ZONE * (len(zones) + 1) if role is SwitchRole.EDGE else 0.0
            boxes[switch.name] = Box(
                switch.name, "switch", _switch_subtitle(switch, root), x, y, max(DEVICE_WIDTH, wide)
            )
        y += ROW if row else 0
    y += 14 if any(s.role is SwitchRole.DISTRIBUTION for s in switches) else 0
    y_leaf, deep = y + ROW, False
    blocks = _blocks(plan, site)
    x = middle - sum(_block_width(len(leaves)) for _, leaves in blocks) / 2
    for switch, leaves in blocks:
        block, wireless = _block_width(len(leaves)), switch.role is SwitchRole.ACCESS_POINT
        deep |= wireless
        if switch.role in (SwitchRole.ACCESS, SwitchRole.HOME, SwitchRole.ACCESS_POINT):
            drawn: Icon = "access-point" if wireless else "switch"
            own = y_leaf if wireless else y
            boxes[switch.name] = Box(switch.name, drawn, _switch_subtitle(switch, root), x + block / 2, own)
            boxes |= {air.node: boxes[switch.name] for air in plan.airs if air.access_point == switch.name}
        start = x + block / 2 - COLUMN * (len(leaves) - 1) / 2
        for number, leaf in enumerate(leaves):
            below = y_leaf + ROW - 10 if wireless else y_leaf
            deep |= _add_leaf(plan, leaf, start + COLUMN * number, below, boxes)
        x += block
    bottom = y_leaf + (ROW - 10 if deep else 0) + LEAF_HEIGHT / 2 + 24
    prefixes = [r.prefix for n in nodes if n.kind is NodeKind.ROUTER for r in n.routes if r.prefix != DEFAULT]
    inside = prefixes[:1] or [vlan.subnet for vlan in plan.vlans if vlan.site == site]
    return Frame("site", f"site {site} · {', '.join(inside)}", left, top, width, bottom - top)


def _add_leaf(plan: Plan, name: str, x: float, y: float, boxes: dict[str, Box]) -> bool:
    """A host of an access port, with the PC behind it; true if there is one."""
    node = plan.node(name)
    endpoint = next((e for e in plan.endpoints if e.node == name), None)
    icons: dict[NodeKind, Icon] = {
        NodeKind.PHONE: "phone",
        NodeKind.PC: "softclient",
        NodeKind.SERVER: "server",
    }
    subtitle = endpoint.account.user if endpoint is not None else "older VoIP"
    size = {"width": LEAF_WIDTH, "height": LEAF_HEIGHT}
    box = Box(name, icons.get(node.kind, "pc"), subtitle, x, y, vlan=_vlan_of(plan, node), **size)
    boxes[name] = box
    module = next((s for s in plan.switches if s.name == f"{name}-sw"), None)
    if module is None:
        return False
    boxes[module.name] = box
    if module.role is not SwitchRole.PHONE:
        return False
    behind = [p.peer for p in module.ports if p.peer_port is None and p.peer not in (None, name)]
    for pc in behind:
        if pc is not None:
            vlan = _vlan_of(plan, plan.node(pc))
            boxes[pc] = replace(box, name=pc, icon="pc", subtitle="PC", y=y + ROW - 10, vlan=vlan)
    return bool(behind)


def _vlan_of(plan: Plan, node: Node) -> tuple[str, int] | None:
    gateways = {route.via for route in node.routes}
    return next(((v.site, v.id) for v in plan.vlans if v.site == node.site and v.gateway in gateways), None)


def _blocks(plan: Plan, site: str) -> list[tuple[Switch, list[str]]]:
    """Switches with the hosts on their ports: all access switches, others where they have any."""
    blocks = []
    routers = {node.name for node in plan.nodes if node.kind is NodeKind.ROUTER}
    there = [s for s in plan.switches if s.site == site]
    for switch in (
        s for s in there if s.role is SwitchRole.HOME or (s.controlled and s.role is not SwitchRole.EDGE)
    ):
        peers = [p.peer for p in switch.ports if p.mode is not PortMode.TRUNK and p.peer]
        leaves = [peer.removesuffix("-sw") for peer in peers if peer not in routers]
        if leaves or switch.role is SwitchRole.ACCESS:
            blocks.append((switch, leaves))
        for air in (air for air in plan.airs if any(p.peer == air.access_point for p in switch.ports)):
            point = next(s for s in there if s.name == air.access_point)
            blocks.append((point, [station.node for station in air.stations]))
    return blocks


def _block_width(leaves: int) -> float:
    return max(COLUMN * leaves, DEVICE_WIDTH) + 20


def _site_width(plan: Plan, site: str) -> float:
    return max(sum(_block_width(len(leaves)) for _, leaves in _blocks(plan, site)) + 2 * PADDING, 560.0)


def _spread(count: int, middle: float, step: float) -> Iterable[float]:
    return [middle + step * (number - (count - 1) / 2) for number in range(count)]


def _switch_subtitle(switch: Switch, root: str) -> str:
    if switch.role is SwitchRole.EDGE:
        return "firewall ports"
    role = {
        "core": "core",
        "distribution": "distribution",
        "home": "built-in switch",
        "access-point": "access point",
    }.get(switch.role.value, "access")
    return f"{role} · root" if switch.name == root else role


def _edge_subtitle(node: Node) -> str:
    if node.kind is NodeKind.FIREWALL:
        return "firewall"
    return "router · NAT" if "masquerade" in (node.nftables or "") else "router"
