"""Quality of voice against the policy's limits (`quality.voice`), also while the WAN is overloaded
(`quality.overload`); C8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uclab.capture.headers import UDP
from uclab.judge import emodel
from uclab.judge.case import Case
from uclab.judge.claim import Claim
from uclab.judge.culprit import culprit
from uclab.judge.network import number
from uclab.judge.streams import Stream, media_time
from uclab.judge.types import Evidence, Finding, JudgedCall, MediaQuality, Walk
from uclab.plan.records import CallRecord, Direction
from uclab.plan.types import BulkTraffic, Endpoint, Policy

INTERRUPTED = ("hold-transfer",)
"""Kinds of call whose media stops and moves on purpose: their loss is no measure of the network."""
MEDIA_SHARE = 0.5
"""Share of a call's time for which media must have been sent for its quality to be a statement about the
call."""
OVERLOAD_LOSS = 0.02
"""Share of bulk that must get lost on its way as proof that the line was full."""


def media_quality(stream: Stream | None) -> MediaQuality | None:
    """Figures of a stream at its receiver; None when nothing was sent."""
    if stream is None or not stream.counted:
        return None
    loss_pct = 100.0 * stream.lost / stream.counted
    delay_ms = stream.delay_sum_ms / stream.received if stream.received else 0.0
    r = rating(stream, loss_pct, delay_ms, stream.jitter.mean_ms) if stream.received else 0.0
    return MediaQuality(
        packets=stream.received,
        lost=stream.lost,
        loss_pct=round(loss_pct, 3),
        jitter_ms=round(stream.jitter.mean_ms, 3) if stream.received else None,
        delay_ms=round(delay_ms, 3) if stream.received else None,
        max_gap_ms=round(stream.gap_max_ms, 1),
        r_factor=round(r, 1),
        mos=round(emodel.mos(r), 2),
        max_jitter_ms=round(stream.jitter.max_ms, 3),
        worst_jitter_ms=round(stream.worst_jitter_ms, 3),
        max_delay_ms=round(stream.delay_max_ms, 3),
        before_open=stream.early,
    )


def rating(stream: Stream, loss_pct: float, delay_ms: float, jitter_ms: float) -> float:
    """R of a stream's codec by these figures. Mouth to ear also takes the time to fill a packet, and a
    receive buffer of twice the mean jitter."""
    codec = emodel.BY_PAYLOAD_TYPE.get(stream.payload_type, emodel.G711)
    return emodel.r_factor(delay_ms + codec.packet_ms + 2 * jitter_ms, loss_pct, codec)


def misses(quality: MediaQuality, policy: Policy) -> bool:
    """Whether a direction misses the policy in delay, loss, jitter or MOS; one that never arrived does."""
    return quality.delay_ms is None or beyond(
        policy, quality.loss_pct, quality.delay_ms, quality.worst_jitter_ms, quality.mos
    )


def beyond(policy: Policy, loss_pct: float, delay_ms: float, jitter_ms: float, mos: float) -> bool:
    """Whether any of these figures is beyond the policy's limits."""
    return (
        delay_ms >= policy.max_one_way_delay_ms
        or loss_pct >= policy.max_loss_pct
        or jitter_ms >= policy.max_jitter_ms
        or mos < policy.min_mos
    )


def media_seconds(stream: Stream) -> float:
    """For how long a stream was sent while it counted, by its packets."""
    codec = emodel.BY_PAYLOAD_TYPE.get(stream.payload_type, emodel.G711)
    return stream.sent * codec.packet_ms / 1000.0


def judged_calls(case: Case, *, running: bool = False) -> tuple[JudgedCall, ...]:
    """All calls with what the captures say of them: no figures of a direction at whose ends a tap saw only
    part. `running`: captures still run, so that none of them is closed."""

    def figures(call: CallRecord, direction: Direction) -> MediaQuality | None:
        stream = case.stream(call, direction)
        if stream is None or running:
            return media_quality(stream)
        names = [case.endpoint_name(end) for end in (stream.sender, stream.receiver) if end >= 0]
        names += [case.network.endpoint_called(name) for name in (call.caller, call.callee)]
        taps = [tap for name in names if (tap := case.network.first_tap.get(name)) is not None]
        return media_quality(stream) if case.windows.first_gap(taps, *media_time(stream)) is None else None

    return tuple(
        JudgedCall(
            id=call.id,
            caller=call.caller,
            callee=call.callee,
            kind=call.kind,
            established=call.established,
            setup_ms=call.setup_ms,
            seconds=_seconds(call),
            forward=figures(call, "forward"),
            backward=figures(call, "backward"),
        )
        for call in case.run.calls
    )


def _seconds(call: CallRecord) -> float:
    if call.answered_at is None or call.ended_at is None:
        return 0.0
    return round(call.ended_at - call.answered_at, 3)


def check_quality(case: Case, walks: Sequence[Walk]) -> Iterator[Finding]:
    """Each direction of each established call against delay, loss, jitter and MOS of the policy."""
    by_call = {(walk.call, walk.direction): walk for walk in walks}
    for call, direction, sender, receiver in case.call_directions():
        if call.established and call.kind not in INTERRUPTED:
            walk = by_call.get((call.id, direction))
            yield _direction(case, call, direction, sender, receiver, walk)


def _direction(
    case: Case,
    call: CallRecord,
    direction: Direction,
    sender: Endpoint,
    receiver: Endpoint,
    walk: Walk | None,
) -> Finding:
    policy, overload = case.network.policy, call.kind == "overload"
    limits = [
        f"delay < {policy.max_one_way_delay_ms:g} ms",
        f"loss < {policy.max_loss_pct:g} %",
        f"jitter < {policy.max_jitter_ms:g} ms",
        f"MOS >= {policy.min_mos:g}",
    ]
    expected = ", ".join(limits) + (" while the WAN is overloaded" if overload else "")
    name = "quality.overload" if overload else "quality.voice"
    claim = Claim(name, ("C8",), f"{call.id}:{direction}", expected)
    stream = case.stream(call, direction)
    quality = media_quality(stream)
    if quality is None or stream is None:
        return claim.not_shown("no media was sent")
    if quality.delay_ms is None or quality.jitter_ms is None:
        return claim.not_shown(f"no media arrived of {stream.counted} packets")
    spoken, lasted = media_seconds(stream), _seconds(call)
    if spoken < MEDIA_SHARE * lasted:
        return claim.not_shown(f"media was sent for only {spoken:.1f} s of a call of {lasted:.1f} s")
    over = misses(quality, policy)
    observed = (
        f"delay {quality.delay_ms:.1f} ms, loss {quality.loss_pct:.2f} %, jitter {quality.jitter_ms:.2f} ms "
        f"(worst 5 s {quality.worst_jitter_ms:.2f}), MOS {quality.mos:.2f}"
    )
    evidence = Evidence(case.network.first_tap.get(receiver.name))
    if over:
        lossy = quality.loss_pct >= policy.max_loss_pct
        blind = case.windows.blind(*media_time(stream))
        blame, where = culprit(case.network, walk, stream, by_loss=lossy, blind=blind)
        taken = case.taken(call, direction)
        if taken is not None and blame in case.network.controller_nodes:
            # The relay lost them because it was led astray.
            blame, where = taken.intruder.blame, f"{where}; {taken.words}"
        return claim.failed(f"{observed}; {where}" if where else observed, evidence, blame)
    if not overload:
        return claim.passed(observed, evidence)
    proof = overload_proof(case)
    observed += f"; {proof.text}"
    return claim.passed(observed, evidence) if proof.full else claim.not_shown(observed, evidence)


@dataclass(frozen=True)
class OverloadProof:
    """Whether the line was full: the bulk traffic that got lost on its way."""

    full: bool
    text: str


def overload_proof(case: Case) -> OverloadProof:
    """Compares bulk at its source's tap with bulk at its target's."""
    if not case.network.plan.bulk:
        return OverloadProof(False, "the plan has no bulk traffic")
    parts, full = [], False
    for bulk in case.network.plan.bulk:
        sent, arrived = _bulk_counts(case, bulk)
        share = 1 - arrived / sent if sent else 0.0
        full |= sent > 0 and share >= OVERLOAD_LOSS
        figures = f"{sent} packets sent, {share:.0%} lost" if sent else "nothing sent"
        parts.append(f"{bulk.name}: {figures}")
    return OverloadProof(
        full, ("WAN full: " if full else "no proof that the WAN was full: ") + "; ".join(parts)
    )


def _bulk_counts(case: Case, bulk: BulkTraffic) -> tuple[int, int]:
    """Packets at the sending host's own tap, and at the receiving host's. Downwards the public server sends
    to the PC."""
    server = number(bulk.target_address)
    near, far = bulk.source_node, bulk.target_node

    def at(node: str) -> int:
        taps = [tap.label for tap in case.network.plan.taps if tap.namespace == node][:1]
        return sum(
            flow.packets
            for flow in case.flows
            if flow.key.tap in taps
            and flow.key.proto == UDP
            and (flow.key.dst if bulk.direction == "up" else flow.key.src) == server
            and flow.key.dport != 53
        )

    return (at(near), at(far)) if bulk.direction == "up" else (at(far), at(near))
