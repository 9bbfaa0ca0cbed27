"""Hub and spoke (C7): all media and signalling of endpoints pass the cloud, also between neighbours of one
site."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.capture.headers import TCP, UDP
from uclab.judge.case import Case
from uclab.judge.flows import Flow
from uclab.judge.network import Network, number, text
from uclab.judge.types import Evidence, Finding
from uclab.plan.types import NodeKind


def check_hub(case: Case) -> Iterator[Finding]:
    """Media per call direction, signalling per endpoint; direct packets by pair of hosts."""
    direct = direct_flows(case)
    yield from _direct_findings(case, direct)
    paired = {frozenset((flow.key.src, flow.key.dst)) for flow in direct}
    yield from _media(case, paired)
    yield from _signalling(case)


def direct_flows(case: Case) -> list[Flow]:
    """TCP or UDP payload between two endpoints of the sites, by address or by sender's MAC, and direct
    RTP."""
    network = case.network
    nodes = {endpoint.node for endpoint in network.site_endpoints}
    own = {address for address, node in network.node_of_address.items() if node in nodes}
    return [
        flow
        for flow in case.flows
        if flow.key.proto in (TCP, UDP)
        and flow.key.loaded
        and (
            (flow.key.src in own and flow.key.dst in own)
            or (flow.key.ssrc >= 0 and case.leg(flow) == "direct")
        )
    ]


def _direct_findings(case: Case, direct: list[Flow]) -> Iterator[Finding]:
    pairs: dict[tuple[str, frozenset[int]], list[Flow]] = {}
    for flow in direct:
        kind = "hub.media" if flow.key.proto == UDP else "hub.signalling"
        pairs.setdefault((kind, frozenset((flow.key.src, flow.key.dst))), []).append(flow)
    for (kind, _), flows in sorted(pairs.items(), key=lambda pair: pair[1][0].first_ns):
        src, dst = (_who(case.network, address) for address in (flows[0].key.src, flows[0].key.dst))
        taps = list(dict.fromkeys(flow.key.tap for flow in flows))
        blame = _turning_device(case.network, taps)
        packets = max(sum(f.packets for f in flows if f.key.tap == tap) for tap in taps)
        observed = f"{packets} packets directly between {src} and {dst}, at {', '.join(taps[:6])}"
        yield Finding(
            kind,
            ("C7",),
            f"{src}-{dst}",
            "nothing passes directly between endpoints of a site",
            observed,
            "fail",
            Evidence(taps[0], tuple(flows[0].samples)),
            blame,
        )


def _who(network: Network, address: int) -> str:
    return network.node_of_address.get(address, text(address))


def _turning_device(network: Network, taps: list[str]) -> str:
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


def _media(case: Case, paired: set[frozenset[int]]) -> Iterator[Finding]:
    expected = "every packet passes the session controller's tap, in and out"
    addresses = {node: address for address, node in case.network.node_of_address.items()}
    for call, direction, sender, receiver in case.call_directions():
        if not call.established:
            continue
        subject = f"{call.id}:{direction}"
        stream = case.stream(call, direction)
        if frozenset((addresses.get(sender.node, -1), addresses.get(receiver.node, -2))) in paired:
            continue  # said already, by pair
        if stream is None or not stream.received:
            yield Finding("hub.media", ("C7",), subject, expected, "no media arrived", "not-shown")
            continue
        index = case.seen.media.streams.index(stream)
        at_hub = {
            leg: sum(
                hop.packets
                for (s, _, _), hop in case.seen.media.hops.items()
                if s == index and hop.leg == leg and hop.tap in case.network.controller_taps
            )
            for leg in ("up", "down")
        }
        evidence = Evidence(case.network.controller_taps[0] if case.network.controller_taps else None)
        into, out = at_hub["up"], at_hub["down"]
        observed = f"{stream.received} packets arrived; {into} into and {out} out of the controller"
        if min(at_hub.values()) >= stream.received:
            yield Finding("hub.media", ("C7",), subject, expected, observed, "pass", evidence)
        else:
            verdict_blame = sender.name if at_hub["up"] < stream.received else None
            kind = "fail" if at_hub["up"] + at_hub["down"] or case.network.controller_taps else "not-shown"
            yield Finding(
                "hub.media",
                ("C7",),
                subject,
                expected,
                observed,
                "fail" if kind == "fail" else "not-shown",
                evidence,
                verdict_blame,
            )


def _signalling(case: Case) -> Iterator[Finding]:
    expected = "signalling only with the session controller"
    ports = set(case.network.policy.sips_ports) | {5060, 5061}
    controllers = case.network.signalling_addresses | {
        number(p.address) for p in case.network.plan.pstn_peers
    }
    taps = {tap: name for name, tap in case.network.first_tap.items()}
    for endpoint in case.network.site_endpoints:
        tap = case.network.first_tap.get(endpoint.name)
        its = [f for _, f in case.signalling_flows.get(endpoint.name, []) if f.key.loaded]
        astray = [
            f
            for f in case.flows
            if taps.get(f.key.tap) == endpoint.name
            and f.key.tap == tap
            and f.key.loaded
            and f.key.dport in ports
            and f.key.proto in (TCP, UDP)
            and f.key.ssrc < 0
            and f.key.dst not in controllers
            and f.key.src not in controllers
        ]
        if astray:
            observed = f"to port {astray[0].key.dport} of {_who(case.network, astray[0].key.dst)}"
            yield Finding(
                "hub.signalling",
                ("C7",),
                endpoint.name,
                expected,
                observed,
                "fail",
                Evidence(tap, tuple(astray[0].samples)),
                endpoint.name,
            )
        elif its:
            packets = sum(f.packets for f in its if f.key.tap in case.network.controller_taps)
            verdict = "pass" if packets else "not-shown"
            yield Finding(
                "hub.signalling",
                ("C7",),
                endpoint.name,
                expected,
                f"{packets} packets at the session controller's tap, none elsewhere",
                "pass" if verdict == "pass" else "not-shown",
                Evidence(case.network.controller_taps[0] if case.network.controller_taps else None),
            )
        else:
            yield Finding(
                "hub.signalling", ("C7",), endpoint.name, expected, "no signalling was seen", "not-shown"
            )
