"""Ethernet virtual private lines (W2): the edge puts a service tag (IEEE 802.1ad) in front of the customer's,
with its priority; the core forwards by it, the far edge takes it away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from uclab.plan.schema.errors import PlanError
from uclab.plan.schema.flows import (
    ARP,
    POP_TAG,
    SERVICE_TAG,
    FlowAction,
    Match,
    SwitchFlow,
    push_tag,
    set_pcp,
)
from uclab.plan.schema.plan import Policy
from uclab.plan.wan.provider_circuit import ClassMap, ProviderCircuit

FIRST_VLAN, LAST_VLAN = 2001, 4094
"""VLAN ids of service tags."""
EXACT, ANY = 20, 10


class ServiceTags:
    """Provider bridging as a transport of circuits."""

    queues_by: Literal["mpls-tc", "service-pcp"] = "service-pcp"

    def code(self, policy: Policy, dscp: int) -> int:
        """The service tag's priority."""
        return policy.pcp(dscp)

    def classes(self, policy: Policy) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """The customer's own priority, copied."""
        same = {pcp: pcp for _, pcp in policy.dscp_to_pcp}
        return policy.dscp_to_pcp, tuple(same.items())

    def labels(self, circuit: ProviderCircuit) -> tuple[int, ...]:
        """None: a service tag is the customer's alone."""
        return ()

    def edge_flows(self, circuit: ProviderCircuit, classes: ClassMap) -> Iterator[tuple[str, SwitchFlow]]:
        """See `edge_flows`."""
        return edge_flows(circuit, classes)

    def core_flows(self, circuit: ProviderCircuit) -> Iterator[SwitchFlow]:
        """See `core_flows`."""
        return core_flows(circuit)


def service_vlan(strand: ProviderCircuit) -> int:
    """VLAN id of a circuit's service tag; PlanError where there are none left."""
    vlan = FIRST_VLAN + strand.number - 1
    if vlan > LAST_VLAN:
        raise PlanError(f"circuit {strand.name}: a carrier has service tags for {LAST_VLAN - FIRST_VLAN + 1}")
    return vlan


def edge_flows(strand: ProviderCircuit, classes: ClassMap) -> Iterator[tuple[str, SwitchFlow]]:
    """(Edge switch, flow): push where the circuit enters, pop where it leaves. The customer's priority is
    copied; what nobody marked (ARP) is network control."""
    vlan = service_vlan(strand)
    for start, end in strand.ways():
        priorities = [*dict.fromkeys(pcp for _, pcp in classes.priorities if pcp), 0]
        for pcp in priorities:
            entering = Match(start.port, start.vlan, pcp=pcp)
            yield start.switch, SwitchFlow(ANY, start.core_port, entering, _tag(vlan, pcp))
        arp = Match(start.port, start.vlan, eth_type=ARP)
        yield start.switch, SwitchFlow(EXACT, start.core_port, arp, _tag(vlan, classes.control))
        yield end.switch, SwitchFlow(ANY, end.port, Match(end.core_port, vlan), (POP_TAG,))


def core_flows(strand: ProviderCircuit) -> Iterator[SwitchFlow]:
    """Both directions through the core."""
    for start, end in strand.ways():
        yield SwitchFlow(ANY, end.edge_port, Match(start.edge_port, service_vlan(strand)))


def _tag(vlan: int, pcp: int) -> tuple[FlowAction, ...]:
    return *push_tag(vlan, SERVICE_TAG), set_pcp(pcp)


TRANSPORT = ServiceTags()
"""Of carriers of the kind `evpl`."""
