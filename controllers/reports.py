"""Frames that switches have dropped, as events that name port, VLAN and MAC address (N3)."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator

from controllers.flows import Purpose
from uclab.plan.lan.spanning_trees import PortRef
from uclab.plan.schema.plan import SiteFabric
from uclab.records.run import Event

KINDS = {
    Purpose.PORT_SECURITY: "port-security-drop",
    Purpose.VLAN_FILTER: "vlan-drop",
    Purpose.ARP_FILTER: "arp-drop",
    Purpose.FRAME_FILTER: "frame-filter-drop",
}
REPEAT_S = 5.0
"""The same kind of frame from the same sender at the same port is reported once in that time."""
MOST_REMEMBERED = 4096
"""Senders kept in mind; an attacker with ever new addresses must not fill the memory."""


class Reporter:
    """Makes one event of many equal frames."""

    def __init__(self, fabric: SiteFabric, clock: Callable[[], float] = time.time) -> None:
        self._vlans = {vlan.id: vlan.name for vlan in fabric.vlans}
        self._clock = clock
        self._last: dict[tuple[str, str, str], float] = {}

    def dropped(self, switch: str, port: int, purpose: Purpose, frame: bytes) -> Iterator[Event]:
        """The event for the beginning of a dropped frame; none where the same was reported just now."""
        kind = KINDS.get(purpose)
        if kind is None or len(frame) < 14:
            return
        where, what = str(PortRef(switch, port)), self._describe(frame)
        now = self._clock()
        if now - self._last.get((kind, where, what), -REPEAT_S) < REPEAT_S:
            return
        if len(self._last) >= MOST_REMEMBERED:
            self._last.clear()
        self._last[kind, where, what] = now
        yield Event(now, where, kind, what, about=frame[6:12].hex(":"))

    def _describe(self, frame: bytes) -> str:
        source = frame[6:12].hex(":")
        (eth_type,) = struct.unpack_from("!H", frame, 12)
        if eth_type == 0x8100 and len(frame) >= 16:
            (tag,) = struct.unpack_from("!H", frame, 14)
            vlan = tag & 0x0FFF
            name = f" ({self._vlans[vlan]})" if vlan in self._vlans else ""
            return f"mac {source} vlan {vlan}{name}"
        return f"mac {source} untagged"
