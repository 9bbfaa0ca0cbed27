"""Whether anybody which is in no call sends to the relays' media ports, or in a relay's name to a phone
(`media.injected`, C7), and what that did to calls."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.capture.headers import UDP
from uclab.judge.check import CHECKS, WITH_MEDIA, Check, FindingKind
from uclab.judge.evidence.network import text
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.intruders import Intruder
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.path.replays import check_replayed
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding

EXPECTED = "only parties of a call send to the relay's media ports, and nobody spoofs the relay"
NAMED = 6
"""Taps and calls that an observation lists at most."""
SHORTEST_S = 1.0
"""Rates are over a second at least."""


def check_injected(evidence: RunEvidence) -> Iterator[Finding]:
    """One finding for each intruder, or one that there is none."""
    relays = ", ".join(sorted(map(text, evidence.intruders.callers.relays)))
    for intruder in evidence.intruders.found:
        yield _intruded(evidence, intruder)
    replays = list(check_replayed(evidence))
    yield from replays
    if not evidence.intruders.found and not replays:
        yield _nobody(evidence, Claim("media.injected", ("C7",), relays, EXPECTED))


def _nobody(evidence: RunEvidence, claim: Claim) -> Finding:
    taps = [tap for tap in evidence.network.controller_taps if tap in evidence.seen.taps]
    if not taps:
        return claim.not_shown("there is no capture at the session controller")
    low, high = evidence.network.policy.media_ports
    packets = sum(
        flow.packets
        for flow in evidence.flows
        if flow.key.tap in taps
        and flow.key.proto == UDP
        and flow.key.dst in evidence.intruders.callers.relays
        and low <= flow.key.dport <= high
    )
    return claim.passed(f"{packets} packets to media ports, all from parties of calls", Evidence(taps[0]))


def _intruded(evidence: RunEvidence, intruder: Intruder) -> Finding:
    claim = Claim("media.injected", ("C7",), intruder.name, EXPECTED)
    hurt = list(_hurt(evidence, intruder))
    more = f" and {len(hurt) - NAMED} more" if len(hurt) > NAMED else ""
    harm = f"hurt {', '.join(hurt[:NAMED])}{more}" if hurt else "hurt no call"
    ends = evidence.network.controller_taps
    flows = intruder.at(ends) or intruder.sent or intruder.returned
    tap = flows[0].key.tap
    proof = Evidence(tap, tuple(n for flow in flows if flow.key.tap == tap for n in flow.samples)[:3])
    return claim.failed(f"{_what_it_sent(evidence, intruder)}; {harm}", proof, intruder.blame)


def _what_it_sent(evidence: RunEvidence, intruder: Intruder) -> str:
    """How much, where to, how fast, and by which way it came."""
    if not intruder.sent:
        packets = _at_one_tap(intruder.returned)
        return f"the relay sent {packets} packets to {intruder.name}, which is in no call"
    taps = intruder.taps
    here = [flow for flow in intruder.sent if flow.key.tap == taps[0]]
    relays = evidence.intruders.callers.relays
    posing = intruder.source in relays
    total = sum(flow.packets for flow in here)
    ports = intruder.ports(relays)
    where = (
        f"spoofing the relay, from {len(ports)} of its ports"
        if posing
        else f"to {len(ports)} media ports of {', '.join(sorted({text(f.key.dst) for f in here}))}"
    )
    way = ", ".join(taps[:NAMED]) + (f" and {len(taps) - NAMED} more taps" if len(taps) > NAMED else "")
    reached = "" if posing or intruder.at(evidence.network.controller_taps) else "; none reached the relay"
    return f"{total} packets {where}, {_per_second(here):.0f} a second; came by {way}{reached}"


def _per_second(flows: list[Flow]) -> float:
    """Packets a second while any of the flows lasted."""
    lasted_s = (max(f.last_ns for f in flows) - min(f.first_ns for f in flows)) / 1e9
    return sum(f.packets for f in flows) / max(lasted_s, SHORTEST_S)


def _at_one_tap(flows: list[Flow]) -> int:
    taps = {flow.key.tap for flow in flows}
    return max(sum(f.packets for f in flows if f.key.tap == tap) for tap in taps)


def _hurt(evidence: RunEvidence, intruder: Intruder) -> Iterator[str]:
    """Directions of calls that lost packets where the intruder meddled."""
    for call, direction, _, _ in evidence.call_directions():
        taken, stream = evidence.taken(call, direction), evidence.stream(call, direction)
        if taken is None or taken.intruder is not intruder or stream is None:
            continue
        if taken.diverted and stream.lost:
            lost = f"{stream.lost} of {stream.counted} packets lost"
            yield f"{call.id}:{direction} ({lost}, {taken.diverted} sent to the intruder)"


CHECKS.declare(
    "injection",
    Check(
        WITH_MEDIA,  # a measurement of capacity has no capture at the session controller
        lambda run: check_injected(run.evidence),
        (
            FindingKind(
                "media.injected",
                ("C7",),
                "only parties of a call send UDP to the relay's media ports, and nobody spoofs the "
                "relay towards a phone; else the taps it passed, packets a second, and the calls it "
                "impaired ([below](#media-injection))",
            ),
        ),
    ),
)
