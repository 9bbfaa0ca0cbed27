"""Where the devices of a site stand in the drawing of a plan. Pixels."""

from __future__ import annotations

from dataclasses import replace

from uclab.drawing.boxes import (
    COLUMN,
    DEVICE_WIDTH,
    LEAF_HEIGHT,
    LEAF_WIDTH,
    PADDING,
    ROW,
    ZONE,
    Box,
    Frame,
    Icon,
    spread,
)
from uclab.plan.lan.sites import DEFAULT
from uclab.plan.schema.plan import Node, NodeKind, Plan, PortMode, Switch, SwitchRole


def place_site(plan: Plan, site: str, left: float, top: float, width: float, boxes: dict[str, Box]) -> Frame:
    """Put a site's devices into `boxes`; its frame."""
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
            row, spread(len(row), middle, min(width / max(len(row), 1), 420.0)), strict=True
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
    subtitle = endpoint.account.user if endpoint is not None else "legacy VoIP"
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
    switches = [s for s in plan.switches if s.site == site]
    for switch in (
        s for s in switches if s.role is SwitchRole.HOME or (s.controlled and s.role is not SwitchRole.EDGE)
    ):
        peers = [p.peer for p in switch.ports if p.mode is not PortMode.TRUNK and p.peer]
        leaves = [peer.removesuffix("-sw") for peer in peers if peer not in routers]
        if leaves or switch.role is SwitchRole.ACCESS:
            blocks.append((switch, leaves))
        for air in (air for air in plan.airs if any(p.peer == air.access_point for p in switch.ports)):
            point = next(s for s in switches if s.name == air.access_point)
            blocks.append((point, [station.node for station in air.stations]))
    return blocks


def _block_width(leaves: int) -> float:
    return max(COLUMN * leaves, DEVICE_WIDTH) + 20


def site_width(plan: Plan, site: str) -> float:
    """What a site's switches with their hosts take."""
    return max(sum(_block_width(len(leaves)) for _, leaves in _blocks(plan, site)) + 2 * PADDING, 560.0)


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
    return "router · NAT" if node.translations else "router"
