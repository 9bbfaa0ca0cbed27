"""What the machine explains: findings that are not shown because one of the lab's own programs was not given
the processor, at that time and on that way; and no others.

Each bound says how much harm a program's waits can have done at the most. What is left without it is the
network's own, and a limit that it breaks all the same stays broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from uclab.judge import emodel
from uclab.judge.case import Case
from uclab.judge.claim import each_call
from uclab.judge.figures import beyond, media_quality, misses, rating
from uclab.judge.host_pressure import HELP, STARVED, Starved
from uclab.judge.incidents import JudgedIncident
from uclab.judge.network import Network
from uclab.judge.registrations import longest_gap_s
from uclab.judge.streams import REPORT_S, Stream, media_time
from uclab.judge.types import Finding
from uclab.plan.records import CallRecord, Direction, HeardAudio
from uclab.plan.types import Endpoint

MOVERS = ("ovs-vswitchd", "delay_line", "rtpengine", "air")
"""Programs that packets pass through."""
LOST_TWICE = 2.0
"""While a program waits, packets may get lost that come then, and as many of those that it finds waiting."""
LOST_SHARE = 0.1
"""Of a signal that lost more on its way than so much, silence needs no other reason."""
SPOILT = 4.0
"""A signal is looked for in windows of 100 ms: a wait of 25 ms may spoil a whole one."""
STEPS = 2.0
"""A wait makes two steps in the packets' spacing (RFC 3550 A.8): it grows, and shrinks again."""
LONG_S = 1.0
"""Less cannot bring registrations, calls and failovers to miss limits that are seconds."""
ANSWERED = re.compile(r"\b(4(?!08)\d\d|5(?!03)\d\d|6\d\d)\b|tls-refused")
"""Who was answered by a refusal did not wait in vain; 408 (timeout) and 503 (unavailable) are no refusals."""
OF_INCIDENTS = ("calls-kept", "detection", "failback", "media-gap", "quality", "recovery", "registration")
"""Findings of failover that are a matter of time."""


@dataclass(frozen=True)
class Explained:
    """Findings, and what the machine had to do with them."""

    findings: tuple[Finding, ...]
    sentence: str = ""
    """For the top of a report; empty where the machine explains nothing."""


def by_host(case: Case, incidents: Sequence[JudgedIncident], findings: Iterable[Finding]) -> Explained:
    """The findings, those not shown that the machine explains; those not shown anyway with a hint."""
    kept: list[Finding] = []
    reasons: list[Starved] = []
    for finding in findings:
        reason = _reason(case, incidents, finding) if case.host.samples or case.host.late_lines else None
        if reason is None:
            kept.append(finding)
            continue
        reasons.append(reason)
        words = f"{finding.observed}; {reason.words()}: {HELP}"
        kept.append(replace(finding, verdict="not-shown", observed=words, blame=None))
    if not reasons:
        return Explained(tuple(kept))
    worst = max(reasons, key=lambda one: one.share)
    count = "1 finding is" if len(reasons) == 1 else f"{len(reasons)} findings are"
    return Explained(
        tuple(kept), f"The machine was too busy: {worst.words()}. {count} not shown for that; {HELP}."
    )


def _reason(case: Case, incidents: Sequence[JudgedIncident], finding: Finding) -> Starved | None:
    if finding.verdict == "not-shown":
        return _hint(case, finding)
    if finding.verdict != "fail":
        return None
    family, _, kind = finding.id.partition(".")
    if finding.id == "audio.heard":
        return _audio(case, finding)
    if finding.id in ("quality.voice", "quality.overload"):
        return _quality(case, finding)
    if finding.id == "load.quality":
        return _load_quality(case)
    if kind in ("registered", "established") and not ANSWERED.search(finding.observed):
        return _signalling(case, finding)
    if family == "failover" and kind in OF_INCIDENTS:
        return _failover(case, incidents, finding)
    return None


def _first(found: Sequence[Starved], least_s: float = 0.0) -> Starved | None:
    return found[0] if found and found[0].waited_s >= least_s else None


# -- who is where
# ---------------------------------------------------------------------------------------------------


def spaces_of(network: Network, device: str) -> set[str]:
    """The network namespaces in which a device's programs run: its own, and its switches' engines."""
    engines = {
        switch.engine
        for switch in network.plan.switches
        if device in (switch.name, network.owner(switch.name))
    }
    return {device, *engines, *(e.node for e in network.endpoints if e.name == device)}


def _way(case: Case, endpoints: Iterable[Endpoint]) -> set[str]:
    """The namespaces that the media of these endpoints passes, and the session controllers'."""
    paths = [path for e in endpoints if (path := case.network.path_of.get(e.name)) is not None]
    taps = [case.network.taps.get(hop.tap) for path in paths for hop in path.hops]
    return {t.namespace for t in taps if t is not None} | {
        c.node for c in case.network.plan.session_controllers
    }


def _call(case: Case, name: str) -> CallRecord | None:
    return next((call for call in case.run.calls if call.id == name), None)


def _call_s(call: CallRecord) -> tuple[float, float]:
    begin = call.answered_at or call.started_at
    return begin, call.ended_at if call.ended_at is not None else begin + LONG_S


def _party(case: Case, name: str) -> Endpoint | None:
    wanted = case.network.endpoint_called(name)
    return next((endpoint for endpoint in case.network.endpoints if endpoint.name == wanted), None)


def _lab_s(case: Case) -> tuple[float, float]:
    """From the first look at the machine to the last."""
    samples = case.host.samples
    return (samples[0].begin, samples[-1].end) if samples else (0.0, 0.0)


# -- what it explains
# ---------------------------------------------------------------------------------------------------


def _audio(case: Case, finding: Finding) -> Starved | None:
    """Somebody did not hear although the media reached him, or was not heard because he sent too little: the
    waits of the two programs must account for all that was not heard, each way."""
    call = _call(case, finding.subject)
    if call is None:
        return None
    reasons: list[Starved] = []
    ways: tuple[tuple[Direction, str, str, HeardAudio | None], ...] = (
        ("forward", call.caller, call.callee, call.forward),
        ("backward", call.callee, call.caller, call.backward),
    )
    for direction, speaker, listener, heard in ways:
        if heard is None or heard.heard:
            continue
        stream = case.stream(call, direction)
        if stream is not None and stream.lost > LOST_SHARE * stream.counted:
            return None  # it got lost on its way
        begin, end = _call_s(call)
        nodes = {party.node for name in (speaker, listener) if (party := _party(case, name)) is not None}
        found = case.host.starved(nodes, begin, end)
        unheard_s = (1 - (heard.share or 0.0)) * (end - begin)
        if not found or SPOILT * sum(one.waited_s for one in found) < unheard_s:
            return None
        reasons.append(found[0])
    return max(reasons, key=lambda one: one.waited_s, default=None)


def _quality(case: Case, finding: Finding) -> Starved | None:
    """Of a line or route: all calls that miss the policy must be explained."""
    each = each_call(finding)
    if each == [finding]:
        return _quality_of_call(case, finding)
    reasons = []
    for call, direction, _, _ in case.call_directions():
        quality = media_quality(case.stream(call, direction))
        named = [one for one in each if one.subject == f"{call.id}:{direction}"]
        if named and quality is not None and misses(quality, case.network.policy):
            reasons.append(_quality_of_call(case, named[0]))
    known = [reason for reason in reasons if reason is not None]
    return max(known, key=lambda one: one.share) if known and len(known) == len(reasons) else None


def _quality_of_call(case: Case, finding: Finding) -> Starved | None:
    name, _, direction = finding.subject.partition(":")
    for call, its, sender, receiver in case.call_directions():
        stream = case.stream(call, its) if (call.id, its) == (name, direction) else None
        if stream is not None:
            return host_made(case, stream, (sender, receiver), finding.blame)
    return None


def _load_quality(case: Case) -> Starved | None:
    """All directions that miss the policy must be explained."""
    worst: Starved | None = None
    for stream in case.seen.media.streams:
        quality = media_quality(stream)
        if quality is None or stream.window is None or not misses(quality, case.network.policy):
            continue
        ends = [case.network.endpoints[n] for n in (stream.sender, stream.receiver) if n >= 0]
        reason = host_made(case, stream, (ends[0], ends[-1]), None)
        if reason is None:
            return None
        worst = reason if worst is None or reason.share > worst.share else worst
    return worst


def host_made(
    case: Case, stream: Stream, ends: tuple[Endpoint, Endpoint], blame: str | None
) -> Starved | None:
    """The program whose waits explain that a stream misses the policy; None where it misses it without them.

    Only programs on its way count; for losses, where a device was found, only that device's.
    """
    quality = media_quality(stream)
    if quality is None or quality.delay_ms is None or quality.jitter_ms is None:
        return None
    begin, end = (ns / 1e9 for ns in media_time(stream))
    way = _way(case, ends)
    at_blamed = spaces_of(case.network, blame) & way if blame is not None else way
    moving = case.host.starved(way, begin, end, MOVERS)
    losing = case.host.starved(at_blamed, begin, end, MOVERS)
    sending = case.host.starved({ends[0].node}, begin, end)
    found = sorted({*moving, *sending}, key=lambda one: -one.waited_s)
    if not found:
        return None
    waited_s = sum(one.waited_s for one in moving)
    loss_pct = LOST_TWICE * 100 * sum(one.waited_s for one in losing) / (end - begin)
    # a packet waits at most for the rest of the wait in which it came: on average of all, W x W / 2 in T
    delay_ms = LOST_TWICE * 1000 * waited_s**2 / (2 * (end - begin))
    jitter_ms = _jitter_ms(case, stream, way, {ends[0].node})
    left = (
        max(quality.loss_pct - loss_pct, 0.0),
        max(quality.delay_ms - delay_ms, 0.0),
        max(quality.worst_jitter_ms - jitter_ms, 0.0),
    )
    mean_jitter_ms = max(quality.jitter_ms - jitter_ms, 0.0)
    mos = emodel.mos(rating(stream, left[0], left[1], mean_jitter_ms))
    return None if beyond(case.network.policy, *left, mos) else found[0]


def _jitter_ms(case: Case, stream: Stream, way: set[str], own: set[str]) -> float:
    """What waits can have added to the mean jitter of the worst report interval."""
    begin, end = (ns / 1e9 for ns in media_time(stream))
    codec = emodel.BY_PAYLOAD_TYPE.get(stream.payload_type, emodel.G711)
    packets = REPORT_S * 1000 / codec.packet_ms
    worst_s = 0.0
    while begin < end:
        until = min(begin + REPORT_S, end)
        found = (*case.host.starved(way, begin, until, MOVERS), *case.host.starved(own, begin, until))
        worst_s = max(worst_s, sum(one.waited_s for one in found))
        begin += 1.0
    return LOST_TWICE * STEPS * 1000 * worst_s / packets


def _signalling(case: Case, finding: Finding) -> Starved | None:
    """Registrations and calls that did not come about: the phones' programs and the cloud's."""
    call = _call(case, finding.subject)
    named = (call.caller, call.callee) if call is not None else (finding.subject,)
    parties = [party for name in named if (party := _party(case, name)) is not None]
    if not parties:  # of a campaign: its generators
        parties = [e for e in case.network.endpoints if e.name in {g.node for g in case.run.load.generators}]
    cloud = {controller.node for controller in case.network.plan.session_controllers}
    begin, end = _lab_s(case)
    if call is not None:
        begin = call.started_at
        end = max(call.ended_at or call.started_at, call.started_at + LONG_S)
    nodes = {party.node for party in parties} | cloud
    reason = _first(case.host.starved(nodes, begin, end), LONG_S)
    if reason is None or finding.id != "signalling.registered" or not parties:
        return reason
    # who was registered and is not: for no longer than the program waited, and took to try again
    most_s = reason.waited_s + parties[0].registration.attempt_s
    return reason if longest_gap_s(case, finding.subject) <= most_s else None


def _failover(case: Case, incidents: Sequence[JudgedIncident], finding: Finding) -> Starved | None:
    """Somebody on the way of the calls through that incident had to wait for long while it lasted."""
    for judged in incidents:
        if finding.subject.startswith(judged.title):
            calls = [call for call in case.run.calls if call.id in judged.incident.calls]
            parties = [p for c in calls for n in (c.caller, c.callee) if (p := _party(case, n)) is not None]
            nodes = _way(case, parties) | {party.node for party in parties}
            found = case.host.starved(nodes, judged.incident.failed_at, judged.incident.ended_at)
            if reason := _first(found, LONG_S):
                return reason
    return None


def _hint(case: Case, finding: Finding) -> Starved | None:
    """Why something was not seen at all: programs of its parties, or of its captures, that waited."""
    name = finding.subject.partition(":")[0]
    if finding.id == "capture.complete":
        known = case.network.taps.get(finding.subject)
        spaces = {known.namespace if known is not None else finding.subject.removesuffix(".pcapng")}
        found = case.host.starved(spaces, *_lab_s(case), programs=("dumpcap",))
        return _first(found, LONG_S)
    call = _call(case, name)
    if call is None:
        return None
    parties = [p for n in (call.caller, call.callee) if (p := _party(case, n)) is not None]
    nodes = {party.node for party in parties}
    if finding.id == "quality.overload":
        nodes |= {n for bulk in case.network.plan.bulk for n in (bulk.source_node, bulk.target_node)}
    found = case.host.starved(nodes, *_call_s(call))
    return found[0] if found and found[0].share >= STARVED else None
