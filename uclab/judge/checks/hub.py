"""Hub and spoke (C7): all media and signalling of endpoints pass the cloud, also between neighbours of one
site."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.capture.headers import TCP, UDP
from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.evidence.network import PlannedNetwork, number, text
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.intruders import Taken
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Stream
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import Endpoint, NodeKind


def check_hub(evidence: RunEvidence) -> Iterator[Finding]:
    """Media per call direction, signalling per endpoint; direct packets by pair of hosts."""
    direct = direct_flows(evidence)
    yield from _direct_findings(evidence, direct)
    paired = {frozenset((flow.key.src, flow.key.dst)) for flow in direct}
    yield from _media(evidence, paired)
    yield from _signalling(evidence)


def direct_flows(evidence: RunEvidence) -> list[Flow]:
    """TCP or UDP payload between two endpoints of the sites, by address or by sender's MAC, and direct
    RTP."""
    network = evidence.network
    nodes = {endpoint.node for endpoint in network.site_endpoints}
    own = {address for address, node in network.node_of_address.items() if node in nodes}
    return [
        flow
        for flow in evidence.flows
        if flow.key.proto in (TCP, UDP)
        and flow.key.loaded
        and (
            (flow.key.src in own and flow.key.dst in own)
            or (flow.key.ssrc >= 0 and evidence.leg(flow) == "direct")
        )
    ]


def _direct_findings(evidence: RunEvidence, direct: list[Flow]) -> Iterator[Finding]:
    pairs: dict[tuple[str, frozenset[int]], list[Flow]] = {}
    for flow in direct:
        kind = "hub.media" if flow.key.proto == UDP else "hub.signalling"
        pairs.setdefault((kind, frozenset((flow.key.src, flow.key.dst))), []).append(flow)
    for (kind, _), flows in sorted(pairs.items(), key=lambda pair: pair[1][0].first_ns):
        src, dst = (_who(evidence.network, address) for address in (flows[0].key.src, flows[0].key.dst))
        taps = list(dict.fromkeys(flow.key.tap for flow in flows))
        blame = _turning_device(evidence.network, taps)
        packets = max(sum(f.packets for f in flows if f.key.tap == tap) for tap in taps)
        observed = f"{packets} packets directly between {src} and {dst}, at {', '.join(taps[:6])}"
        claim = Claim(kind, ("C7",), f"{src}-{dst}", "nothing passes directly between endpoints of a site")
        yield claim.failed(observed, Evidence(taps[0], tuple(flows[0].samples)), blame)


def _who(network: PlannedNetwork, address: int) -> str:
    return network.node_of_address.get(address, text(address))


def _turning_device(network: PlannedNetwork, taps: list[str]) -> str:
    """The device that let it through: the firewall if it was there, else the switch that is farthest from
    the phones."""
    firewalls = {node.name for node in network.plan.nodes if node.kind is NodeKind.FIREWALL}
    devices = [network.device(tap) for tap in taps]
    for device in devices:
        if device in firewalls:
            return device
    depth: dict[str, int] = {}
    for path in network.plan.paths:
        for index, hop in enumerate(path.hops):
            depth.setdefault(network.device(hop.tap), index)
    return max(devices, key=lambda device: depth.get(device, 0))


def _media(evidence: RunEvidence, paired: set[frozenset[int]]) -> Iterator[Finding]:
    expected = "every packet passes the session controller's tap, in and out"
    addresses = {node: address for address, node in evidence.network.node_of_address.items()}
    for call, direction, sender, receiver in evidence.call_directions():
        ends = frozenset((addresses.get(sender.node, -1), addresses.get(receiver.node, -2)))
        if call.established and ends not in paired:  # else it was said already, by pair
            claim = Claim("hub.media", ("C7",), f"{call.id}:{direction}", expected)
            taken = evidence.taken(call, direction)
            if taken is not None and taken.diverted:
                yield _astray(evidence, claim, taken)
                continue
            yield _media_finding(evidence, claim, evidence.stream(call, direction), sender)


def _astray(evidence: RunEvidence, claim: Claim, taken: Taken) -> Finding:
    """The relay sent media to somebody which is in no call."""
    ends = evidence.network.controller_taps
    flow = next(flow for flow in taken.intruder.returned if flow.key.tap in ends)
    return claim.failed(taken.words, Evidence(flow.key.tap, tuple(flow.samples)), taken.intruder.blame)


def _media_finding(evidence: RunEvidence, claim: Claim, stream: Stream | None, sender: Endpoint) -> Finding:
    if stream is None or not stream.received:
        return claim.not_shown("no media arrived")
    taps = [tap for tap in evidence.network.controller_taps if tap in evidence.seen.taps]
    if not taps:
        return claim.not_shown("there is no capture at the session controller")
    number_of = evidence.seen.media.streams.index(stream)
    hops = [
        hop
        for (stream_number, _, _), hop in evidence.seen.media.hops.items()
        if stream_number == number_of and hop.tap in taps
    ]
    into = sum(hop.packets for hop in hops if hop.leg == "up")
    out = sum(hop.packets for hop in hops if hop.leg == "down")
    observed = f"{stream.received} packets arrived; {into} into and {out} out of the controller"
    if min(into, out) >= stream.received:
        return claim.passed(observed, Evidence(taps[0]))
    if any(evidence.seen.taps[tap].dropped for tap in taps):
        return claim.not_shown(f"{observed}, but its capture dropped packets", Evidence(taps[0]))
    if out >= stream.received:
        why = "what the controller sent on had come in, and its capture does not show that"
        return claim.not_shown(f"{observed}; {why}", Evidence(taps[0]))
    return claim.failed(observed, Evidence(taps[0]), sender.name if into < stream.received else None)


def _signalling(evidence: RunEvidence) -> Iterator[Finding]:
    ports = set(evidence.network.policy.sips_ports) | {5060, 5061}
    peers = {number(peer.address) for peer in evidence.network.plan.pstn_peers}
    controllers = evidence.network.signalling_addresses | peers
    for endpoint in evidence.network.site_endpoints:
        claim = Claim("hub.signalling", ("C7",), endpoint.name, "signalling only with the session controller")
        tap = evidence.network.first_tap.get(endpoint.name)
        sip = [
            flow
            for flow in evidence.flows
            if flow.key.tap == tap
            and flow.key.loaded
            and flow.key.proto in (TCP, UDP)
            and flow.key.dport in ports
            and flow.key.ssrc < 0
        ]
        astray = [flow for flow in sip if not {flow.key.src, flow.key.dst} & controllers]
        own = [flow for _, flow in evidence.signalling_flows.get(endpoint.name, []) if flow.key.loaded]
        packets = sum(flow.packets for flow in own if flow.key.tap in evidence.network.controller_taps)
        if astray:
            observed = f"to port {astray[0].key.dport} of {_who(evidence.network, astray[0].key.dst)}"
            yield claim.failed(observed, Evidence(tap, tuple(astray[0].samples)), endpoint.name)
        elif packets:
            observed = f"{packets} packets at the session controller's tap, none elsewhere"
            yield claim.passed(observed, Evidence(evidence.network.controller_taps[0]))
        else:
            yield claim.not_shown("no signalling was seen at the session controller")


CHECKS.declare(
    "hub",
    Check(
        WITH_CALLS,
        lambda run: check_hub(run.evidence),
        (
            FindingKind(
                "hub.media",
                ("C7",),
                "as many packets passed the controller's tap, in and out, as arrived, and the relay "
                "sent none to anybody outside a call; no TCP or UDP payload went directly between "
                "endpoints of a site",
            ),
            FindingKind(
                "hub.signalling",
                ("C7",),
                "SIP only with the session controller",
            ),
        ),
    ),
)
