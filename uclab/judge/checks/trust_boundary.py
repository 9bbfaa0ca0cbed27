"""The trust boundary (`qos.trust`; C8, N3): what PCs send is marked by the policy's rules, not by them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from uclab.capture.headers import IPV4, TCP, UDP
from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.wanted import NO_BULK, asked_for
from uclab.judge.evidence.network import PlannedNetwork, dscp_name, mac_text, text
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import NodeKind


def check_trust(evidence: RunEvidence) -> Iterator[Finding]:
    """What PCs send must have been re-marked by the policy's rules behind their access port, whatever they
    set themselves."""
    network = evidence.network
    pcs = {node.name for node in network.plan.nodes if node.kind is NodeKind.PC}
    if not any(network.node_of_mac[mac] in pcs for mac in network.access_port_of):
        return  # at home no switch classifies, the router does: `qos.dscp` judges that
    controlled = {switch.name for switch in network.plan.switches if switch.controlled}
    routed = {tap for tap, known in network.taps.items() if known.device not in controlled}
    wrong: dict[str, list[Flow]] = {}
    checked = 0
    for flow in evidence.flows:
        key = flow.key
        node = network.node_of_mac.get(key.src_mac)
        if key.ethertype != IPV4 or key.proto < 0 or node not in pcs or key.tap in routed:
            continue  # (a part of a packet has no ports)
        port = network.access_port_of.get(key.src_mac)
        if port is None or key.tap == port:
            continue
        checked += flow.packets
        if key.dscp != remarked(network, key.dst, key.proto, key.dport):
            wrong.setdefault(port, []).append(flow)
    for port, flows in sorted(wrong.items()):
        # the access switch did it where its own taps show that; else whoever stands behind it
        at_access = [flow for flow in flows if network.device(flow.key.tap) == network.device(port)]
        first = min(at_access or flows, key=lambda flow: flow.first_ns)
        blame = port if at_access else network.device(first.key.tap)
        key = first.key
        packets = sum(flow.packets for flow in flows if flow.key.tap == key.tap)
        who = network.node_of_mac.get(key.src_mac, mac_text(key.src_mac))
        sent = f"{packets} packets of {who} to {text(key.dst)}"
        observed = f"{sent} were forwarded as {dscp_name(key.dscp)} at {key.tap}"
        yield _trust_claim(port).failed(observed, Evidence(key.tap, tuple(first.samples)), blame)
    if not wrong:
        claim = _trust_claim("untrusted ports")
        if checked:
            yield claim.passed(f"{checked} packets of PCs")
        elif asked_for(evidence.run).bulk:
            yield claim.not_shown("no PC sent anything")
        else:
            yield claim.not_applicable(NO_BULK)


def _trust_claim(subject: str) -> Claim:
    expected = "packets of PCs carry the DSCP that the policy's rules give their ports, whatever the PC set"
    return Claim("qos.trust", ("C8", "N3"), subject, expected)


def remarked(network: PlannedNetwork, dst: int, proto: int, dport: int) -> int:
    """The DSCP that an untrusted port's packet is to have behind the access switch: by port, never by what
    it came with."""
    policy = network.policy
    cloud = any(
        ipaddress.IPv4Address(dst) in ipaddress.IPv4Network(prefix) for prefix in policy.cloud_prefixes
    )
    for rule in policy.rules:
        if not policy.open_to_untrusted(rule.traffic_class):
            continue
        ranges = rule.udp_ports if proto == UDP else rule.tcp_ports if proto == TCP else ()
        if (cloud or rule.any_destination) and any(low <= dport <= high for low, high in ranges):
            return rule.set_dscp
    return policy.default_dscp


CHECKS.declare(
    "trust-boundary",
    Check(
        WITH_CALLS,
        lambda run: check_trust(run.evidence),
        (
            FindingKind(
                "qos.trust",
                ("C8", "N3"),
                "behind its access port a PC's packet has the DSCP that the policy gives its ports, "
                "whatever the PC set; else the port is named",
            ),
        ),
    ),
)
