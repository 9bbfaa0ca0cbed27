"""What the machine explains: findings that are not shown because one of the lab's own programs was not given
the processor, at that time and on that way; and no others.

Each bound says how much harm a program's waits can have done at the most. What is left without it is the
network's own, and a limit that it breaks all the same stays broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from uclab.judge.evidence.host_pressure import HELP, STARVED, Starved
from uclab.judge.host.long_waits import of_capacity, of_failover, of_signalling, of_steering
from uclab.judge.host.places import (
    LONG_S,
    call_of,
    call_time_s,
    lab_time_s,
    longest,
    party_of,
    spaces_of,
    way_of,
)
from uclab.judge.measure import emodel
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import REPORT_S, Stream, media_time
from uclab.judge.quality.figures import beyond, media_quality, misses, rating
from uclab.judge.result.claim import each_call
from uclab.judge.result.incidents import JudgedIncident
from uclab.judge.result.judgement import Finding
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import Direction, HeardAudio

ENGINE = "ovs-vswitchd"
MOVERS = (ENGINE, "delay_line", "rtpengine", "air")
"""Programs that packets pass through."""
LOST_TWICE = 2.0
"""While a program waits, packets may get lost that come then, and as many of those that it finds waiting."""
LOST_SHARE = 0.1
"""Of a signal that lost more on its way than so much, silence needs no other reason."""
SPOILT = 4.0
"""A signal is looked for in windows of 100 ms: a wait of 25 ms may spoil a whole one."""
STEPS = 2.0
"""A wait makes two steps in the packets' spacing (RFC 3550 A.8): it grows, and shrinks again."""
ANSWERED = re.compile(r"\b(4(?!08)\d\d|5(?!03)\d\d|6\d\d)\b|tls-refused")
"""Who was answered by a refusal did not wait for nothing; 408 (timeout) and 503 (unavailable) are no
refusals."""
OF_INCIDENTS = ("calls-kept", "detection", "failback", "media-gap", "quality", "recovery", "registration")
"""Findings of failover that are a matter of time."""


@dataclass(frozen=True)
class Explained:
    """Findings, and what the machine had to do with them."""

    findings: tuple[Finding, ...]
    sentence: str = ""
    """For the top of a report; empty where the machine explains nothing."""


def by_host(
    evidence: RunEvidence, incidents: Sequence[JudgedIncident], findings: Iterable[Finding]
) -> Explained:
    """The findings, those not shown that the machine explains; those not shown anyway with a hint."""
    kept: list[Finding] = []
    reasons: list[Starved] = []
    for finding in findings:
        reason = (
            _reason(evidence, incidents, finding)
            if evidence.host.samples or evidence.host.late_lines
            else None
        )
        if reason is None:
            kept.append(finding)
            continue
        reasons.append(reason)
        observed = f"{finding.observed}; {reason.words()}: {HELP}"
        kept.append(replace(finding, verdict="not-shown", observed=observed, blame=None))
    if not reasons:
        return Explained(tuple(kept))
    worst = max(reasons, key=lambda starved: starved.share)
    count = "1 finding is" if len(reasons) == 1 else f"{len(reasons)} findings are"
    return Explained(
        tuple(kept), f"The machine was too busy: {worst.words()}. {count} not shown for that; {HELP}."
    )


def _reason(evidence: RunEvidence, incidents: Sequence[JudgedIncident], finding: Finding) -> Starved | None:
    if finding.verdict == "not-shown":
        return _hint(evidence, finding)
    if finding.verdict != "fail":
        return None
    family, _, kind = finding.id.partition(".")
    if finding.id == "audio.heard":
        return _audio(evidence, finding)
    if finding.id in ("quality.voice", "quality.overload"):
        return _quality(evidence, finding)
    if finding.id == "load.quality":
        return _load_quality(evidence)
    if finding.id == "sdwan.steering":
        return of_steering(evidence, finding)
    if finding.id == "capacity.measured":
        return of_capacity(evidence)
    if kind in ("registered", "established") and not ANSWERED.search(finding.observed):
        return of_signalling(evidence, finding)
    if family == "failover" and kind in OF_INCIDENTS:
        return of_failover(evidence, incidents, finding)
    return None


# -- what it explains
# ---------------------------------------------------------------------------------------------------


def _audio(evidence: RunEvidence, finding: Finding) -> Starved | None:
    """Somebody did not hear although the media reached him, or was not heard because he sent too little: the
    waits of the two programs must account for all that was not heard, each way."""
    call = call_of(evidence, finding.subject)
    if call is None:
        return None
    reasons: list[Starved] = []
    ways: tuple[tuple[Direction, str, str, HeardAudio | None], ...] = (
        ("caller_to_callee", call.caller, call.callee, call.caller_to_callee),
        ("callee_to_caller", call.callee, call.caller, call.callee_to_caller),
    )
    for direction, speaker, listener, heard in ways:
        if heard is None or heard.heard:
            continue
        stream = evidence.stream(call, direction)
        if stream is not None and stream.lost > LOST_SHARE * stream.counted:
            return None  # it got lost on its way
        begin, end = call_time_s(call)
        nodes = {
            party.node for name in (speaker, listener) if (party := party_of(evidence, name)) is not None
        }
        found = evidence.host.starved(nodes, begin, end)
        unheard_s = (1 - (heard.share or 0.0)) * (end - begin)
        if not found or SPOILT * sum(starved.waited_s for starved in found) < unheard_s:
            return None
        reasons.append(found[0])
    return max(reasons, key=lambda reason: reason.waited_s, default=None)


def _quality(evidence: RunEvidence, finding: Finding) -> Starved | None:
    """Of a line or route: all calls that miss the policy must be explained."""
    each = each_call(finding)
    if each == [finding]:
        return _quality_of_call(evidence, finding)
    reasons = []
    for call, direction, _, _ in evidence.call_directions():
        quality = media_quality(evidence.stream(call, direction))
        named = [part for part in each if part.subject == f"{call.id}:{direction}"]
        if named and quality is not None and misses(quality, evidence.network.policy):
            reasons.append(_quality_of_call(evidence, named[0]))
    known = [reason for reason in reasons if reason is not None]
    return max(known, key=lambda starved: starved.share) if known and len(known) == len(reasons) else None


def _quality_of_call(evidence: RunEvidence, finding: Finding) -> Starved | None:
    name, _, direction = finding.subject.partition(":")
    for call, call_direction, sender, receiver in evidence.call_directions():
        stream = (
            evidence.stream(call, call_direction) if (call.id, call_direction) == (name, direction) else None
        )
        if stream is not None:
            return host_made(evidence, stream, (sender, receiver), finding.blame)
    return None


def _load_quality(evidence: RunEvidence) -> Starved | None:
    """All directions that miss the policy must be explained."""
    reasons = list(_made_by_host(evidence))
    known = [reason for reason in reasons if reason is not None]
    return max(known, key=lambda starved: starved.share) if known and len(known) == len(reasons) else None


def _made_by_host(evidence: RunEvidence) -> Iterable[Starved | None]:
    """For each direction of a campaign's calls that violates the policy's limits, what of the machine
    explains that."""
    for stream in evidence.seen.media.streams:
        quality = media_quality(stream)
        if quality is None or stream.window is None or not misses(quality, evidence.network.policy):
            continue
        ends = [evidence.network.endpoints[n] for n in (stream.sender, stream.receiver) if n >= 0]
        yield host_made(evidence, stream, (ends[0], ends[-1]), None)


def host_made(
    evidence: RunEvidence, stream: Stream, ends: tuple[Endpoint, Endpoint], blame: str | None
) -> Starved | None:
    """The program whose waits explain that a stream violates the policy's limits; None where it misses it
    without them.

    Only programs on its way count; for losses, where a device was found, that device's and the switch
    engines: one that waited hands on what came meanwhile at once, and a queue for voice is too short for
    that. Not where voice shares the device's queue with bulk: that overflows by itself.
    """
    quality = media_quality(stream)
    if quality is None or quality.delay_ms is None or quality.jitter_ms is None:
        return None
    begin, end = (ns / 1e9 for ns in media_time(stream))
    way = way_of(evidence, ends)
    at_blamed = spaces_of(evidence.network, blame) & way if blame is not None else way
    moving = evidence.host.starved(way, begin, end, MOVERS)
    losing = evidence.host.starved(at_blamed, begin, end, MOVERS)
    if blame is not None and not _shares_its_queue(evidence, blame):
        losing += evidence.host.starved(way - at_blamed, begin, end, (ENGINE,))
    sending = evidence.host.starved({ends[0].node}, begin, end)
    found = sorted({*moving, *sending}, key=lambda starved: -starved.waited_s)
    if not found:
        return None
    waited_s = sum(starved.waited_s for starved in moving)
    loss_pct = LOST_TWICE * 100 * sum(starved.waited_s for starved in losing) / (end - begin)
    # a packet waits at most for the rest of the wait in which it came: on average of all, W x W / 2 in T
    delay_ms = LOST_TWICE * 1000 * waited_s**2 / (2 * (end - begin))
    jitter_ms = _jitter_ms(evidence, stream, way, {ends[0].node})
    left = (
        max(quality.loss_pct - loss_pct, 0.0),
        max(quality.delay_ms - delay_ms, 0.0),
        max(quality.worst_jitter_ms - jitter_ms, 0.0),
    )
    mean_jitter_ms = max(quality.jitter_ms - jitter_ms, 0.0)
    mos = emodel.mos(rating(stream, left[0], left[1], mean_jitter_ms))
    return None if beyond(evidence.network.policy, *left, mos) else found[0]


def _shares_its_queue(evidence: RunEvidence, device: str) -> bool:
    """Whether voice waits with all else in the queues of a device."""
    voice = evidence.network.policy.voice_dscp
    nodes = (node for node in evidence.network.plan.nodes if node.name == device)
    queues = [queue for node in nodes for queue in node.queues]
    return bool(queues) and not any(
        voice in queue_class.dscps for queue in queues for queue_class in queue.classes
    )


def _jitter_ms(evidence: RunEvidence, stream: Stream, way: set[str], own: set[str]) -> float:
    """What waits can have added to the mean jitter of the worst report interval."""
    codec = emodel.BY_PAYLOAD_TYPE.get(stream.payload_type, emodel.G711)
    packets = REPORT_S * 1000 / codec.packet_ms
    worst_s = 0.0
    for begin in stream.seconds:
        until = begin + REPORT_S
        found = (*evidence.host.starved(way, begin, until, MOVERS), *evidence.host.starved(own, begin, until))
        worst_s = max(worst_s, sum(starved.waited_s for starved in found))
    return LOST_TWICE * STEPS * 1000 * worst_s / packets


def _hint(evidence: RunEvidence, finding: Finding) -> Starved | None:
    """Why something was not seen at all: programs of its parties, or of its captures, that waited."""
    name = finding.subject.partition(":")[0]
    if finding.id == "capture.complete":
        known = evidence.network.taps.get(finding.subject)
        spaces = {known.namespace if known is not None else finding.subject.removesuffix(".pcapng")}
        found = evidence.host.starved(spaces, *lab_time_s(evidence), programs=("dumpcap",))
        return longest(found, LONG_S)
    if finding.id == "load.quality":
        made = [reason for reason in _made_by_host(evidence) if reason is not None]
        return max(made, key=lambda starved: starved.share, default=None)
    call = call_of(evidence, name)
    if call is None:
        return None
    parties = [p for n in (call.caller, call.callee) if (p := party_of(evidence, n)) is not None]
    nodes = {party.node for party in parties}
    if finding.id == "quality.overload":
        nodes |= {n for bulk in evidence.network.plan.bulk for n in (bulk.source_node, bulk.target_node)}
    found = evidence.host.starved(nodes, *call_time_s(call))
    return found[0] if found and found[0].share >= STARVED else None
