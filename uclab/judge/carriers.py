"""Customers of one label-switched core are kept apart (`carrier.apart`; W3): each customer's frames only at
its own ports, and inside the core only under its own labels.

A core leaves MAC addresses as they are, so that a frame's sender is known wherever it appears, also where
two customers have the same IP addresses.
"""

from __future__ import annotations

from collections.abc import Iterator

from uclab.judge.case import Case
from uclab.judge.claim import Claim
from uclab.judge.flows import Flow
from uclab.judge.network import Network
from uclab.judge.types import Evidence, Finding
from uclab.plan.types import CarriedCircuit


def check_apart(case: Case) -> Iterator[Finding]:
    """One finding for each circuit of a core that carries more than one."""
    by_carrier: dict[str, list[CarriedCircuit]] = {}
    for one in case.network.plan.carried:
        by_carrier.setdefault(one.carrier, []).append(one)
    for circuits in by_carrier.values():
        if len(circuits) > 1:
            owner = {device: one for one in circuits for device in one.devices}
            for circuit in circuits:
                yield _finding(case, circuit, owner)


def _finding(case: Case, circuit: CarriedCircuit, owner: dict[str, CarriedCircuit]) -> Finding:
    expected = "frames of no other customer at its ports, its own frames only under its own labels"
    claim = Claim("carrier.apart", ("W3",), f"{circuit.carrier}:{circuit.circuit}", expected)
    network = case.network
    ports = _ports(network, circuit)
    own = 0
    for flow in case.flows:
        key = flow.key
        sender = owner.get(network.node_of_mac.get(key.src_mac, ""))
        if sender is None:
            continue
        if sender is circuit:
            own += flow.packets * (key.label >= 0)
            if key.label >= 0 and key.label not in circuit.labels:
                return _failed(case, claim, flow, f"under label {key.label}, which is not its own,")
        elif key.tap in ports:
            return _failed(case, claim, flow, f"of the other customer ({sender.circuit})")
    if not own:
        return claim.not_shown("it sent nothing through the core")
    return claim.passed(f"{own} labelled frames of its own; none of others at {', '.join(sorted(ports))}")


def _ports(network: Network, circuit: CarriedCircuit) -> set[str]:
    """The taps at which only this customer may appear: the core's ports for it, and its routers' own."""
    ends = {(end.device, end.interface) for end in circuit.ends}
    handed = {label for label, tap in network.taps.items() if (tap.device, tap.interface) in ends}
    return handed | {label for label, tap in network.taps.items() if tap.device in circuit.devices}


def _failed(case: Case, claim: Claim, flow: Flow, what: str) -> Finding:
    """To blame is the edge that gave such a frame its label: both ends of a cable see it at the same time, so
    that edges come before the core."""
    network, key = case.network, flow.key
    astray = [
        other
        for other in case.flows
        if other.key.src_mac == key.src_mac and other.key.label >= 0 and not _is_own(network, other)
    ]
    edges = {end.device for one in network.plan.carried for end in one.ends}

    def order(other: Flow) -> tuple[bool, int]:
        return network.device(other.key.tap) not in edges, other.first_ns

    first = min(astray, key=order, default=flow)
    sender = network.node_of_mac.get(key.src_mac, "somebody")
    observed = f"{flow.packets} frames {what} from {sender} at {key.tap}"
    return claim.failed(observed, Evidence(key.tap, tuple(flow.samples)), network.device(first.key.tap))


def _is_own(network: Network, flow: Flow) -> bool:
    """Whether a labelled frame carries a label of its sender's circuit."""
    sender = network.node_of_mac.get(flow.key.src_mac)
    return any(sender in one.devices and flow.key.label in one.labels for one in network.plan.carried)
