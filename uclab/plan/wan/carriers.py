"""The networks of carriers between the ends of private circuits: edge switches where circuits are handed
over, a core switch, per-class queues between them (W2, W3, Q1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from uclab.kinds.carrier_kind import CARRIER_KINDS
from uclab.model import topology as model
from uclab.plan.lan.bridges import BridgeBuilder
from uclab.plan.lan.sites import Context
from uclab.plan.resolve import queues
from uclab.plan.resolve.circuits import Circuit
from uclab.plan.schema.flows import SwitchFlow
from uclab.plan.schema.plan import (
    BackgroundTraffic,
    CarriedCircuit,
    EgressQueue,
    Interface,
    LinkEnd,
    Node,
    NodeKind,
    PortMode,
    Switch,
    SwitchRole,
)
from uclab.plan.wan.provider_circuit import Attachment, ClassMap, ProviderCircuit, Transport

PLACE = "carriers"
CORE_PORT = 1
"""An edge switch's port towards the core; circuits have those behind it."""
MTU = 1600
"""Tags and labels come on top of a customer's 1500 bytes."""
OTHER = "other customer"
"""Whom a carrier plants beside the company, and its circuit."""
CHATTER_MS = 200
CHATTER_KBPS = 64
"""Room for another customer's traffic, many times what it sends."""


@dataclass
class CarrierNetwork:
    """A carrier's network while circuits are being laid through it."""

    carrier: model.Carrier
    bench: BridgeBuilder
    context: Context
    edges: dict[str, str] = field(default_factory=dict)
    """Place (site or data centre) to edge switch."""
    strands: list[ProviderCircuit] = field(default_factory=list)
    carried: list[CarriedCircuit] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    chatter: list[BackgroundTraffic] = field(default_factory=list)

    @cached_property
    def transport(self) -> Transport:
        """How this kind of carrier carries circuits."""
        transport: Transport = CARRIER_KINDS[self.carrier.kind].load_transport()
        return transport

    @property
    def core(self) -> str:
        """Name of the core switch."""
        return f"{self.carrier.name}-core"

    def edge(self, place: str) -> str:
        """The edge switch of a place, cabled with the core."""
        if place not in self.edges:
            name = f"{self.carrier.name}-edge{len(self.edges) + 1}"
            self.edges[place] = name
            if self.core not in self.bench.roles:
                self.bench.add_switch(self.core, SwitchRole.CARRIER_NETWORK)
            self.bench.add_switch(name, SwitchRole.CARRIER_NETWORK)
            inner = self.bench.free_port(self.core, 1)
            ends = [self.port(name, CORE_PORT, (), self.core), self.port(self.core, inner, (), name)]
            self.bench.add_link(f"{name}-{self.core}", ends[0], ends[1], "circuit")
        return self.edges[place]

    def port(self, switch: str, number: int, tagged: tuple[int, ...], peer: str) -> LinkEnd:
        """A port of one of its switches."""
        return self.bench.add_port(switch, number, PortMode.TRUNK, tagged=tagged, trust_dscp=True, peer=peer)

    def hand_over(self, place: str, vlan: int | None, peer: str) -> tuple[Attachment, LinkEnd]:
        """A port of a place's edge switch for one end of a circuit."""
        edge = self.edge(place)
        number = self.bench.free_port(edge, CORE_PORT + 1)
        end = self.port(edge, number, () if vlan is None else (vlan,), peer)
        inner = next(p.number for p in self.bench.ports[self.core].values() if p.peer == edge)
        return Attachment(edge, number, CORE_PORT, inner, vlan), end

    def add(
        self,
        name: str,
        customer: str,
        routers: tuple[LinkEnd, LinkEnd],
        ends: Sequence[tuple[Attachment, LinkEnd]],
        kbps: tuple[int, int],
    ) -> None:
        """A circuit between two of its ports, near end first; `kbps` upwards and downwards."""
        (near, near_end), (far, far_end) = ends
        strand = ProviderCircuit(len(self.strands) + 1, name, near, far, *kbps)
        self.strands.append(strand)
        if labels := self.transport.labels(strand):
            handed = (near_end, far_end)
            self.carried.append(CarriedCircuit(self.carrier.name, name, customer, routers, labels, handed))

    def lay(self, circuit: Circuit, peers: tuple[str, str]) -> tuple[LinkEnd, LinkEnd]:
        """Carry a circuit between the switches of two places, near end first; the ports for the cables to
        them. With the first one come the other customer's routers."""
        profile = self.context.line(circuit.line)
        ends = [
            self.hand_over(circuit.site, circuit.vlan, peers[0]),
            self.hand_over(circuit.target, circuit.vlan, peers[1]),
        ]
        routers = (
            LinkEnd(circuit.near_router, circuit.near_interface),
            LinkEnd(circuit.far_router, circuit.far_interface),
        )
        company = self.context.topology.topology
        self.add(circuit.name, company, routers, ends, (profile.up.rate_kbps, profile.down.rate_kbps))
        if self.carrier.other_customer and len(self.strands) == 1:
            self._other_customer(circuit)
        return ends[0][1], ends[1][1]

    def _other_customer(self, circuit: Circuit) -> None:
        """Two routers at the same edge switches, with the addresses of the routers of `circuit`."""
        addresses = self.context.addresses.circuits[circuit.site, circuit.name]
        names = (f"{self.carrier.name}-x1", f"{self.carrier.name}-x2")
        ends = []
        for name, place, address in zip(names, (circuit.site, circuit.target), addresses, strict=True):
            own = Interface("eth0", self.context.mac(name, "eth0"), (str(address),))
            self.nodes.append(Node(name, NodeKind.OTHER_CUSTOMER, PLACE, (own,)))
            ends.append(self.hand_over(place, None, name))
            self.bench.add_link(f"{name}-{self.edges[place]}", LinkEnd(name, "eth0"), ends[-1][1], "circuit")
        routers = (LinkEnd(names[0], "eth0"), LinkEnd(names[1], "eth0"))
        self.add(OTHER, OTHER, routers, ends, (CHATTER_KBPS, CHATTER_KBPS))
        self.chatter.append(BackgroundTraffic(names[0], names[1], str(addresses[1].ip), CHATTER_MS))

    def with_flows(self, switch: Switch) -> Switch:
        """A switch of this network with its flows and queues."""
        flows = self._edge_flows(switch.name)
        if switch.name == self.core:
            flows = tuple(flow for strand in self.strands for flow in self.transport.core_flows(strand))
        return replace(switch, flows=flows, queues=tuple(self._queues(switch)), mtu=MTU)

    def _edge_flows(self, name: str) -> tuple[SwitchFlow, ...]:
        classes = class_map(self.context, self.transport)
        return tuple(
            flow
            for strand in self.strands
            for switch, flow in self.transport.edge_flows(strand, classes)
            if switch == name
        )

    def _queues(self, switch: Switch) -> list[EgressQueue]:
        """A queue at each port towards another switch of the network, for all circuits that leave by it."""
        policy, shares = self.context.policy, self.context.profile.wan_queues
        shaped = []
        for port in switch.ports:
            rate = sum(self._rate(strand, switch.name, port.number) for strand in self.strands)
            if not rate:
                continue
            code = partial(self.transport.code, policy)
            shaped.append(queues.carrier_queue(port.interface, rate, shares, self.transport.queues_by, code))
        return shaped

    def _rate(self, strand: ProviderCircuit, switch: str, port: int) -> int:
        """What a circuit may send out of a port, kbit/s."""
        rates = zip(strand.ways(), (strand.up_kbps, strand.down_kbps), strict=True)
        return sum(
            kbps
            for (start, end), kbps in rates
            if (switch, port) in ((start.switch, start.core_port), (self.core, end.edge_port))
        )


def class_map(context: Context, transport: Transport) -> ClassMap:
    """How a carrier marks, by the policy."""
    policy, shares = context.policy, context.profile.wan_queues
    codes, priorities = transport.classes(policy)
    return ClassMap(
        codes,
        priorities,
        queues.control_code(shares, partial(transport.code, policy)),
        queues.control_code(shares, policy.pcp),
    )
