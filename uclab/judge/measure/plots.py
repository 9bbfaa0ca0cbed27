"""Time series and the signalling ladder: what the report draws. No verdicts here."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.judge.evidence.network import dscp_name
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Second
from uclab.judge.result.media import Ladder, LadderMessage, Series


def media_series(evidence: RunEvidence) -> Iterator[Series]:
    """Delay, jitter and loss of every call direction, a value a second of sending."""
    for call, direction, _, receiver in evidence.call_directions():
        stream = evidence.stream(call, direction)
        if stream is None or not stream.seconds:
            continue
        first, last = min(stream.seconds), max(stream.seconds)
        figures = [stream.seconds.get(second, Second()) for second in range(first, last + 1)]
        subject, tap = f"{call.id}:{direction}", evidence.network.first_tap.get(receiver.name, "")
        columns: dict[str, tuple[float | None, ...]] = {
            "delay_ms": tuple(round(f.delay_sum_ms / f.received, 3) if f.received else None for f in figures),
            "jitter_ms": tuple(round(f.jitter_ms, 3) if f.received else None for f in figures),
            "loss_pct": tuple(
                round(100 * max(f.sent - f.received, 0) / f.sent, 2) if f.sent else None for f in figures
            ),
        }
        yield Series("delay_ms", subject, tap, float(first), 1.0, columns["delay_ms"])
        yield Series("jitter_ms", subject, tap, float(first), 1.0, columns["jitter_ms"])
        yield Series("loss_pct", subject, tap, float(first), 1.0, columns["loss_pct"])


def rate_series(evidence: RunEvidence) -> Iterator[Series]:
    """kbit/s of every tap, direction and traffic class (by DSCP; `other` is what is not IPv4), a value a
    second."""
    grouped: dict[tuple[str, bool, int], dict[int, int]] = {}
    for (tap, second, dscp, leaving), octets in evidence.seen.flows.octets_per_second.items():
        grouped.setdefault((tap, leaving, dscp), {})[second] = octets
    for (tap, leaving, dscp), seconds in sorted(grouped.items()):
        first, last = min(seconds), max(seconds)
        values = tuple(round(seconds.get(s, 0) * 8 / 1000, 1) for s in range(first, last + 1))
        name = dscp_name(dscp) if dscp >= 0 else "other"
        yield Series("kbps", tap, name, float(first), 1.0, values, "out" if leaving else "in")


def ladders(evidence: RunEvidence) -> Iterator[Ladder]:
    """The decrypted SIP messages of each call, both legs, with the first media packets, in order of time."""
    controller = (
        evidence.network.plan.session_controllers[0].name
        if evidence.network.plan.session_controllers
        else "cloud"
    )
    endpoints = {endpoint.name: endpoint for endpoint in evidence.network.endpoints}
    for call in evidence.run.calls:
        parties = {evidence.network.endpoint_called(name) for name in (call.caller, call.callee)}
        users = {endpoints[name].account.user for name in parties if name in endpoints} | {
            call.caller,
            call.callee,
        }
        end = (call.ended_at or 1e12) + 2.0
        within = [m for m in evidence.signalling.messages if call.started_at - 1.0 <= m.at.time <= end]
        wanted = {call.sip_call_id} if call.sip_call_id else set()
        if not any(m.call_id in wanted for m in within):
            wanted = {
                m.call_id
                for m in within
                if m.start_line.startswith("INVITE ") and {m.from_user, m.to_user} <= users
            }
        steps = []
        for message in within:
            if message.call_id in wanted:
                sender = evidence.sender_of(message) or controller
                far = evidence.endpoint_at_controller(message.at.dst, message.at.dport) or message.at.dst
                text = message.start_line.removesuffix(" SIP/2.0").removeprefix("SIP/2.0 ")
                text += f" ({message.method})" if message.status is not None else ""
                receiver = far if sender == controller else controller
                steps.append(LadderMessage(message.at.time, sender, receiver, text))
        for direction in ("caller_to_callee", "callee_to_caller"):
            for stream in evidence.streams.get((call.id, direction), [])[:1]:
                speaker, listener = (
                    evidence.endpoint_name(stream.sender),
                    evidence.endpoint_name(stream.receiver),
                )
                text = f"media, SSRC {stream.ssrc:#010x} ({direction})"
                steps.append(LadderMessage(stream.first_ns / 1e9, speaker, listener, text))
        if steps:
            yield Ladder(call.id, tuple(sorted(steps, key=lambda step: step.time)))
