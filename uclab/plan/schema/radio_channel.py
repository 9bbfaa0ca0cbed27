"""The air of an access point: one channel that it shares with its stations (N4, V9, W7)."""

from __future__ import annotations

from dataclasses import dataclass

from uclab.plan.schema.devices import Impairment

__all__ = ["RadioChannel", "Station"]


@dataclass(frozen=True)
class Station:
    """A wireless device at an access point."""

    interface: str
    """The air's interface towards it."""
    node: str
    mac: str
    vlan: int
    """Of its SSID."""


@dataclass(frozen=True)
class RadioChannel:
    """A channel: who is on it, what it carries in each direction, and what happens to frames on the way.

    Frames on it carry a VLAN tag: its id tells the SSID, its priority is the user priority (UP).
    """

    node: str
    """The node that stands for it."""
    access_point: str
    interface: str
    """The air's interface towards the access point."""
    stations: tuple[Station, ...]
    up_kbps: int
    """Rate at which stations send; of the one channel, which carries one frame at a time."""
    down_kbps: int
    up: Impairment
    """What happens to frames from stations; their `interface` is not used."""
    down: Impairment
    queue_packets: int
    """Frames that the access point, and each station, holds in each access category."""
