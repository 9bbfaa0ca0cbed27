"""A customer's circuit as a carrier's network sees it: two ports, and what it is marked with in between."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attachment:
    """Where a circuit is handed over: a port of an edge switch."""

    switch: str
    port: int
    core_port: int
    """The edge switch's port towards the core."""
    edge_port: int
    """The core's port towards the edge switch."""
    vlan: int | None
    """The circuit's 802.1Q VLAN at this port; None: untagged."""


@dataclass(frozen=True)
class ProviderCircuit:
    """One circuit across a carrier's network. `near` to `far` is upwards."""

    number: int
    """From 1, its own in this network."""
    name: str
    near: Attachment
    far: Attachment
    up_kbps: int
    down_kbps: int

    def ways(self) -> tuple[tuple[Attachment, Attachment], tuple[Attachment, Attachment]]:
        """Both directions, upwards first: (from, to)."""
        return (self.near, self.far), (self.far, self.near)


@dataclass(frozen=True)
class ClassMap:
    """How a carrier marks what it carries, by the policy (Q1)."""

    codes: tuple[tuple[int, int], ...]
    """(DSCP, MPLS traffic class or 802.1p priority); others 0."""
    priorities: tuple[tuple[int, int], ...]
    """(MPLS traffic class, 802.1p priority of the customer's tag); others 0."""
    control: int
    """What ARP is marked with, or unanswered ARP drops calls."""
    control_priority: int
    """802.1p priority of ARP in the customer's tag."""
