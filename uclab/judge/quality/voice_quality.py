"""Quality of voice against the policy's limits (`quality.voice`), also while the WAN is overloaded
(`quality.overload`); C8.

Lines and routes are judged by all their calls together, with the policy's confidence; a single call's
figures are shown, and it fails only where chance does not explain them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from uclab.capture.headers import UDP
from uclab.judge.check import CHECKS, REFERENCE, Check, FindingKind
from uclab.judge.evidence.network import number
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import media_time
from uclab.judge.path.fault_localisation import culprit
from uclab.judge.quality.accused import Accusation, Accused
from uclab.judge.quality.call_parts import DirectionSeen, blamed, directions_seen
from uclab.judge.quality.figures import MEDIA_SHARE, call_seconds, media_quality, media_seconds
from uclab.judge.quality.line_quality import check_lines
from uclab.judge.quality.route_quality import check_routes
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.judge.result.media import MediaQuality, Walk
from uclab.plan.paths.line_loss import INTERRUPTED
from uclab.plan.schema.plan import BulkTraffic, Endpoint
from uclab.records.run import CallRecord, Direction


def check_quality(evidence: RunEvidence, walks: Sequence[Walk]) -> Iterator[Finding]:
    """Lines, routes, and each direction of each established call, against loss, delay, jitter and MOS of
    the policy. What held while the line was to be overloaded proves something only where it was full."""
    accused = Accused(evidence.network.policy, tuple(directions_seen(evidence)))
    proof = overload_proof(evidence)
    for finding in (
        *check_lines(evidence, accused, walks),
        *check_routes(evidence, accused, walks),
        *_single_calls(evidence, accused, walks),
    ):
        if finding.id == "quality.overload" and finding.verdict == "pass":
            verdict = finding.verdict if proof.full else "not-shown"
            yield replace(finding, observed=f"{finding.observed}; {proof.text}", verdict=verdict)
        else:
            yield finding


def _single_calls(evidence: RunEvidence, accused: Accused, walks: Sequence[Walk]) -> Iterator[Finding]:
    by_call = {(walk.call, walk.direction): walk for walk in walks}
    seen = {(direction.call.id, direction.direction): direction for direction in accused.seen}
    for call, direction, _, receiver in evidence.call_directions():
        if call.established and call.kind not in INTERRUPTED:
            walk, direction_seen = by_call.get((call.id, direction)), seen.get((call.id, direction))
            yield _direction(evidence, accused, direction_seen, call, direction, receiver, walk)


def _direction(
    evidence: RunEvidence,
    accused: Accused,
    seen: DirectionSeen | None,
    call: CallRecord,
    direction: Direction,
    receiver: Endpoint,
    walk: Walk | None,
) -> Finding:
    overload = call.kind == "overload"
    name = "quality.overload" if overload else "quality.voice"
    expected = "no limit exceeded by more than chance explains" + (
        " while the WAN is overloaded" if overload else ""
    )
    claim = Claim(name, ("C8",), f"{call.id}:{direction}", expected)
    stream = evidence.stream(call, direction)
    quality = media_quality(stream)
    if quality is None or stream is None:
        return claim.not_shown("no media was sent")
    if seen is None or quality.delay_ms is None or quality.jitter_ms is None:
        return claim.not_shown(f"no media arrived of {stream.counted} packets")
    if seen.unseen:
        return claim.not_shown(seen.unseen)
    spoken, lasted = media_seconds(stream), call_seconds(call)
    if spoken < MEDIA_SHARE * lasted:
        return claim.not_shown(f"media was sent for only {spoken:.1f} s of a call of {lasted:.1f} s")
    observed, proof = _in_words(quality), Evidence(evidence.network.first_tap.get(receiver.name))
    accusation = accused.of(seen)
    if accusation is None:
        return claim.passed(observed, proof)
    blind = evidence.windows.blind(*media_time(stream))
    found = culprit(evidence.network, walk, stream, by_loss=accusation.by_loss, blind=blind)
    blame, where = blamed(evidence, [seen], *found)
    return claim.failed(_all_of(observed, accusation, where), proof, blame)


def _in_words(quality: MediaQuality) -> str:
    return (
        f"delay {quality.delay_ms:.1f} ms, loss {quality.loss_pct:.2f} %, jitter {quality.jitter_ms:.2f} ms "
        f"(worst 5 s {quality.worst_jitter_ms:.2f}), MOS {quality.mos:.2f}"
    )


def _all_of(observed: str, accusation: Accusation, where: str) -> str:
    return "; ".join(part for part in (observed, accusation.words, where) if part)


@dataclass(frozen=True)
class OverloadProof:
    """Whether the line was full: the bulk traffic that got lost on its way."""

    full: bool
    text: str


def overload_proof(evidence: RunEvidence) -> OverloadProof:
    """Compares bulk at its source's tap with bulk at its target's."""
    if not evidence.network.plan.bulk:
        return OverloadProof(False, "the plan has no bulk traffic")
    parts, full = [], False
    for bulk in evidence.network.plan.bulk:
        sent, arrived = _bulk_counts(evidence, bulk)
        share = 1 - arrived / sent if sent else 0.0
        full |= sent > 0 and 100 * share >= evidence.network.policy.tolerances.full_line_loss_pct
        figures = f"{sent} packets sent, {share:.0%} lost" if sent else "nothing sent"
        parts.append(f"{bulk.name}: {figures}")
    return OverloadProof(
        full, ("WAN full: " if full else "no proof that the WAN was full: ") + "; ".join(parts)
    )


def _bulk_counts(evidence: RunEvidence, bulk: BulkTraffic) -> tuple[int, int]:
    """Packets at the sending host's own tap, and at the receiving host's. Downwards the public server sends
    to the PC."""
    server = number(bulk.target_address)
    near, far = bulk.source_node, bulk.target_node

    def at(node: str) -> int:
        taps = [tap.label for tap in evidence.network.plan.taps if tap.namespace == node][:1]
        return sum(
            flow.packets
            for flow in evidence.flows
            if flow.key.tap in taps
            and flow.key.proto == UDP
            and (flow.key.dst if bulk.direction == "up" else flow.key.src) == server
            and flow.key.dport != 53
        )

    return (at(near), at(far)) if bulk.direction == "up" else (at(far), at(near))


CHECKS.declare(
    "quality",
    Check(
        REFERENCE,
        lambda run: check_quality(run.evidence, run.walks),
        (
            FindingKind(
                "quality.voice",
                ("C8",),
                "the policy's limits are kept, with its confidence "
                "([below](#confidence-of-a-verdict)): loss by each path and direction, delay, jitter "
                "and MOS by each route, and no single call is worse than chance explains; else the "
                "hop with the most loss or delay is blamed. Not for calls with hold or transfer, "
                "whose media pauses by design",
            ),
            FindingKind(
                "quality.overload",
                ("C8",),
                "the same while at least 2 % of the bulk traffic is lost on its path: otherwise the "
                "line was not full and nothing is shown",
            ),
        ),
    ),
)
