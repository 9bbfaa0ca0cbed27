"""Priority at every hop: DSCP (`qos.dscp`), 802.1p (`qos.pcp`), and the trust boundary (`qos.trust`); C8,
Q1."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from uclab.capture.headers import IPV4, TCP, UDP
from uclab.judge.case import Case, Marking
from uclab.judge.flows import Flow
from uclab.judge.network import Leg, Network, dscp_name, mac_text, text
from uclab.judge.types import Evidence, Finding, Verdict, Walk
from uclab.judge.walks import blame_between
from uclab.plan.types import Endpoint, NodeKind, PortMode


@dataclass(frozen=True)
class Seen:
    """Packets at one tap on one leg, by marking."""

    tap: str
    leg: Leg
    markings: Counter[Marking]
    samples: tuple[int, ...]


def check_marking(case: Case, walks: Sequence[Walk]) -> Iterator[Finding]:
    """DSCP and 802.1p of every call direction and every endpoint's signalling, at every tap."""
    by_call = {(walk.call, walk.direction): walk for walk in walks}
    voice = case.network.policy.voice_dscp
    for call, direction, sender, receiver in case.call_directions():
        subject = f"{call.id}:{direction}"
        stream = case.stream(call, direction)
        walk = by_call.get((call.id, direction))
        if stream is None or walk is None:
            if call.established:
                yield from _not_shown(subject, f"{dscp_name(voice)} at every tap", "no media was seen")
            continue
        seen = [
            Seen(
                hop.tap,
                hop.leg,
                case.media_markings.get((stream.ssrc, hop.tap, hop.leg), Counter()),
                _samples(case.media_flows[stream.ssrc], hop.tap),
            )
            for hop in walk.hops
            if hop.leg != "direct"  # the policy marks what goes to the cloud; direct media fails C7 elsewhere
        ]
        if not seen:
            yield from _not_shown(subject, f"{dscp_name(voice)} at every tap", "no media passed the cloud")
            continue
        gap = (
            None
            if stream.received
            else f"it was last seen at {walk.hops[-1].tap}"
            if walk.hops
            else "not seen"
        )
        yield from _judge(case.network, subject, seen, sender, sender.dscp_media, voice, gap, receiver)
    for endpoint in case.network.site_endpoints:
        yield from _check_signalling(case, endpoint)


def _check_signalling(case: Case, endpoint: Endpoint) -> Iterator[Finding]:
    network, wanted = case.network, case.network.policy.signalling_dscp
    grouped: dict[tuple[Leg, str], list[Flow]] = {}
    for leg, flow in case.signalling_flows.get(endpoint.name, []):
        if flow.key.loaded:
            grouped.setdefault((leg, flow.key.tap), []).append(flow)
    subject = f"{endpoint.name}:signalling"
    if not grouped:
        yield from _not_shown(subject, f"{dscp_name(wanted)} at every tap", "no signalling was seen")
        return
    path = network.path_of.get(endpoint.name)
    position = {hop.tap: index for index, hop in enumerate(path.hops)} if path else {}
    seen = []
    for leg in ("up", "down"):
        taps = [(tap, flows) for (its, tap), flows in grouped.items() if its == leg]
        sign = 1 if leg == "up" else -1
        taps.sort(key=lambda pair: (sign * position.get(pair[0], 1000), min(f.first_ns for f in pair[1])))
        for tap, flows in taps:
            markings: Counter[Marking] = Counter()
            for flow in flows:
                markings[Marking(flow.key.dscp, flow.key.pcp, flow.key.vlan)] += flow.packets
            seen.append(Seen(tap, leg, markings, _samples(flows, tap)))
    yield from _judge(network, subject, seen, endpoint, endpoint.dscp_signalling, wanted, None, endpoint)


def _judge(
    network: Network,
    subject: str,
    seen: Sequence[Seen],
    sender: Endpoint,
    own: int,
    wanted: int,
    gap: str | None,
    receiver: Endpoint,
) -> Iterator[Finding]:
    """DSCP and PCP findings of one walk. `own` is what the sender marks itself, `wanted` what the policy
    asks for."""

    def right_dscp(at: Seen, marking: Marking) -> bool:
        before = at.leg != "down" and _before_trust_boundary(network, at.tap, sender)
        return marking.dscp == (own if before else wanted)

    def right_pcp(at: Seen, marking: Marking) -> bool:
        if marking.pcp < 0:
            return True
        phone_port = at.tap in network.ports and network.ports[at.tap][1].mode is PortMode.PHONE
        # A phone need not set 802.1p itself: its port is classified by DSCP, and trunks carry the priority.
        return marking.pcp == network.policy.pcp(wanted) or (
            phone_port and at.leg == "up" and marking.pcp == 0
        )

    name = dscp_name(wanted)
    yield _finding(
        "qos.dscp",
        ("C8", "D5"),
        subject,
        f"{name} at every tap",
        network,
        seen,
        right_dscp,
        lambda m: dscp_name(m.dscp),
        gap,
    )
    tagged = [at for at in seen if any(marking.pcp >= 0 for marking in at.markings)]
    expected = f"802.1p priority {network.policy.pcp(wanted)} in every tagged frame"
    if tagged:
        yield _finding(
            "qos.pcp",
            ("Q1",),
            subject,
            expected,
            network,
            tagged,
            right_pcp,
            lambda m: f"priority {m.pcp}" if m.pcp >= 0 else "untagged",
            gap,
        )
    elif any(endpoint.kind != "pstn-phone" for endpoint in (sender, receiver)):
        yield Finding("qos.pcp", ("Q1",), subject, expected, "no tagged frame was seen", "not-shown")


def _finding(
    kind: str,
    requirement: tuple[str, ...],
    subject: str,
    expected: str,
    network: Network,
    seen: Sequence[Seen],
    right: Callable[[Seen, Marking], bool],
    name: Callable[[Marking], str],
    gap: str | None,
) -> Finding:
    last: dict[Leg, str] = {}
    for at in seen:
        wrong = Counter({m: n for m, n in at.markings.items() if not right(at, m)})
        if wrong:
            marking, count = wrong.most_common(1)[0]
            before = last.get(at.leg)
            blame = blame_between(network, before, at.tap)
            where = f"right until {before}, " if before else ""
            share = (
                ""
                if wrong.total() == at.markings.total()
                else f" in {count} of {at.markings.total()} packets"
            )
            return Finding(
                kind,
                requirement,
                subject,
                expected,
                f"{where}{name(marking)} at {at.tap}{share}",
                "fail",
                Evidence(at.tap, at.samples, f"{at.leg} leg"),
                blame,
            )
        last[at.leg] = at.tap
    packets = sum(at.markings.total() for at in seen)
    verdict: Verdict = "not-shown" if gap else "pass"
    observed = f"at {len(seen)} taps, {packets} packets" + (f"; but {gap}" if gap else "")
    return Finding(
        kind, requirement, subject, expected, observed, verdict, Evidence(seen[-1].tap, seen[-1].samples)
    )


def _before_trust_boundary(network: Network, tap: str, sender: Endpoint) -> bool:
    """Whether the access switch has not yet classified the packet there: the sender's own taps and its
    switch port."""
    if network.owner(network.device(tap)) in (sender.name, sender.node):
        return True
    port = network.ports.get(tap)
    return (
        port is not None
        and port[1].peer is not None
        and network.owner(port[1].peer) in (sender.name, sender.node)
    )


def _samples(flows: Sequence[Flow], tap: str) -> tuple[int, ...]:
    return tuple(number for flow in flows if flow.key.tap == tap for number in flow.samples)[:3]


def _not_shown(subject: str, expected: str, why: str) -> Iterator[Finding]:
    yield Finding("qos.dscp", ("C8", "D5"), subject, expected, why, "not-shown")


def check_trust(case: Case) -> Iterator[Finding]:
    """What PCs send must have been re-marked by the policy's rules behind their access port, whatever they
    set themselves."""
    network = case.network
    pcs = {node.name for node in network.plan.nodes if node.kind is NodeKind.PC}
    controlled = {switch.name for switch in network.plan.switches if switch.controlled}
    routed = {tap for tap, known in network.taps.items() if known.device not in controlled}
    wrong: dict[str, list[Flow]] = {}
    checked = 0
    for flow in case.flows:
        key = flow.key
        node = network.node_of_mac.get(key.src_mac)
        if key.ethertype != IPV4 or node not in pcs or key.tap in routed:
            continue
        port = network.access_port_of.get(key.src_mac)
        if port is None or key.tap == port:
            continue
        checked += flow.packets
        if key.dscp != remarked(network, key.dst, key.proto, key.dport):
            wrong.setdefault(port, []).append(flow)
    expected = "packets of PCs carry the DSCP that the policy's rules give their ports, whatever the PC set"
    for port, flows in sorted(wrong.items()):
        key = flows[0].key
        packets = sum(flow.packets for flow in flows if flow.key.tap == key.tap)
        yield Finding(
            "qos.trust",
            ("C8", "N3"),
            port,
            expected,
            f"{packets} packets of {network.node_of_mac.get(key.src_mac, mac_text(key.src_mac))}"
            f" to {text(key.dst)} went on as {dscp_name(key.dscp)} at {key.tap}",
            "fail",
            Evidence(key.tap, tuple(flows[0].samples)),
            port,
        )
    if not wrong:
        verdict: Verdict = "pass" if checked else "not-shown"
        yield Finding(
            "qos.trust", ("C8", "N3"), "untrusted ports", expected, f"{checked} packets of PCs", verdict
        )


def remarked(network: Network, dst: int, proto: int, dport: int) -> int:
    """The DSCP that an untrusted port's packet is to have behind the access switch: by port, never by what
    it came with."""
    policy = network.policy
    cloud = any(
        ipaddress.IPv4Address(dst) in ipaddress.IPv4Network(prefix) for prefix in policy.cloud_prefixes
    )
    for rule in policy.rules:
        if policy.untrusted_classes and rule.traffic_class not in policy.untrusted_classes:
            continue
        ranges = rule.udp_ports if proto == UDP else rule.tcp_ports if proto == TCP else ()
        if (cloud or rule.any_destination) and any(low <= dport <= high for low, high in ranges):
            return rule.set_dscp
    return policy.default_dscp
