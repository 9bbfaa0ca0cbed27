"""Priority at every hop: DSCP (`qos.dscp`) and 802.1p (`qos.pcp`); C8, Q1.

RTCP belongs to the class of its media: the policy's rules go by port, and RTCP's is next to RTP's. A report
that comes late or not at all spoils jitter buffers and rate control.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.provider_qos import check_carried, follows_label
from uclab.judge.checks.wireless import as_it_came, check_air, follows_dscp
from uclab.judge.evidence.network import Leg, PlannedNetwork, dscp_name
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.run_evidence import ObservedMarking, RunEvidence, marking_of
from uclab.judge.measure.streams import Stream
from uclab.judge.path.hop_check import Seen, walk_finding
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Finding
from uclab.judge.result.media import Walk
from uclab.plan.schema.plan import Endpoint, PortMode


def check_marking(evidence: RunEvidence, walks: Sequence[Walk]) -> Iterator[Finding]:
    """DSCP and 802.1p of every call direction and every endpoint's signalling, at every tap."""
    by_call = {(walk.call, walk.direction): walk for walk in walks}
    voice = evidence.network.policy.voice_dscp
    for call, direction, sender, receiver in evidence.call_directions():
        subject = f"{call.id}:{direction}"
        stream = evidence.stream(call, direction)
        walk = by_call.get((call.id, direction))
        if stream is None or walk is None:
            if call.established:
                yield _dscp_claim(subject, voice).not_shown("no media was seen")
            continue
        seen = [
            seen_at(
                hop.tap, hop.leg, [f for f in evidence.media_flows[stream.ssrc] if evidence.leg(f) == hop.leg]
            )
            for hop in walk.hops
            if hop.leg != "direct"  # the policy marks what goes to the cloud; direct media fails C7 elsewhere
        ]
        if not seen:
            yield _dscp_claim(subject, voice).not_shown("no media passed the cloud")
            continue
        gap = None if stream.received else f"it was last seen at {walk.hops[-1].tap}"
        yield from _judge(evidence.network, subject, seen, sender, sender.dscp_media, voice, gap, receiver)
        yield from _check_control(evidence, subject, stream, walk, sender, receiver)
    for endpoint in evidence.network.site_endpoints:
        yield from _check_signalling(evidence, endpoint)


def _check_control(
    evidence: RunEvidence, subject: str, stream: Stream, walk: Walk, sender: Endpoint, receiver: Endpoint
) -> Iterator[Finding]:
    """RTCP on the way of a call's direction, where there was any: reports are seconds apart, and one that a
    short call never sent, or that met a closed port, proves nothing either way."""
    flows = evidence.control_of(stream)
    seen = [
        at
        for hop in walk.hops
        if (at := seen_at(hop.tap, hop.leg, [f for leg, f in flows if leg == hop.leg])).flows
    ]
    if seen:
        voice = evidence.network.policy.voice_dscp
        findings = _judge(
            evidence.network, f"{subject}:rtcp", seen, sender, sender.dscp_media, voice, None, receiver
        )
        yield from (finding for finding in findings if finding.verdict != "not-shown")


def seen_at(tap: str, leg: Leg, flows: Sequence[Flow]) -> Seen:
    """What was at a tap on a leg, of these flows."""
    here = tuple(flow for flow in flows if flow.key.tap == tap)
    markings: Counter[ObservedMarking] = Counter()
    for flow in here:
        markings[marking_of(flow)] += flow.packets
    return Seen(tap, leg, markings, here)


def _dscp_claim(subject: str, wanted: int) -> Claim:
    return Claim("qos.dscp", ("C8", "D5"), subject, f"{dscp_name(wanted)} at every tap")


def _check_signalling(evidence: RunEvidence, endpoint: Endpoint) -> Iterator[Finding]:
    network, wanted = evidence.network, evidence.network.policy.signalling_dscp
    grouped: dict[tuple[Leg, str], list[Flow]] = {}
    for leg, flow in evidence.signalling_flows.get(endpoint.name, []):
        if flow.key.loaded:
            grouped.setdefault((leg, flow.key.tap), []).append(flow)
    subject = f"{endpoint.name}:signalling"
    if not grouped:
        yield _dscp_claim(subject, wanted).not_shown("no signalling was seen")
        return
    path = network.path_of.get(endpoint.name)
    position = {hop.tap: index for index, hop in enumerate(path.hops)} if path else {}
    seen = []
    for leg in ("up", "down"):
        taps = [(tap, flows) for (flow_leg, tap), flows in grouped.items() if flow_leg == leg]
        sign = 1 if leg == "up" else -1
        taps.sort(key=lambda pair: (sign * position.get(pair[0], 1000), min(f.first_ns for f in pair[1])))
        seen += [seen_at(tap, leg, flows) for tap, flows in taps]
    yield from _judge(network, subject, seen, endpoint, endpoint.dscp_signalling, wanted, None, endpoint)


def _judge(
    network: PlannedNetwork,
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

    def right_dscp(at: Seen, marking: ObservedMarking) -> bool:
        before = at.leg != "down" and _before_trust_boundary(network, at.tap, sender)
        return marking.dscp == (own if before else wanted)

    def right_pcp(at: Seen, marking: ObservedMarking) -> bool:
        phone_port = at.tap in network.ports and network.ports[at.tap][1].mode is PortMode.PHONE
        # A phone need not set 802.1p itself: its port is classified by DSCP, and trunks carry the priority.
        return marking.pcp == network.policy.pcp(wanted) or (
            phone_port and at.leg == "up" and marking.pcp == 0
        )

    claim = _dscp_claim(subject, wanted)
    dscp = walk_finding(claim, network, seen, right_dscp, lambda marking: dscp_name(marking.dscp), gap)
    yield dscp
    ends = sender, receiver
    on_air = [
        follows_dscp(network, wmm, dscp, seen) for wmm in check_air(network, subject, seen, ends, wanted, gap)
    ]

    def has_priority(at: Seen, marking: ObservedMarking) -> bool:
        return marking.pcp >= 0 and at.tap not in network.air_taps

    expected = f"802.1p priority {network.policy.pcp(wanted)} in every tagged frame"
    claim = Claim("qos.pcp", ("Q1",), subject, expected)
    carried = [*check_carried(network, subject, seen, ends, wanted, gap)]
    yield from carried
    if any(has_priority(at, marking) for at in seen for marking in at.markings):
        pcp = walk_finding(
            claim, network, seen, right_pcp, lambda marking: f"priority {marking.pcp}", gap, has_priority
        )
        pcp = _follows(network, pcp, dscp, seen)
        pcp = follows_label(network, pcp, carried, seen)
        yield as_it_came(pcp, on_air, seen)
        on_air = [as_it_came(wmm, [pcp], seen) for wmm in on_air]
    elif any(network.is_tagged(endpoint.name) for endpoint in (sender, receiver)):
        yield claim.not_shown("no tagged frame was seen")
    yield from on_air


def _follows(network: PlannedNetwork, pcp: Finding, dscp: Finding, seen: Sequence[Seen]) -> Finding:
    """A switch that maps a DSCP rightly is not to blame for the priority when somebody in front changed the
    DSCP."""
    if not pcp.verdict == dscp.verdict == "fail":
        return pcp
    at = next(at for at in seen if at.tap == pcp.evidence.tap and at.leg == pcp.evidence.leg)
    if all(marking.pcp == network.policy.pcp(marking.dscp) for marking in at.markings if marking.pcp >= 0):
        return replace(pcp, observed=f"{pcp.observed}, as the changed DSCP requires", blame=dscp.blame)
    return pcp


def _before_trust_boundary(network: PlannedNetwork, tap: str, sender: Endpoint) -> bool:
    """Whether the access switch has not yet classified the packet there: the sender's own taps and its
    switch port; at home all the way into the router."""
    if tap in network.home_taps:
        return True
    if network.owner(network.device(tap)) in (sender.name, sender.node):
        return True
    port = network.ports.get(tap)
    return (
        port is not None
        and port[1].peer is not None
        and network.owner(port[1].peer) in (sender.name, sender.node)
    )


CHECKS.declare(
    "marking",
    Check(
        WITH_CALLS,
        lambda run: check_marking(run.evidence, run.walks),
        (
            FindingKind(
                "qos.dscp",
                ("C8",),
                "every packet of media (EF) and signalling with payload (AF31; TCP connections are "
                "followed through NAT by their initial sequence number) is marked correctly at every "
                "tap, both ways. So is the RTCP of each call (subject `CALL:DIRECTION:rtcp`), which "
                "belongs to the class of its media. Before the access switch it is what the endpoint "
                "sets",
            ),
            FindingKind(
                "qos.pcp",
                ("Q1",),
                "802.1p as the policy maps the DSCP, in every tagged frame. On a phone's link to the "
                "access switch 0 is accepted: the port classifies by DSCP",
            ),
            FindingKind(
                "qos.mpls-tc",
                ("Q1", "W3"),
                "in a label-switched core: the MPLS traffic class as the policy maps the DSCP, at "
                "every tap inside, both ways; for service tags `qos.pcp` says the same of their "
                "priority ([carriers](carriers.md))",
            ),
            FindingKind(
                "qos.wmm",
                ("Q1", "W7"),
                "on the air of an [access point](wifi.md): the Wi-Fi user priority as the policy maps "
                "the DSCP, upwards and downwards",
            ),
        ),
    ),
)
