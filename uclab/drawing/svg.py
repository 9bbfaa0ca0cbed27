"""Pieces of the drawing as SVG text: icons, boxes, lines, labels. All attributes are inline, so nothing
leaks into a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from uclab.drawing.boxes import Box, Frame, Icon
from uclab.drawing.icons import ICONS
from uclab.model.visible import as_markup
from uclab.plan.schema.plan import Vlan

INK, SOFT, FAINT, PAPER = "#1b2430", "#5b6878", "#c3ccd6", "#ffffff"
FONT = "font-family=\"system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif\""
VLAN_COLOURS = {
    "voice": ("#2563eb", "#0891b2", "#4f46e5"),
    "data": ("#0f9d6b", "#65a30d"),
    "rooms": ("#9333ea", "#c026d3"),
    "management": ("#64748b",),
    "foreign-voip": ("#d97706", "#b45309"),
    "home": ("#0f766e", "#115e59"),
    "transit": ("#475569",),
}
"""By role; a site's second VLAN of a role has the second colour."""
FRAME_COLOURS = {
    "cloud": ("#eef4ff", "#b9cdf5"),
    "internet": ("#f6f7f9", "#d7dde5"),
    "site": ("#f4fbf7", "#bfe3d0"),
    "carriers": ("#fdf8ee", "#ead9b0"),
}
_STROKE = 'fill="none" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"'
BAD, GOOD = "#b3261e", "#13795b"


def vlan_colours(vlans: Iterable[Vlan]) -> dict[tuple[str, int], str]:
    """Colour of each (site, VLAN id)."""
    colours: dict[tuple[str, int], str] = {}
    used: Counter[tuple[str, str]] = Counter()
    for vlan in vlans:
        shades = VLAN_COLOURS[vlan.role]
        colours[vlan.site, vlan.id] = shades[used[vlan.site, vlan.role] % len(shades)]
        used[vlan.site, vlan.role] += 1
    return colours


def rectangle(
    left: float, top: float, width: float, height: float, radius: float, fill: str, stroke: str = "none"
) -> str:
    """A rectangle with round corners."""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}"'
        f' fill="{fill}" stroke="{stroke}" stroke-width="1.3"/>'
    )


def text(
    x: float,
    y: float,
    content: str,
    size: float,
    colour: str = INK,
    anchor: str = "middle",
    weight: int = 400,
) -> str:
    """A line of text with its baseline at `y`."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" text-anchor="{anchor}"'
        f' font-weight="{weight}">{as_markup(content)}</text>'
    )


def label(x: float, y: float, content: str, size: float, colour: str) -> str:
    """Text on a line, with paper under it."""
    width = 0.58 * size * len(content) + 8
    paper = rectangle(x - width / 2, y - size * 0.82, width, size * 1.45, 3, PAPER)
    return paper + text(x, y + size * 0.26, content, size, colour)


def port_number(x: float, y: float, number: int) -> str:
    """A small number with paper around its strokes."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="8" fill="{SOFT}" text-anchor="middle" stroke="{PAPER}"'
        f' stroke-width="2.5" paint-order="stroke">{number}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dashed: bool = False) -> str:
    """A straight line."""
    dashes = ' stroke-dasharray="5 5"' if dashed else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        f' stroke="{colour}" stroke-width="{width:g}" stroke-linecap="round"{dashes}/>'
    )


def icon(name: Icon, x: float, y: float, size: float, colour: str) -> str:
    """An icon with its upper left corner at (x, y)."""
    place = f"translate({x:.1f} {y:.1f}) scale({size / 24:.3f})"
    return f'<g transform="{place}" stroke="{colour}" {_STROKE}>{ICONS[name]}</g>'


def box(device: Box, accent: str) -> str:
    """A device."""
    left, top = device.x - device.width / 2, device.y - device.height / 2
    parts = [
        f"<g><title>{as_markup(device.name)}: {as_markup(device.subtitle)}</title>",
        rectangle(left, top, device.width, device.height, 8, PAPER, accent),
    ]
    if device.is_leaf:
        parts += [
            icon(device.icon, device.x - 12, top + 3, 24, accent),
            text(device.x, top + 38, device.name, 11, INK, weight=600),
            text(device.x, top + 50, device.subtitle, 9, SOFT),
        ]
    else:
        parts += [
            icon(device.icon, left + 9, device.y - 14, 28, accent),
            text(left + 45, device.y - 2, device.name, 12.5, INK, "start", 650),
            text(left + 45, device.y + 13, device.subtitle, 9.5, SOFT, "start"),
        ]
    return "".join([*parts, "</g>"])


def frame(place: Frame) -> str:
    """A place with its title."""
    fill, stroke = FRAME_COLOURS[place.kind]
    title = text(place.left + 16, place.top + 23, place.title, 12.5, SOFT, "start", 650)
    return rectangle(place.left, place.top, place.width, place.height, 16, fill, stroke) + title
