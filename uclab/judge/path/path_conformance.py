"""Whether media took the planned way (`path.as-planned`; V2, P5): each packet that arrived was seen at every
tap of its endpoint's path.

A frame that a switch floods elsewhere besides does no harm; a packet that arrived without passing a planned
tap took another path, and the device in front of that tap sent it there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uclab.judge.check import CHECKS, REFERENCE, Check, FindingKind
from uclab.judge.evidence.link_outages import link_outages
from uclab.judge.evidence.network import Leg, PlannedNetwork
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Hop, Stream, media_time
from uclab.judge.measure.swapped_taps import NO_FRAMES
from uclab.judge.path.hop_trace import blame_between, order_hops
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import CallRecord

EXPECTED = "media passes every tap of the planned path"
NAMED = 4
"""Taps that an observation lists at most."""


def check_planned_way(evidence: RunEvidence) -> Iterator[Finding]:
    """One finding for each direction of each call, but for those during which something was failed on
    purpose, and those of sites with an overlay: that steers as it measures, which `sdwan.steering` judges."""
    troubled = broken_times(evidence)
    steered = {overlay.site for overlay in evidence.network.plan.overlays}
    for call, direction, sender, receiver in evidence.call_directions():
        if not call.established or overlaps(call, troubled):
            continue
        if steered & {evidence.network.plan.node(endpoint.node).site for endpoint in (sender, receiver)}:
            continue
        subject = f"{call.id}:{direction}"
        claim = Claim("path.as-planned", ("V2", "P5"), subject, EXPECTED)
        stream = evidence.stream(call, direction)
        if stream is None or not stream.received:
            yield claim.not_shown("no media arrived")
        else:
            yield _finding(evidence, claim, stream, sender, receiver)


def broken_times(evidence: RunEvidence) -> list[tuple[float, float]]:
    """When a link was out of order because somebody wanted it so, in seconds since the epoch."""
    settled_s = evidence.network.policy.tolerances.settled_s
    return [(outage.since, outage.until + settled_s) for outage in link_outages(evidence.run.events)]


def overlaps(call: CallRecord, times: Sequence[tuple[float, float]]) -> bool:
    """Whether a call lasted in any of these times."""
    ended = call.ended_at if call.ended_at is not None else float("inf")
    return any(call.started_at < end and begin < ended for begin, end in times)


def _finding(
    evidence: RunEvidence, claim: Claim, stream: Stream, sender: Endpoint, receiver: Endpoint
) -> Finding:
    network = evidence.network
    number = evidence.seen.media.streams.index(stream)
    hops = [hop for (stream_number, _, _), hop in evidence.seen.media.hops.items() if stream_number == number]
    if stream.receiver >= 0:  # after a transfer it is somebody else
        receiver = network.endpoints[stream.receiver]
    checked = 0
    legs: tuple[tuple[Leg, Endpoint], ...] = (("up", sender), ("down", receiver))
    for leg, endpoint in legs:
        on_leg = {
            hop.tap: hop for hop in order_hops(network, hops, sender.name, receiver.name) if hop.leg == leg
        }
        arrived = max(
            (on_leg[tap].packets for tap in _ends(network, leg, endpoint) if tap in on_leg), default=0
        )
        path = network.path_of.get(endpoint.name)
        if path is None or not arrived:
            end = "the session controller" if leg == "up" else receiver.name
            return claim.not_shown(f"no media was seen to arrive at {end}")
        planned = [hop.tap for hop in path.hops][:: 1 if leg == "up" else -1]
        wrong = _first_missed(evidence, claim, planned, on_leg, arrived, media_time(stream))
        if wrong is not None:
            return wrong
        checked += len(planned)
    return claim.passed(f"{stream.received} packets arrived by all {checked} taps")


def _ends(network: PlannedNetwork, leg: Leg, endpoint: Endpoint) -> tuple[str, ...]:
    """Taps at which a leg is over: at a session controller, or at the receiver."""
    return network.controller_taps if leg == "up" else (network.first_tap.get(endpoint.name, ""),)


def _first_missed(
    evidence: RunEvidence,
    claim: Claim,
    planned: Sequence[str],
    seen: dict[str, Hop],
    arrived: int,
    when: tuple[int, int],
) -> Finding | None:
    """The first planned tap that packets did not pass which arrived nevertheless."""
    before, astray = None, evidence.network.policy.tolerances.astray_pct / 100
    for tap in planned:
        state = evidence.seen.taps.get(tap)
        if state is None:
            continue  # not captured: `capture.complete` says so
        missed = arrived - (seen[tap].packets if tap in seen else 0)
        if missed <= arrived * astray:
            before = tap
            continue
        if state.dropped:
            return claim.not_shown(f"the capture at {tap} dropped packets", Evidence(tap))
        if (gap := evidence.windows.gap(tap, *when)) is not None:
            return claim.not_shown(gap, Evidence(tap))
        if (near := _far_end(evidence, tap)) in seen and seen[near].packets >= arrived * (1 - astray):
            reason = (
                f"{tap} shows {arrived - missed} of {arrived} packets, the other end of its cable {near} all"
            )
            return claim.not_shown(reason, Evidence(tap))  # they came by it, and its capture has them not
        others = [hop for name, hop in seen.items() if name not in planned]
        by = f" but {', '.join(hop.tap for hop in others[:NAMED])}" if others else ""
        observed = f"{missed} of {arrived} packets did not pass {tap}{by}"
        blame = blame_between(evidence.network, before, tap)
        return claim.failed(observed, _evidence(evidence, others, tap), blame)
    return None


def _far_end(evidence: RunEvidence, tap: str) -> str:
    """The tap at the other end of a cable, or of the way over the air; empty where there is none."""
    network, known = evidence.network, evidence.network.taps.get(tap)
    if known is None:
        return ""
    own = (known.device, known.interface)
    by_place = {(tap.device, tap.interface): label for label, tap in network.taps.items()}
    for link in network.plan.links:
        ends = [(end.device, end.interface) for end in (link.a, link.b)]
        if own in ends and link.kind not in NO_FRAMES:
            return by_place.get(ends[1 - ends.index(own)], "")
    return ""


def _evidence(evidence: RunEvidence, others: Sequence[Hop], missed: str) -> Evidence:
    """Packets where they should not have been."""
    if not others:
        return Evidence(missed)
    tap, leg = others[0].tap, others[0].leg
    flows = [
        flow for media_flows in evidence.media_flows.values() for flow in media_flows if flow.key.tap == tap
    ]
    samples = [number for flow in flows if evidence.leg(flow) == leg for number in flow.samples]
    return Evidence(tap, tuple(samples[:3]), leg=leg)


CHECKS.declare(
    "planned-way",
    Check(
        REFERENCE,
        lambda run: check_planned_way(run.evidence),
        (
            FindingKind(
                "path.as-planned",
                ("V2", "P5"),
                "every packet of media that arrived was seen at every tap of its planned path, "
                "upstream and downstream (1 % may be missing); else the device before the first "
                "missed tap is named, and where the packets were instead. Not for calls during a "
                "deliberate failure, nor until 30 s after it was healed",
            ),
        ),
    ),
)
