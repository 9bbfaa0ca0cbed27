"""The fate of each call in an incident, and why it was not kept (V2)."""

from __future__ import annotations

from dataclasses import replace

from uclab.judge.failover.media import BEFORE_S, END_NS, carried, ns, streams_of
from uclab.judge.failover.signalling import (
    MEDIA_CHANGES,
    addresses,
    answered_in_dialog,
    hung_up,
)
from uclab.judge.measure.media_gaps import overlap_ns
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.incidents import CallOutcome, Fate, Way
from uclab.records.run import CallRecord, Direction, Incident

OTHER: dict[Direction, Direction] = {
    "caller_to_callee": "callee_to_caller",
    "callee_to_caller": "caller_to_callee",
}


def explained(
    evidence: RunEvidence, incident: Incident, call: CallRecord, ways: tuple[Way, ...], *, probe: bool
) -> CallOutcome:
    """What became of a call, with a reason for each direction that did not come back by itself."""
    ways = tuple(explain_direction(evidence, incident, call, way) for way in ways)
    ended = hung_up(evidence, incident, call)
    lost = [way for way in ways if way.why]
    fate: Fate = "kept"
    if probe:
        fate = "probe"
    elif ended or any(not way.alive for way in ways):
        fate = "dropped"
    elif lost:
        fate = "silent"
    elif _renegotiated(evidence, incident, call, ways):
        fate = "re-established"
    reasons = list(dict.fromkeys(way.why for way in lost))
    if ended:
        reasons.insert(0, f"hung up by {ended}")
    blame = next((way.blame for way in lost if way.blame), None)
    why = "; ".join(reasons) if fate in ("dropped", "silent", "probe") else ""
    return CallOutcome(call.id, call.caller, call.callee, fate, why, blame, ways, ended is not None)


def _renegotiated(evidence: RunEvidence, incident: Incident, call: CallRecord, ways: tuple[Way, ...]) -> bool:
    """Whether a re-INVITE or UPDATE was answered before media came back from its longest silence."""
    answers = [
        t for t, method in answered_in_dialog(evidence, call, *_broken(incident)) if method in MEDIA_CHANGES
    ]
    returns = [
        silence.end
        for way in ways
        for silence in way.silences
        if way.gap_ms and silence.ms == max(s.ms for s in way.silences if _of(incident, s.begin))
    ]
    return any(answer <= max(returns, default=0.0) + 0.1 for answer in answers)


def _of(incident: Incident, begin: float) -> bool:
    return incident.failed_at - BEFORE_S <= begin < incident.healed_at


def explain_direction(evidence: RunEvidence, incident: Incident, call: CallRecord, way: Way) -> Way:
    """The way with the reason why nothing came until restoration, or why it was gone after it; as it was
    where
    media went on."""
    if way.gap_ms is None:
        return replace(way, why="no media came before the failure either")
    if way.returned and way.alive:
        return way
    why, blame = (
        _gone_after(evidence, incident, call, way) if way.returned else _reason(evidence, incident, call, way)
    )
    return replace(way, why=why, blame=blame)


def _reason(evidence: RunEvidence, incident: Incident, call: CallRecord, way: Way) -> tuple[str, str | None]:
    """Why nothing came until restoration."""
    used = set() if way.flow == "in" else _lines_at_the_end(evidence, incident, call, way)
    lines = [line for lines in evidence.network.ways.lines.values() for line in lines if line.name in used]
    for line in lines:
        if {line.link, line.far} & set(incident.parts):
            return f"{line.near} kept sending by {line.name}: it did not detect the failure", line.near
    if not incident.survivable:
        return f"there is no alternate path while {incident.subject} is gone", incident.subject
    if way.flow == "in":
        return _downward(evidence, incident, call, way)
    if not lines:
        return "no line of the site carried it", None
    seen = addresses(evidence, incident, call, way.direction)
    if seen is not None and seen.new:
        return f"it reached the cloud from {seen.new[0]}, which did not pass it on", _controller(evidence)
    return f"it left by {', '.join(sorted(used))} and was lost beyond it", None


def _downward(
    evidence: RunEvidence, incident: Incident, call: CallRecord, way: Way
) -> tuple[str, str | None]:
    """Why what the cloud sends does not arrive: mostly because it goes to where the phone was."""
    target = addresses(evidence, incident, call, way.direction)
    phone = addresses(evidence, incident, call, OTHER[way.direction])
    if target is None:
        return "the cloud sent nothing", _controller(evidence)
    if phone is not None and phone.new and not set(phone.new) & set(target.new):
        return _left_behind(evidence, call, _broken(incident), target.before, phone.new[0])
    if phone is not None and not phone.new and not phone.kept_on:
        return "nothing of the phone reached the cloud, which sent on to where it had been", None
    return f"what the cloud sent to {(target.new or (target.before,))[-1]} did not arrive", None


def _gone_after(
    evidence: RunEvidence, incident: Incident, call: CallRecord, way: Way
) -> tuple[str, str | None]:
    """Why media that had survived the failure was lost with failback."""
    target = addresses(evidence, incident, call, way.direction)
    phone = addresses(evidence, incident, call, OTHER[way.direction])
    restored = incident.healed_at, incident.ended_at
    ends = [seen.at_end if seen is not None else () for seen in (target, phone)]
    if way.flow == "in" and all(ends) and not set(ends[0]) & set(ends[1]):
        why, blame = _left_behind(evidence, call, restored, ends[0][0], ends[1][0])
        return f"lost at failback: {why}", blame
    return "lost at failback: there was no media at the end of the observation", None


def _left_behind(
    evidence: RunEvidence, call: CallRecord, window: tuple[float, float], old: str, new: str
) -> tuple[str, str | None]:
    asked = any(method in MEDIA_CHANGES for _, method in answered_in_dialog(evidence, call, *window))
    how = "though a re-INVITE was answered" if asked else "and no re-INVITE updated it"
    explanation = f"the address changed from {old} to {new}; the cloud kept sending to the old one, {how}"
    return explanation, _controller(evidence) if asked else None


def _broken(incident: Incident) -> tuple[float, float]:
    return incident.failed_at, incident.healed_at


def _controller(evidence: RunEvidence) -> str | None:
    return next((controller.name for controller in evidence.network.plan.session_controllers), None)


def _lines_at_the_end(evidence: RunEvidence, incident: Incident, call: CallRecord, way: Way) -> set[str]:
    """The lines that still carried the direction just before restoration."""
    names = {line.tap: line.name for lines in evidence.network.ways.lines.values() for line in lines}
    healed = ns(incident.healed_at)
    spans = carried(evidence, streams_of(evidence, call, way.direction), "up")
    return {
        names[tap]
        for tap, span in spans.items()
        if tap in names and overlap_ns(span, healed - END_NS, healed)
    }
