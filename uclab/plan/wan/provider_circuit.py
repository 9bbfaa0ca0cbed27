"""A customer's circuit as a carrier's network sees it: two ports, and what it is marked with in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from uclab.plan.schema.flows import SwitchFlow
from uclab.plan.schema.plan import Policy


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


class Transport(Protocol):
    """How the switches of a kind of carrier carry circuits (`CarrierKind.transport`)."""

    queues_by: Literal["mpls-tc", "service-pcp"]
    """What the network's queues sort by."""

    def code(self, policy: Policy, dscp: int) -> int:
        """What the network marks a packet with (Q1)."""

    def classes(self, policy: Policy) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """`ClassMap.codes` and `ClassMap.priorities`."""

    def labels(self, circuit: ProviderCircuit) -> tuple[int, ...]:
        """By which labels a circuit's frames are told from other customers'; none where it has none."""

    def edge_flows(self, circuit: ProviderCircuit, classes: ClassMap) -> Iterator[tuple[str, SwitchFlow]]:
        """(Edge switch, flow) of both ends of a circuit."""

    def core_flows(self, circuit: ProviderCircuit) -> Iterator[SwitchFlow]:
        """Of the switch in the middle."""


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
