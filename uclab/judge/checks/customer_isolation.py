"""Customers of one label-switched core are kept apart (`carrier.apart`; W3): each customer's frames only at
its own ports, and inside the core only under its own labels. All circuits of a company are one customer's,
and may meet in a router.

A core leaves MAC addresses as they are, so that a frame's sender is known wherever it appears, also where
two customers have the same IP addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.wanted import NO_CALL, asked_for
from uclab.judge.evidence.network import PlannedNetwork, mac_number
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import CarriedCircuit


def check_apart(evidence: RunEvidence) -> Iterator[Finding]:
    """One finding for each circuit of a core that carries more than one."""
    by_carrier: dict[str, list[CarriedCircuit]] = {}
    for carried_circuit in evidence.network.plan.carried:
        by_carrier.setdefault(carried_circuit.carrier, []).append(carried_circuit)
    for circuits in by_carrier.values():
        if len(circuits) > 1:
            senders = _senders(evidence.network, circuits)
            for circuit in circuits:
                yield _finding(evidence, circuit, senders)


def _senders(network: PlannedNetwork, circuits: Iterable[CarriedCircuit]) -> dict[int, CarriedCircuit]:
    """MAC address to the circuit at which that interface stands: a hub's router stands at several."""
    return {
        mac_number(network.plan.node(end.device).interface(end.interface).mac): circuit
        for circuit in circuits
        for end in circuit.routers
    }


def _finding(evidence: RunEvidence, circuit: CarriedCircuit, senders: dict[int, CarriedCircuit]) -> Finding:
    expected = "frames of no other customer at its ports, its own frames only under its own labels"
    claim = Claim("carrier.apart", ("W3",), f"{circuit.carrier}:{circuit.circuit}", expected)
    ports = _ports(evidence.network, circuit)
    own = 0
    for flow in evidence.flows:
        key = flow.key
        sender = senders.get(key.src_mac)
        if sender is None:
            continue
        if sender is circuit:
            own += flow.packets * (key.label >= 0)
            if key.label >= 0 and key.label not in circuit.labels:
                return _failed(evidence, claim, flow, f"under label {key.label}, which is not its own,")
        elif sender.customer != circuit.customer and key.tap in ports:
            return _failed(evidence, claim, flow, f"of the other customer ({sender.circuit})")
    if not own and not asked_for(evidence.run).calls:
        return claim.not_applicable(NO_CALL)
    if not own:
        return claim.not_shown("it sent nothing through the core")
    return claim.passed(f"{own} labelled frames of its own; none of others at {', '.join(sorted(ports))}")


def _ports(network: PlannedNetwork, circuit: CarriedCircuit) -> set[str]:
    """The taps at which no other customer may appear: the core's ports for it, and its routers' own."""
    handed = {(end.device, end.interface) for end in circuit.ends}
    routers = {end.device for end in circuit.routers}
    return {
        label
        for label, tap in network.taps.items()
        if tap.device in routers or (tap.device, tap.interface) in handed
    }


def _failed(evidence: RunEvidence, claim: Claim, flow: Flow, what: str) -> Finding:
    """To blame is the edge that gave such a frame its label: both ends of a cable see it at the same time, so
    that edges come before the core."""
    network, key = evidence.network, flow.key
    senders = _senders(network, network.plan.carried)
    astray = [
        other
        for other in evidence.flows
        if other.key.src_mac == key.src_mac
        and other.key.label >= 0
        and other.key.label not in senders[key.src_mac].labels
    ]
    edges = {end.device for circuit in network.plan.carried for end in circuit.ends}

    def order(other: Flow) -> tuple[bool, int]:
        return network.device(other.key.tap) not in edges, other.first_ns

    first = min(astray, key=order, default=flow)
    sender = network.node_of_mac.get(key.src_mac, "somebody")
    observed = f"{flow.packets} frames {what} from {sender} at {key.tap}"
    return claim.failed(observed, Evidence(key.tap, tuple(flow.samples)), network.device(first.key.tap))


CHECKS.declare(
    "customer-isolation",
    Check(
        WITH_CALLS,
        lambda run: check_apart(run.evidence),
        (
            FindingKind(
                "carrier.apart",
                ("W3",),
                "no frame of another customer at a circuit's ports in an MPLS core, and its own "
                "frames only under its own labels",
            ),
        ),
    ),
)
