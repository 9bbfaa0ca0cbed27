"""What a drawing of a plan is made of, and its measures. Pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

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


def spread(count: int, middle: float, step: float) -> Iterable[float]:
    """Positions around the middle, `step` apart."""
    return [middle + step * (number - (count - 1) / 2) for number in range(count)]
