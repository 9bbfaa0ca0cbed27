"""Switching: phones in the voice VLAN and nothing else (`vlan.voice`; L1, L2), ports only for who belongs
there (`vlan.port-control`; N3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uclab.capture.headers import IPV6, LLDP
from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.wanted import NO_BULK, asked_for
from uclab.judge.evidence.network import PlannedNetwork, mac_text
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.path.hop_trace import blame_between
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import PortMode
from uclab.records.run import Event

NOISE = (LLDP, IPV6)
"""Multicast frames that a kernel or controller sends by itself from an interface without an address."""
PORT_SECURITY = "port-security-drop"


def _frames(evidence: RunEvidence) -> Iterator[tuple[Flow, int | None]]:
    """Flows at switch ports with their VLAN, without interfaces' own multicast chatter."""
    for flow in evidence.flows:
        vlan = evidence.network.vlan_at(flow.key.tap, flow.key.vlan)
        if flow.key.tap in evidence.network.ports and not (
            flow.key.multicast and flow.key.ethertype in NOISE
        ):
            yield flow, vlan


def check_voice_vlan(evidence: RunEvidence) -> Iterator[Finding]:
    """Every endpoint's and PC's frames are in its own VLAN only; in voice VLANs there are only phones and
    gateways."""
    network = evidence.network
    subjects: dict[str, int] = {}
    for node in sorted({e.node for e in network.site_endpoints} | set(_pcs(network))):
        vlan = network.vlan_of_node(node)
        if vlan is not None and vlan.role != "home":  # a home router's one network is for everybody
            subjects[node] = vlan.id
    seen: dict[str, dict[int, list[Flow]]] = {}
    for flow, vlan_id in _frames(evidence):
        node_name = network.node_of_mac.get(flow.key.src_mac)
        if node_name in subjects and vlan_id is not None:
            seen.setdefault(node_name, {}).setdefault(vlan_id, []).append(flow)
    silent = (
        set(_pcs(network))
        - {e.node for e in network.site_endpoints}
        - {b.source_node for b in network.plan.bulk}
    )
    for node, right in subjects.items():
        if node in silent and node not in seen:
            continue  # a PC that had no part in the run
        yield _vlan_finding(evidence, node, right, seen.get(node, {}))


def _vlan_finding(evidence: RunEvidence, node: str, right: int, seen: dict[int, list[Flow]]) -> Finding:
    vlan = evidence.network.vlans[right]
    expected = f"frames of {node} only in VLAN {right} ({vlan.name})"
    claim = Claim("vlan.voice", ("L1",) if vlan.role == "voice" else ("L2",), node, expected)
    if not seen and node in _pcs(evidence.network) and not asked_for(evidence.run).bulk:
        return claim.not_applicable(NO_BULK)
    if not seen:
        return claim.not_shown("no frame of it was seen at a switch port")
    for number, flows in seen.items():
        if number != right:
            name = evidence.network.vlans[number].name if number in evidence.network.vlans else "unknown"
            tap = flows[0].key.tap
            frames = sum(flow.packets for flow in flows if flow.key.tap == tap)
            observed = f"{frames} frames in VLAN {number} ({name}) at {tap}"
            blame = _who_moved(evidence.network, node, flows, seen.get(right, ()))
            return claim.failed(observed, Evidence(tap, tuple(flows[0].samples)), blame)
    first = seen[right][0]
    ports = {flow.key.tap for flow in seen[right]}
    return claim.passed(f"at {len(ports)} switch ports", Evidence(first.key.tap, tuple(first.samples)))


def _who_moved(network: PlannedNetwork, node: str, wrong: Sequence[Flow], right: Sequence[Flow]) -> str:
    """Who put a host's frames into another VLAN: the device behind the last tap of its way where they were
    right, or the host itself."""
    endpoint = network.endpoint_of_node.get(node)
    path = network.path_of.get(endpoint.name) if endpoint is not None else None
    way = [hop.tap for hop in path.hops] if path is not None else []
    elsewhere = {flow.key.tap for flow in wrong}
    fine = {flow.key.tap for flow in right} - elsewhere
    first = next((index for index, tap in enumerate(way) if tap in elsewhere), None)
    if first is None or not any(tap in fine for tap in way[:first]):
        return node
    return blame_between(network, way[first - 1], way[first])


def _pcs(network: PlannedNetwork) -> list[str]:
    return [node.name for node in network.plan.nodes if node.kind == "pc"]


def check_port_control(evidence: RunEvidence) -> Iterator[Finding]:
    """No frame comes from a MAC address that belongs to no device of the plan; if one is there, it gets no
    farther than its port."""
    network = evidence.network
    foreign: dict[int, list[Flow]] = {}
    frames = 0
    for flow, _ in _frames(evidence):
        frames += flow.packets
        if flow.key.src_mac not in network.node_of_mac:
            foreign.setdefault(flow.key.src_mac, []).append(flow)
    drops = [event for event in evidence.run.events if event.kind == PORT_SECURITY]
    named: set[str] = set()
    for mac, flows in sorted(foreign.items()):
        port = _port_of(network, flows)
        named.add(port)
        yield _foreign_finding(evidence, mac, port, flows, drops)
    for event in drops:
        if event.source not in named and event.source not in {port.split(":")[0] for port in named}:
            named.add(event.source)
            claim = _port_claim(event.source)
            yield claim.failed(f"drop reported: {event.detail}", Evidence(text=event.detail), event.source)
    if not named:
        claim = _port_claim("access ports")
        observed = f"{frames} frames at switch ports, all of known devices; no drop reported"
        yield claim.passed(observed) if frames else claim.not_shown("no frame was seen at a switch port")


def _port_claim(subject: str) -> Claim:
    return Claim("vlan.port-control", ("N3",), subject, "only frames of the devices that belong there")


def _foreign_finding(
    evidence: RunEvidence, mac: int, port: str, flows: list[Flow], drops: list[Event]
) -> Finding:
    beyond = sorted({flow.key.tap for flow in flows if _is_beyond(evidence.network, flow.key.tap, port)})
    reports = [event for event in drops if event.about == mac_text(mac)]
    spread = f"and went on to {', '.join(beyond[:4])}" if beyond else "and was blocked"
    reported = f"{len(reports)} drops reported" if reports else "no drop reported"
    observed = f"frames of foreign {mac_text(mac)} {spread}; {reported}"
    detail = reports[0].detail if reports else ""
    proof = Evidence(flows[0].key.tap, tuple(flows[0].samples), detail)
    return _port_claim(port).failed(observed, proof, port)


def _port_of(network: PlannedNetwork, flows: list[Flow]) -> str:
    """The access port where a foreign device is plugged in: the controlled one where it was seen first, or
    behind which it was."""
    for flow in flows:
        known = network.ports.get(flow.key.tap)
        if known is None:
            continue
        switch, port = known
        if switch.controlled and port.mode is not PortMode.TRUNK:
            return f"{switch.name}:{port.number}"
    for flow in flows:
        known = network.ports.get(flow.key.tap)
        if known and not known[0].controlled:
            uplink = next(
                (p for p in known[0].ports if p.mode is PortMode.PHONE and p.peer_port is not None), None
            )
            if uplink is not None:
                return f"{uplink.peer}:{uplink.peer_port}"
    return flows[0].key.tap


def _is_beyond(network: PlannedNetwork, tap: str, port: str) -> bool:
    """Whether a tap lies behind that port: at a controlled switch, but not the port itself."""
    known = network.ports.get(tap)
    return known is not None and known[0].controlled and f"{known[0].name}:{known[1].number}" != port


CHECKS.declare(
    "port-control",
    Check(
        WITH_CALLS,
        lambda run: check_port_control(run.evidence),
        (
            FindingKind(
                "vlan.port-control",
                ("N3",),
                "no frame from a MAC address that no device of the plan has; else the port, how far "
                "it got, and the switch's own report. Multicast that kernels send on their own (IPv6, "
                "LLDP) is left out",
            ),
        ),
    ),
)
