"""Plans the exchanges of a topology: switches in a row, customers plugged in, and the terms of each circuit
(W5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from uclab.kinds.carrier_kind import CARRIER_KINDS
from uclab.model import topology as model
from uclab.plan.lan.bridges import BridgeBuilder
from uclab.plan.lan.sites import Context
from uclab.plan.resolve.circuits import Circuit
from uclab.plan.schema.plan import LinkEnd, PortMode, SiteFabric, Switch, SwitchRole
from uclab.plan.schema.sdn_fabric import CircuitEnd, CircuitExchange, CustomerPort, ExchangeCircuit
from uclab.plan.wan import bgp_sessions

HEADROOM_PCT = 110
"""Usual rate of a circuit, of its line's: what the line lets through must not be dropped for its headers."""


@dataclass
class FabricBuilder:
    """An exchange that is being put together: its switches and where its customers are plugged in."""

    carrier: model.Carrier
    bench: BridgeBuilder
    ports: list[CustomerPort]

    def plug_in(self, customer: str, vlans: tuple[int, ...], *, last: bool, peer: str) -> LinkEnd:
        """A customer's port, carrying those VLANs tagged; on the last switch, or on one of those before it
        in turn."""
        names = list(self.bench.roles)
        at = names[-1] if last else names[len(self.ports) % (len(names) - 1)]
        number = self.bench.free_port(at, 1)
        self.ports.append(CustomerPort(customer, at, number))
        return self.bench.add_port(at, number, PortMode.TRUNK, tagged=vlans, trust_dscp=True, peer=peer)

    def finish(self) -> None:
        """Cable the switches with each other, behind their customers' ports."""
        names = list(self.bench.roles)
        for one, other in pairwise(names):
            near, far = self.bench.free_port(one, 1), self.bench.free_port(other, 1)
            ends = [
                self.bench.add_port(
                    here, own, PortMode.TRUNK, trust_dscp=True, peer=there, peer_port=far_port
                )
                for here, own, there, far_port in ((one, near, other, far), (other, far, one, near))
            ]
            self.bench.add_link(f"{one}-{other}", ends[0], ends[1], "circuit")


def begin(carriers: Sequence[model.Carrier], first_dpid: int) -> dict[str, FabricBuilder]:
    """The exchanges among the carriers, without customers yet."""
    rows: dict[str, FabricBuilder] = {}
    for carrier in carriers:
        if not CARRIER_KINDS[carrier.kind].programmed:
            continue
        bench = BridgeBuilder(carrier.name, first_dpid)
        for number in range(carrier.switches):
            bench.add_switch(f"{carrier.name}-{number + 1}", SwitchRole.SDN_EXCHANGE)
        rows[carrier.name] = FabricBuilder(carrier, bench, [])
        first_dpid += carrier.switches
    return rows


def build_exchange(
    context: Context, carrier: model.Carrier, ports: tuple[CustomerPort, ...], switches: tuple[Switch, ...]
) -> CircuitExchange:
    """What the exchange's controller is told; `switches` have their engines already."""
    own_switches = tuple(switch for switch in switches if switch.site == carrier.name)
    fabric = SiteFabric(
        site=carrier.name,
        switches=own_switches,
        vlans=(),
        policy=context.policy,
        root_order=tuple(switch.name for switch in own_switches),
    )
    crossing = [c for c in context.circuits if c.via == carrier.name]
    return CircuitExchange(fabric, ports, tuple(_circuit(context, carrier, ports, c) for c in crossing))


def _circuit(
    context: Context, carrier: model.Carrier, ports: tuple[CustomerPort, ...], circuit: Circuit
) -> ExchangeCircuit:
    near, far = context.addresses.circuits[circuit.site, circuit.name]
    routing = bgp_sessions.site_routing(context, bgp_sessions.site_of(context.topology, circuit.site))
    assert routing is not None
    session = next(s for s in routing.neighbours if s.address == str(far.ip))
    line = context.line(circuit.line)
    fastest = max(line.up.rate_kbps, line.down.rate_kbps)
    marks = {dscp for dscp, _ in context.policy.dscp_to_pcp} | {context.policy.default_dscp}
    made = ExchangeCircuit(
        name=circuit.label,
        a=_end(ports, circuit.label, circuit.vlan, [*(r.prefix for r in session.announce), f"{near.ip}/32"]),
        b=_end(ports, circuit.target, circuit.vlan, [*(r.prefix for r in session.accept), f"{far.ip}/32"]),
        rate_kbps=fastest * HEADROOM_PCT // 100,
        allowed_dscp=tuple(sorted(marks)),
    )
    terms = next(
        (t for t in carrier.circuits if (t.site, t.connection) == (circuit.site, circuit.name)), None
    )
    if terms is None:
        return made
    return replace(
        made,
        rate_kbps=terms.rate_kbps or made.rate_kbps,
        pcp=terms.pcp,
        dscp=terms.dscp,
        allowed_dscp=tuple(sorted(terms.allowed_dscp)) if terms.allowed_dscp else made.allowed_dscp,
    )


def _end(ports: tuple[CustomerPort, ...], customer: str, vlan: int, prefixes: list[str]) -> CircuitEnd:
    port = next(p for p in ports if p.customer == customer)
    return CircuitEnd(port.switch, port.port, vlan, tuple(prefixes))
