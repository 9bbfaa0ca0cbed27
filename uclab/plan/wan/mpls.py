"""A label-switched core (W3): the edge pushes a circuit's label with the traffic class of the packet's DSCP,
the core swaps it, the far edge pops it.

A frame behind a popped label does not say what it is, so that IPv4 and ARP have a label each (as RFC 3032
section 2.2 has it: the protocol is known by the label).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from uclab.plan.schema.flows import (
    ARP,
    IPV4,
    MPLS,
    POP_TAG,
    UNTAGGED,
    FlowAction,
    Match,
    SwitchFlow,
    push_tag,
    set_pcp,
)
from uclab.plan.schema.plan import Policy
from uclab.plan.wan.provider_circuit import Attachment, ClassMap, ProviderCircuit

PER_STRAND = 100
"""Labels set aside for a circuit; those below 16 are reserved (RFC 3032)."""
EXACT, ANY = 20, 10
"""Priorities of flows for one class, and for all others."""


class LabelSwitching:
    """MPLS as a transport of circuits."""

    queues_by: Literal["mpls-tc", "service-pcp"] = "mpls-tc"

    def code(self, policy: Policy, dscp: int) -> int:
        """The traffic class."""
        return policy.tc(dscp)

    def classes(self, policy: Policy) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """A traffic class for each DSCP, and back to the priority of the first DSCP that has it."""
        priorities: dict[int, int] = {}
        for dscp, tc in policy.dscp_to_tc:
            priorities.setdefault(tc, policy.pcp(dscp))
        return policy.dscp_to_tc, tuple(priorities.items())

    def labels(self, circuit: ProviderCircuit) -> tuple[int, ...]:
        """All labels of a circuit."""
        return labels_of(circuit)

    def edge_flows(self, circuit: ProviderCircuit, classes: ClassMap) -> Iterator[tuple[str, SwitchFlow]]:
        """See `edge_flows`."""
        return edge_flows(circuit, classes)

    def core_flows(self, circuit: ProviderCircuit) -> Iterator[SwitchFlow]:
        """See `core_flows`."""
        return core_flows(circuit)


def labels_of(strand: ProviderCircuit) -> tuple[int, ...]:
    """All labels of a circuit."""
    pairs = [label_pair(strand, up, kind) for up in (True, False) for kind in (IPV4, ARP)]
    return tuple(label for pair in pairs for label in pair)


def label_pair(strand: ProviderCircuit, up: bool, payload: int) -> tuple[int, int]:
    """The label before the core swaps it and after, for a direction and kind of payload."""
    first = PER_STRAND * strand.number + 4 * (not up) + 2 * (payload == ARP)
    return first + 1, first + 2


def edge_flows(strand: ProviderCircuit, classes: ClassMap) -> Iterator[tuple[str, SwitchFlow]]:
    """(Edge switch, flow): push where the circuit enters, pop where it leaves."""
    for start, end in strand.ways():
        up = start is strand.near
        for payload in (IPV4, ARP):
            before, after = label_pair(strand, up, payload)
            yield from ((start.switch, flow) for flow in _push(start, payload, before, classes))
            yield from ((end.switch, flow) for flow in _pop(end, payload, after, classes))


def core_flows(strand: ProviderCircuit) -> Iterator[SwitchFlow]:
    """The swaps of a circuit's labels; the traffic class stays.

    One flow for each class: Open vSwitch writes the whole label stack entry when it sets the label, and takes
    the class of the first packet for all that a cached flow covers (seen with 3.1), unless the flow names it.
    """
    for start, end in strand.ways():
        for payload in (IPV4, ARP):
            before, after = label_pair(strand, start is strand.near, payload)
            swap = (FlowAction("set-label", after),)
            for tc in range(8):
                labelled = Match(start.edge_port, eth_type=MPLS, mpls_label=before, mpls_tc=tc)
                yield SwitchFlow(ANY, end.edge_port, labelled, swap)


def _push(at: Attachment, payload: int, label: int, classes: ClassMap) -> Iterator[SwitchFlow]:
    untagged = () if at.vlan is None else (POP_TAG,)

    def flow(priority: int, dscp: int | None, tc: int) -> SwitchFlow:
        actions = (
            *untagged,
            FlowAction("push-mpls", MPLS),
            FlowAction("set-label", label),
            FlowAction("set-tc", tc),
        )
        match = Match(at.port, at.vlan or UNTAGGED, eth_type=payload, ip_dscp=dscp)
        return SwitchFlow(priority, at.core_port, match, actions)

    if payload == IPV4:
        yield from (flow(EXACT, dscp, tc) for dscp, tc in classes.codes)
    yield flow(ANY, None, 0 if payload == IPV4 else classes.control)


def _pop(at: Attachment, payload: int, label: int, classes: ClassMap) -> Iterator[SwitchFlow]:
    def flow(priority: int, tc: int | None, pcp: int) -> SwitchFlow:
        tag = () if at.vlan is None else (*push_tag(at.vlan), set_pcp(pcp))
        match = Match(at.core_port, eth_type=MPLS, mpls_label=label, mpls_tc=tc)
        return SwitchFlow(priority, at.port, match, (FlowAction("pop-mpls", payload), *tag))

    if payload == IPV4 and at.vlan is not None:
        yield from (flow(EXACT, tc, pcp) for tc, pcp in classes.priorities)
    yield flow(ANY, None, 0 if payload == IPV4 else classes.control_priority)


TRANSPORT = LabelSwitching()
"""Of carriers of the kind `mpls`."""
