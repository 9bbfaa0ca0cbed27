"""A private circuit of an exchange carries what its policy allows and nothing else (`circuit.policy`; W5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from uclab.capture.headers import ARP, IPV4
from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.evidence.network import PlannedNetwork, dscp_name, mac_number, text
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.sdn_fabric import CircuitEnd, CircuitExchange, ExchangeCircuit

ID, REQUIREMENT = "circuit.policy", ("W5",)


@dataclass(frozen=True)
class _Way:
    """One direction of a circuit."""

    circuit: ExchangeCircuit
    start: CircuitEnd
    goal: CircuitEnd

    @property
    def subject(self) -> str:
        return f"{self.circuit.name} {self.start.tap} → {self.goal.tap}"

    @property
    def expected(self) -> str:
        marks = self.circuit.allowed_dscp
        which = "any marking" if marks is None else ", ".join(map(dscp_name, marks))
        sources, targets = (", ".join(end.prefixes) for end in (self.start, self.goal))
        return f"only IPv4 from {sources} to {targets} with {which}, and ARP"


def check_circuits(evidence: RunEvidence) -> Iterator[Finding]:
    """Frames that came out of the exchange at a customer's port, held against the planned circuits."""
    for exchange in evidence.network.plan.circuit_exchanges:
        macs = _own_macs(evidence.network, exchange)
        ways = [_Way(c, start, goal) for c in exchange.circuits for start, goal in c.directions]
        for way in ways:
            yield _finding(evidence, way, macs)
        yield from _strays(evidence, exchange, ways, macs)


def _finding(evidence: RunEvidence, way: _Way, macs: dict[str, set[int]]) -> Finding:
    claim = Claim(ID, REQUIREMENT, way.subject, way.expected)
    carried = [
        flow
        for flow in evidence.flows
        if (flow.key.tap, flow.key.vlan) == (way.goal.tap, way.goal.vlan)
        and flow.key.src_mac not in macs.get(way.goal.tap, set())
    ]
    for flow in carried:
        if reason := objection(flow, way.circuit, way.start, way.goal, carried=True):
            observed = f"{flow.packets} frames came out at {way.goal.tap}: {reason}"
            proof = Evidence(way.goal.tap, tuple(flow.samples))
            return claim.failed(observed, proof, way.start.switch)
    frames = sum(flow.packets for flow in carried)
    refused = sum(
        flow.packets
        for flow in evidence.flows
        if (flow.key.tap, flow.key.vlan) == (way.start.tap, way.start.vlan)
        and flow.key.src_mac in macs.get(way.start.tap, set())
        and objection(flow, way.circuit, way.start, way.goal, carried=False)
    )
    if not frames:
        return claim.not_shown(f"no frame came out; {refused} that are not allowed went in")
    sample = Evidence(way.goal.tap, tuple(carried[0].samples))
    return claim.passed(f"{frames} frames, all allowed; {refused} others were dropped at the ingress", sample)


def objection(
    flow: Flow, circuit: ExchangeCircuit, start: CircuitEnd, goal: CircuitEnd, *, carried: bool
) -> str | None:
    """Why a circuit's policy does not allow a flow in that direction; None where it does. `carried`: as it
    comes out, marked by the circuit where that has a marking."""
    key = flow.key
    if key.ethertype == ARP:
        return None
    if key.ethertype != IPV4:
        return f"no IPv4 (EtherType {key.ethertype:#06x})"
    if not _within(key.src, start.prefixes):
        return f"source {text(key.src)} does not belong at {start.tap}"
    if not _within(key.dst, goal.prefixes):
        return f"target {text(key.dst)} does not belong at {goal.tap}"
    if carried and circuit.dscp is not None:
        return None if key.dscp == circuit.dscp else f"marked {dscp_name(key.dscp)}"
    if circuit.allowed_dscp is not None and key.dscp not in circuit.allowed_dscp:
        return f"marking {dscp_name(key.dscp)} is not allowed"
    return None


def _strays(
    evidence: RunEvidence, exchange: CircuitExchange, ways: list[_Way], macs: dict[str, set[int]]
) -> Iterator[Finding]:
    """Frames of one customer that come out at another's port outside of every circuit there."""
    known = {(way.goal.tap, way.goal.vlan) for way in ways}
    every = set().union(*macs.values())
    for port in exchange.ports:
        tap = f"{port.switch}:{port.port}"
        for flow in evidence.flows:
            foreign = flow.key.src_mac in every - macs.get(tap, set())
            if flow.key.tap == tap and foreign and (tap, flow.key.vlan) not in known:
                claim = Claim(ID, REQUIREMENT, f"customer port {tap}", "frames of its circuits alone")
                observed = f"{flow.packets} frames of VLAN {flow.key.vlan}, which is no circuit there"
                yield claim.failed(observed, Evidence(tap, tuple(flow.samples)), port.switch)
                break


def _own_macs(network: PlannedNetwork, exchange: CircuitExchange) -> dict[str, set[int]]:
    """Customer port to the MAC addresses of the routers that are plugged in there."""
    mac_of = {
        address.partition("/")[0]: mac_number(interface.mac)
        for node in network.plan.nodes
        for interface in node.interfaces
        for address in interface.addresses
    }
    found: dict[str, set[int]] = {}
    for circuit in exchange.circuits:
        for end in (circuit.a, circuit.b):
            own = {mac_of[a] for p in end.prefixes if (a := p.removesuffix("/32")) in mac_of}
            found.setdefault(end.tap, set()).update(own)
    return found


def _within(address: int, prefixes: tuple[str, ...]) -> bool:
    nets = map(IPv4Network, prefixes)
    return any(address & int(net.netmask) == int(net.network_address) for net in nets)


CHECKS.declare(
    "circuits",
    Check(
        WITH_CALLS,
        lambda run: check_circuits(run.evidence),
        (
            FindingKind(
                "circuit.policy",
                ("W5",),
                "what leaves an exchange at a customer's port entered at the other end of a circuit "
                "there, from its prefixes, to its prefixes, with its markings; the switch that "
                "admitted anything else is blamed",
            ),
        ),
    ),
)
