"""A plan as a drawing: one self-contained SVG, readable on light and dark pages (`uclab graph`,
`report.html`)."""

from __future__ import annotations

from collections.abc import Mapping

from uclab.drawing.boxes import DEVICE_HEIGHT, DEVICE_WIDTH, MARGIN, Box, Layout
from uclab.drawing.layout import arrange
from uclab.drawing.svg import (
    BAD,
    FAINT,
    FONT,
    GOOD,
    INK,
    PAPER,
    SOFT,
    box,
    frame,
    label,
    line,
    port_number,
    rectangle,
    text,
    vlan_colours,
)
from uclab.drawing.wires import LineNote, LinkLoad, Wire
from uclab.model.visible import as_markup
from uclab.plan.lan.spanning_trees import PortRef, spanning_tree, trunks_between
from uclab.plan.resolve.lines import wan_lines
from uclab.plan.resolve.taps import port_of
from uclab.plan.schema.plan import Link, LinkEnd, Plan, PortMode, Switch, SwitchPort

DSCP_NAMES = {46: "EF", 34: "AF41", 26: "AF31", 18: "AF21", 0: "BE"}
TRUNK, WAN, CORE = "#475569", "#b45309", "#64748b"
LEGEND_ROW, LEGEND_SIZE = 22.0, 10.5

OUTSIDE_LINES = ("wan", "circuit")
"""Kinds of links that are no cable of the company's."""


def draw(
    plan: Plan, load: Mapping[str, LinkLoad] | None = None, notes: Mapping[str, LineNote] | None = None
) -> str:
    """The drawing; with `load` (by link name) each link tells its marking (DSCP, 802.1p) and load, with
    `notes` (likewise) each WAN line what is to be said of it."""
    layout = arrange(plan)
    wires = _wires(plan, layout)
    legend = _legend(plan, layout, load is not None)
    height = layout.height + MARGIN + LEGEND_ROW * len(legend) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {layout.width:.0f} {height:.0f}"'
        f' width="{layout.width:.0f}" height="{height:.0f}" role="img" {FONT}>',
        f"<title>{as_markup(plan.topology)}</title>",
        rectangle(0.5, 0.5, layout.width - 1, height - 1, 14, PAPER, FAINT),
        text(MARGIN, 32, plan.topology, 19, INK, "start", 700),
        text(MARGIN, 50, plan.title, 12, SOFT, "start"),
        *(frame(place) for place in layout.frames),
        *_strokes(plan, wires, load or {}),
        *_drawn_boxes(plan, layout),
        *_ports(plan, wires),
        *(_load_label(wire, load[wire.link.name]) for wire in wires if load and wire.link.name in load),
    ]
    if load is None:
        parts += _line_captions(plan, wires, notes or {})
    top = layout.height + MARGIN + 4
    for number, row in enumerate(legend):
        parts.append(f'<g transform="translate({MARGIN} {top + LEGEND_ROW * number:.1f})">{row}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _wires(plan: Plan, layout: Layout) -> list[Wire]:
    """All links that show, spread over the edges of their boxes in the order of what they lead to."""
    pairs: list[tuple[Link, Box, Box, bool]] = []
    for link in plan.links:
        a, b = layout.boxes.get(link.a.device), layout.boxes.get(link.b.device)
        if a is not None and b is not None and a is not b:
            a_first = (a.y, a.x) < (b.y, b.x)
            pairs.append((link, a, b, True) if a_first else (link, b, a, False))
    below: dict[str, list[tuple[float, str]]] = {}
    above: dict[str, list[tuple[float, str]]] = {}
    for link, upper, lower, _ in pairs:
        if upper.y != lower.y:
            below.setdefault(upper.name, []).append((lower.x, link.name))
            above.setdefault(lower.name, []).append((upper.x, link.name))
    wires = []
    for link, upper, lower, upper_is_a in pairs:
        if upper.y == lower.y:
            start, end = (upper.x + upper.width / 2, upper.y), (lower.x - lower.width / 2, lower.y)
        else:
            start = (_slot(upper, below[upper.name], link.name), upper.y + upper.height / 2)
            end = (_slot(lower, above[lower.name], link.name), lower.y - lower.height / 2)
        wires.append(Wire(link, upper, lower, start, end, upper_is_a))
    return wires


def _slot(device: Box, slots: list[tuple[float, str]], name: str) -> float:
    order = sorted(slots, key=lambda item: item[0])
    position = [link for _, link in order].index(name)
    width = device.width - 16
    step = min(width / max(len(order) - 1, 1), 66.0 if device.width > DEVICE_WIDTH else 34.0)
    return device.x + step * (position - (len(order) - 1) / 2)


def _strokes(plan: Plan, wires: list[Wire], load: Mapping[str, LinkLoad]) -> list[str]:
    ports = port_of(plan.switches)
    tree = _tree_ports(plan)
    palette = vlan_colours(plan.vlans)
    strokes = []
    for wire in wires:
        (x1, y1), (x2, y2) = wire.start, wire.end
        seen = load.get(wire.link.name)
        if seen is not None and seen.right is False:
            strokes.append(line(x1, y1, x2, y2, BAD, 3))
            continue
        colours = _colours(wire, ports, palette)
        if wire.link.kind == "trunk":
            standby = ports[wire.link.a][1].interface not in tree
            strokes.append(line(x1, y1, x2, y2, TRUNK, 1.2 if standby else 2.6, standby))
        else:
            width = 2.8 if wire.link.kind in OUTSIDE_LINES else 1.9
            shift = 1.3 * (len(colours) - 1)
            strokes += [
                line(x1 - shift + 2.6 * n, y1, x2 - shift + 2.6 * n, y2, colour, width)
                for n, colour in enumerate(colours)
            ]
    return strokes


def _tree_ports(plan: Plan) -> set[str]:
    """Interfaces of the trunk ports that forward when nothing has failed (in the first VLAN: all trees are
    alike)."""
    names = {PortRef(s.name, p.number): p.interface for s in plan.switches for p in s.ports}
    found: set[str] = set()
    for fabric in plan.fabrics:
        for vlan in fabric.vlans:
            tree = spanning_tree(trunks_between(fabric.switches), fabric.root_order, vlan.id)
            found |= {names[end] for trunk in tree for end in (trunk.a, trunk.b)}
    return found


def _colours(
    wire: Wire, ports: Mapping[LinkEnd, tuple[Switch, SwitchPort]], palette: Mapping[tuple[str, int], str]
) -> list[str]:
    """Colours of the VLANs on an access link; one neutral colour on any other."""
    ends = [ports[end] for end in (wire.link.a, wire.link.b) if end in ports]
    if wire.link.kind in OUTSIDE_LINES:
        return [WAN]
    if wire.link.kind not in ("lan", "air") or not ends:
        return [CORE]
    switch, port = ends[-1]
    vlans = [port.vlan] if port.mode is PortMode.ACCESS else [*port.tagged, port.vlan]
    return [palette.get((switch.site, vlan), CORE) for vlan in vlans if vlan is not None]


def _drawn_boxes(plan: Plan, layout: Layout) -> list[str]:
    palette = vlan_colours(plan.vlans)
    unique = {device.name: device for device in layout.boxes.values()}
    return [box(d, palette[d.vlan] if d.vlan is not None else TRUNK) for d in unique.values()]


def _ports(plan: Plan, wires: list[Wire]) -> list[str]:
    """Port numbers beside the ends of trunks and access links, on the side that the link leans away from."""
    ports = port_of(plan.switches)
    shown = []
    for wire in (wire for wire in wires if not wire.is_level):
        ends = (wire.link.a, wire.link.b) if wire.upper_is_a else (wire.link.b, wire.link.a)
        lean = 1.0 if wire.end[0] > wire.start[0] + 4 else -1.0
        places = ((ends[0], wire.start, -lean, 9.5), (ends[1], wire.end, lean, -4.0))
        for end, (x, y), side, down in places:
            if end in ports and ports[end][0].controlled:
                shown.append(port_number(x + 7 * side, y + down, ports[end][1].number))
    return shown


def _load_label(wire: Wire, load: LinkLoad) -> str:
    """Marking and load, e.g. `EF AF31 · PCP 5 3` over `↑ 412 ↓ 398 kbit/s`."""
    down, up = (
        (load.a_to_b_kbps, load.b_to_a_kbps) if wire.upper_is_a else (load.b_to_a_kbps, load.a_to_b_kbps)
    )
    arrows = ("→", "←") if wire.is_level else ("↓", "↑")
    if up is None or down is None:
        unit, size_of = ("Mbit/s", 1000) if load.a_to_b_kbps >= 1000 else ("kbit/s", 1)
        figures = f"{load.a_to_b_kbps / size_of:.{1 if size_of > 1 else 0}f} {unit}"
    else:
        figures = f"{arrows[1]}{_short(up)} {arrows[0]}{_short(down)}"
    marks = " ".join(DSCP_NAMES.get(dscp, str(dscp)) for dscp in load.dscps[:3])
    if load.pcps:
        marks += f" /{','.join(map(str, load.pcps[:3]))}"
    colour = {True: GOOD, False: BAD, None: SOFT}[load.right]
    size = 7.8 if wire.lower.is_leaf else 8.8
    x, y = _label_place(wire)
    lines = [label(x, y, figures, size, SOFT)]
    if marks:
        lines.insert(0, label(x, y - size * 1.3, marks, size, colour))
    return "".join(lines)


def _label_place(wire: Wire) -> tuple[float, float]:
    """Where links that cross do not cross: nearer to the lower device, and on every second link a little
    higher."""
    (x1, y1), (x2, y2) = wire.start, wire.end
    if wire.is_level:
        return (x1 + x2) / 2, y1 - 5
    share = 0.5 if abs(x1 - x2) < 40 else 0.72
    return x1 + (x2 - x1) * share, y1 + (y2 - y1) * share + 4


def _short(kbps: float) -> str:
    return f"{kbps / 1000:.1f}M" if kbps >= 1000 else f"{kbps:.0f}k"


def _line_captions(plan: Plan, wires: list[Wire], notes: Mapping[str, LineNote]) -> list[str]:
    """Rate and delay of each WAN line, and its note above them."""
    captions = []
    by_name = {wire.link.name: wire for wire in wires}
    for wan in wan_lines(plan):
        wire, words = by_name[wan.link], []
        for end, arrow in ((wan.near, "↑"), (wan.far, "↓")):
            node = plan.node(end.device)
            queue = next((q for q in node.queues if q.interface == end.interface), None)
            line_of = next((i for i in node.impairments if i.interface == end.interface), None)
            if queue is not None and line_of is not None:
                words.append(f"{arrow} {queue.rate_kbps / 1000:g} Mbit/s, {line_of.delay_ms:g} ms")
        x, y = _label_place(wire)
        y -= DEVICE_HEIGHT / 2 if wire.is_level else 0  # above the boxes at both ends, which are near
        captions.append(label(x, y, f"{wan.near.interface}: {' · '.join(words)}", 9.5, WAN))
        if note := notes.get(wire.link.name):
            captions.append(label(x, y - 12, note.words, 9.5, GOOD if note.right else BAD))
    return captions


def _legend(plan: Plan, layout: Layout, loaded: bool) -> list[str]:
    """VLANs, then kinds of lines, in rows as wide as the drawing."""
    palette = vlan_colours(plan.vlans)
    entries: list[tuple[str, float, bool, str]] = [
        (palette[v.site, v.id], 4, False, f"{v.name} · VLAN {v.id} · {v.subnet}") for v in plan.vlans
    ]
    entries += [
        (TRUNK, 2.6, False, "trunk, 802.1Q"),
        (TRUNK, 1.2, True, "redundant trunk"),
        (WAN, 2.8, False, "line to the provider, private circuit"),
    ]
    if loaded:
        entries.append((BAD, 3, False, "wrong marking"))
    rows, x = [""], 0.0
    for colour, width, dashed, caption in entries:
        needed = 58 + 0.57 * LEGEND_SIZE * len(caption)
        if x and x + needed > layout.width - 2 * MARGIN:
            rows.append("")
            x = 0.0
        rows[-1] += line(x, 0, x + 22, 0, colour, width, dashed)
        rows[-1] += text(x + 30, 4, caption, LEGEND_SIZE, SOFT, "start")
        x += needed
    if loaded:
        rows.append(
            text(
                0, 4, "on links: DSCP /802.1p priority of calls, and highest load", LEGEND_SIZE, SOFT, "start"
            )
        )
    return rows
