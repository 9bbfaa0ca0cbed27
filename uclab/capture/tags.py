"""What tshark reads of a packet's tags: priority, VLANs and label, through pyshark. A second opinion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uclab.capture.headers import OLD_SERVICE_TAGS
from uclab.capture.tshark import WITHOUT_PORTS, dissected, first_value


@dataclass(frozen=True)
class Tags:
    """Priority, VLAN and label of a packet as tshark reads them; None: no such field."""

    dscp: int | None
    pcp: int | None
    vlan: int | None
    service_pcp: int | None = None
    service_vlan: int | None = None
    label: int | None = None
    tc: int | None = None


def dissect_tags(extract: Path) -> list[Tags]:
    """DSCP, 802.1p priority and VLAN of each packet of a small file."""
    old = [part for kind in OLD_SERVICE_TAGS for part in ("-d", f"ethertype=={kind:#06x},ieee8021ad")]
    with dissected(extract, custom_parameters=[*WITHOUT_PORTS, *old]) as packets:
        return [_tags({layer.layer_name: layer for layer in reversed(packet.layers)}) for packet in packets]


def _tags(layers: dict[str, Any]) -> Tags:
    return Tags(
        _number(layers.get("ip"), "dsfield_dscp"),
        _number(layers.get("vlan"), "priority"),
        _number(layers.get("vlan"), "id"),
        _number(layers.get("ieee8021ad"), "priority"),
        _number(layers.get("ieee8021ad"), "id"),
        _number(layers.get("mpls"), "label"),
        _number(layers.get("mpls"), "exp"),
    )


def _number(layer: Any, field: str) -> int | None:
    return int(first_value(layer, field), 0) if layer is not None and first_value(layer, field) else None
