"""A switch's port that is a network card of this machine: a cable that leads out of the lab."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkCard:
    """The card is the port: moved to the switch for as long as the lab is up, under its own name, by which it
    also comes back where the lab is killed."""

    switch: str
    port: int
    """Number of the switch's port."""
    interface: str
    """The card's name on this machine, e.g. `eth1`."""
