"""Pieces of the drawing as SVG text: icons, boxes, lines, labels. All attributes are inline, so nothing
leaks into a page."""

from __future__ import annotations

from xml.sax.saxutils import escape

from uclab.plan.graph_layout import Box, Frame, Icon

INK, SOFT, FAINT, PAPER = "#1b2430", "#5b6878", "#c3ccd6", "#ffffff"
FONT = "font-family=\"system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif\""
VLAN_COLOURS = {
    "voice": "#2563eb",
    "data": "#0f9d6b",
    "rooms": "#9333ea",
    "management": "#64748b",
    "foreign-voip": "#d97706",
    "transit": "#475569",
}
"""By role of the VLAN."""
FRAME_COLOURS = {
    "cloud": ("#eef4ff", "#b9cdf5"),
    "internet": ("#f6f7f9", "#d7dde5"),
    "site": ("#f4fbf7", "#bfe3d0"),
}
BAD, GOOD = "#b3261e", "#13795b"

_ICON_STROKE = 'fill="none" stroke="{ink}" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"'
_ICONS: dict[Icon, str] = {
    "router": '<circle cx="12" cy="12" r="9"/><path d="M12 4.5v5M9.8 7.6 12 9.8l2.2-2.2M12 19.5v-5m-2.2 1.9L12 14.2'
    'l2.2 2.2M4.5 12h4m11 0h-4M6.4 9.9 4.3 12l2.1 2.1m11.2-4.2 2.1 2.1-2.1 2.1"/>',
    "firewall": '<rect x="3" y="4" width="18" height="16" rx="1.5"/><path d="M3 9.3h18M3 14.7h18M9 4v5.3M15 4v5.3'
    'M6 9.3v5.4M12 9.3v5.4M18 9.3v5.4M9 14.7V20M15 14.7V20"/>',
    "switch": '<rect x="2.5" y="6" width="19" height="12" rx="2"/><path d="M6 10h7m-2-2 2 2-2 2M18 14h-7m2-2-2 2 2 2"/>',
    "phone": '<rect x="3.5" y="5" width="17" height="15" rx="2"/><path d="M8.5 5v15M11.5 8.5h6v3h-6zM11.7 15h.1M14.5 15'
    'h.1M17.3 15h.1M11.7 17.6h.1M14.5 17.6h.1M17.3 17.6h.1"/>',
    "softclient": '<path d="M4.5 14v-2.5a7.5 7.5 0 0 1 15 0V14"/><rect x="3.5" y="13.5" width="4" height="6" rx="1.5"/>'
    '<rect x="16.5" y="13.5" width="4" height="6" rx="1.5"/><path d="M18.5 19.5c0 1.5-1.5 2-4 2"/>',
    "pc": '<rect x="4.5" y="5" width="15" height="10.5" rx="1.2"/><path d="M2.5 19h19M4.5 15.5 2.5 19m17-3.5 2 3.5"/>',
    "server": '<rect x="5" y="3.5" width="14" height="5" rx="1"/><rect x="5" y="9.5" width="14" height="5" rx="1"/>'
    '<rect x="5" y="15.5" width="14" height="5" rx="1"/><path d="M8 6h.1M8 12h.1M8 18h.1"/>',
    "telephone-network": '<path d="M8.2 4.2 5.7 5c-.9.3-1.4 1.2-1.2 2.1a16.5 16.5 0 0 0 12.4 12.4c.9.2 1.8-.3 '
    '2.1-1.2l.8-2.5-4-2.3-1.9 1.6a11.5 11.5 0 0 1-5-5l1.6-1.9z"/><path d="M14 4.5a5.5 5.5 0 0 1 5.5 5.5"/>',
}


def text(
    x: float, y: float, words: str, size: float, colour: str = INK, anchor: str = "middle", weight: int = 400
) -> str:
    """A line of text with its baseline at `y`."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" text-anchor="{anchor}"'
        f' font-weight="{weight}">{escape(words)}</text>'
    )


def label(x: float, y: float, words: str, size: float, colour: str) -> str:
    """Text on a line, with paper around it."""
    width = 0.58 * size * len(words) + 8
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - size * 0.82:.1f}" width="{width:.1f}" height="{size * 1.45:.1f}" rx="3"'
        f' fill="{PAPER}" fill-opacity="0.92"/>' + text(x, y + size * 0.26, words, size, colour)
    )


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
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"'
        f' stroke-linecap="round"{dashes}/>'
    )


def icon(name: Icon, x: float, y: float, size: float, colour: str) -> str:
    """An icon with its upper left corner at (x, y)."""
    return (
        f'<g transform="translate({x:.1f} {y:.1f}) scale({size / 24:.3f})" {_ICON_STROKE.format(ink=colour)}>'
        f"{_ICONS[name]}</g>"
    )


def box(device: Box, accent: str) -> str:
    """A device."""
    left, top = device.x - device.width / 2, device.y - device.height / 2
    parts = [
        f"<g><title>{escape(device.name)}: {escape(device.subtitle)}</title>",
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{device.width:g}" height="{device.height:g}" rx="8"'
        f' fill="{PAPER}" stroke="{accent}" stroke-width="1.5"/>',
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
    return (
        f'<rect x="{place.left:.1f}" y="{place.top:.1f}" width="{place.width:.1f}" height="{place.height:.1f}" rx="16"'
        f' fill="{fill}" stroke="{stroke}"/>'
        + text(place.left + 16, place.top + 23, place.title, 12.5, SOFT, "start", 650)
    )
