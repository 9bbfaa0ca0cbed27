"""Icons of the drawing, on a field of 24 by 24, as strokes."""

from __future__ import annotations

from uclab.drawing.boxes import Icon

ICONS: dict[Icon, str] = {
    "router": (
        '<circle cx="12" cy="12" r="9"/>'
        '<path d="M12 4.5v5M9.8 7.6 12 9.8l2.2-2.2M12 19.5v-5m-2.2 1.9L12 14.2l2.2 2.2M4.5'
        ' 12h4m11 0h-4M6.4 9.9 4.3 12l2.1 2.1m11.2-4.2 2.1 2.1-2.1 2.1"/>'
    ),
    "firewall": (
        '<rect x="3" y="4" width="18" height="16" rx="1.5"/>'
        '<path d="M3 9.3h18M3 14.7h18M9 4v5.3M15 4v5.3M6 9.3v5.4M12 9.3v5.4M18 9.3v5.4M9 14.7V20'
        'M15 14.7V20"/>'
    ),
    "switch": (
        '<rect x="2.5" y="6" width="19" height="12" rx="2"/>'
        '<path d="M6 10h7m-2-2 2 2-2 2M18 14h-7m2-2-2 2 2 2"/>'
    ),
    "phone": (
        '<rect x="3.5" y="5" width="17" height="15" rx="2"/>'
        '<path d="M8.5 5v15M11.5 8.5h6v3h-6zM11.7 15h.1M14.5 15h.1M17.3 15h.1M11.7 17.6h.1M14.5'
        ' 17.6h.1M17.3 17.6h.1"/>'
    ),
    "softclient": (
        '<path d="M4.5 14v-2.5a7.5 7.5 0 0 1 15 0V14"/>'
        '<rect x="3.5" y="13.5" width="4" height="6" rx="1.5"/>'
        '<rect x="16.5" y="13.5" width="4" height="6" rx="1.5"/>'
        '<path d="M18.5 19.5c0 1.5-1.5 2-4 2"/>'
    ),
    "pc": (
        '<rect x="4.5" y="5" width="15" height="10.5" rx="1.2"/>'
        '<path d="M2.5 19h19M4.5 15.5 2.5 19m17-3.5 2 3.5"/>'
    ),
    "server": (
        '<rect x="5" y="3.5" width="14" height="5" rx="1"/>'
        '<rect x="5" y="9.5" width="14" height="5" rx="1"/>'
        '<rect x="5" y="15.5" width="14" height="5" rx="1"/>'
        '<path d="M8 6h.1M8 12h.1M8 18h.1"/>'
    ),
    "access-point": (
        '<circle cx="12" cy="15" r="1.6"/>'
        '<path d="M12 16.6V20M8 12.5a5.6 5.6 0 0 1 8 0M5 9.2a10 10 0 0 1 14 0M9 20h6"/>'
    ),
    "telephone-network": (
        '<path d="M8.2 4.2 5.7 5c-.9.3-1.4 1.2-1.2 2.1a16.5 16.5 0 0 0 12.4 12.4c.9.2 1.8-.3'
        ' 2.1-1.2l.8-2.5-4-2.3-1.9 1.6a11.5 11.5 0 0 1-5-5l1.6-1.9z"/>'
        '<path d="M14 4.5a5.5 5.5 0 0 1 5.5 5.5"/>'
    ),
}
