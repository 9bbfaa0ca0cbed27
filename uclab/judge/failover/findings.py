"""Verdicts on incidents (V2), by the policy's limits alone: how each failure affects callers, and its
restoration."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

from uclab.judge.check import CHECKS, Check, FindingKind
from uclab.judge.failover.quality import V2, check_failback, check_gaps, check_mos, spread
from uclab.judge.result.claim import Claim
from uclab.judge.result.incidents import CallOutcome, JudgedIncident, LinesUsed
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import FailoverLimits, Policy

IncidentCheck = Callable[[Sequence[JudgedIncident], Policy, FailoverLimits], Iterator[Finding]]


def check_failover(policy: Policy, incidents: Sequence[JudgedIncident]) -> Iterator[Finding]:
    """All findings of failover: of each occurrence of an incident, or of all its rounds together."""
    if not incidents:
        yield Claim("failover.calls-kept", V2, "incidents", "calls survive failures").not_shown(
            "nothing was broken"
        )
        return
    if policy.failover is None:
        claim = Claim("failover.calls-kept", V2, "incidents", "limits of failover in the policy")
        yield claim.not_shown(f"policy `{policy.name}` has no section `failover`")
        return
    for rounds in grouped(incidents).values():
        survivable = rounds[0].incident.survivable
        for check in SURVIVED if survivable else ENDURED:
            yield from check(rounds, policy, policy.failover)


def grouped(incidents: Sequence[JudgedIncident]) -> dict[str, list[JudgedIncident]]:
    """Rounds of the same incident together, in the order of their first."""
    found: dict[str, list[JudgedIncident]] = {}
    for judged in incidents:
        found.setdefault(judged.title, []).append(judged)
    return found


def subject(judged: JudgedIncident, rounds: Sequence[JudgedIncident]) -> str:
    """An occurrence's name in findings."""
    return f"{judged.title}, round {judged.incident.round}" if len(rounds) > 1 else judged.title


def check_calls_kept(
    rounds: Sequence[JudgedIncident], policy: Policy, limits: FailoverLimits
) -> Iterator[Finding]:
    """No call is lost, neither by the failure nor by failback."""
    for judged in rounds:
        claim = Claim(
            "failover.calls-kept", V2, subject(judged, rounds), "every live call survives to its end"
        )
        calls = judged.judged
        if not calls:
            yield claim.not_shown(_nothing_live(judged))
            continue
        lost = [call for call in calls if call.fate in ("silent", "dropped")]
        observed = f"{_counted(judged)}{_fewer(judged)}"
        proof = Evidence(text=", ".join(call.id for call in lost or calls))
        if lost:
            blame = next((call.blame for call in lost if call.blame), None)
            yield claim.failed(f"{observed}. {_reasons(lost)}", proof, blame)
        else:
            yield claim.passed(observed, proof)


def _nothing_live(judged: JudgedIncident) -> str:
    return f"none of {judged.incident.asked} calls was live when it failed"


def _counted(judged: JudgedIncident) -> str:
    titles = {
        "kept": "kept",
        "re-established": "re-established",
        "silent": "without media until restored",
        "dropped": "dropped",
    }
    return ", ".join(f"{judged.fates[fate]} {said}" for fate, said in titles.items() if fate in judged.fates)


def _fewer(judged: JudgedIncident) -> str:
    """Fewer live calls than wanted is said, not hidden."""
    incident = judged.incident
    if len(incident.calls) < incident.asked:
        return f" (of {incident.asked} calls placed, {len(incident.calls)} were live)"
    if incident.asked < incident.wanted:
        return f" (the endpoints allow {incident.asked} calls at once, not {incident.wanted})"
    return ""


def _reasons(lost: Sequence[CallOutcome]) -> str:
    by_reason: dict[str, list[str]] = {}
    for call in lost:
        by_reason.setdefault(call.why or "no reason was seen", []).append(f"{call.caller} → {call.callee}")
    return ". ".join(f"{', '.join(calls)}: {why}" for why, calls in by_reason.items())


def check_detection(
    rounds: Sequence[JudgedIncident], policy: Policy, limits: FailoverLimits
) -> Iterator[Finding]:
    """The failure is detected in time, where another line must take over."""
    moving = [judged for judged in rounds if judged.moves]
    if not moving:
        return
    expected = f"detected within {limits.max_detection_ms:g} ms, as another line must take over"
    claim = Claim("failover.detection", V2, rounds[0].title, expected)
    seen = [judged for judged in moving if judged.detection_ms is not None]
    values = [judged.detection_ms for judged in seen if judged.detection_ms is not None]
    router = next((lines.router for judged in moving for lines in judged.lines), None)
    if not any(judged.calls for judged in moving):
        yield claim.not_shown(_nothing_live(moving[0]))
    elif len(values) < len(moving):
        missed = f"not detected before restoration, in {len(moving) - len(values)} of {len(moving)} rounds"
        yield claim.failed(missed, blame=router)
    elif statistics.median(values) < limits.max_detection_ms:
        yield claim.passed(f"{spread(values)}: {seen[0].detected_by}")
    else:
        yield claim.failed(f"{spread(values)}: {seen[0].detected_by}", blame=router)


def check_registrations(
    rounds: Sequence[JudgedIncident], policy: Policy, limits: FailoverLimits
) -> Iterator[Finding]:
    """Phones whose address changed are re-registered in time."""
    for judged in rounds:
        if not judged.new_address and not judged.registrations:
            continue
        expected = f"every phone that must re-register does so within {limits.max_registration_s:g} s"
        claim = Claim("failover.registration", V2, subject(judged, rounds), expected)
        times = {registration.phone: registration.seconds for registration in judged.registrations}
        values = [seconds for seconds in times.values() if seconds is not None]
        never = sorted(phone for phone, seconds in times.items() if seconds is None)
        late = sorted(p for p, s in times.items() if s is not None and s >= limits.max_registration_s)
        spreads = [spread(values, "s", 1)] if values else []
        if never:
            spreads.append(f"not before restoration: {', '.join(never)}")
        if late:
            spreads.append(f"late: {', '.join(late)}")
        if not times:
            yield claim.not_shown("no phone registers")
        elif never or late:
            yield claim.failed("; ".join(spreads), blame=(never or late)[0])
        else:
            yield claim.passed("; ".join(spreads))


def check_order(
    rounds: Sequence[JudgedIncident], policy: Policy, limits: FailoverLimits
) -> Iterator[Finding]:
    """Lines are used in the order of the plan: before, during and after."""
    for judged in rounds:
        several = len(judged.lines) > 1
        for used in judged.lines:
            name = subject(judged, rounds) + (f": {used.site}" if several else "")
            claim = Claim("failover.order", V2, name, _expected(used, judged))
            wrong = [_wrong(used, judged, leg) for leg in ("out", "into")]
            observed = f"out of the site {_order(used.out)}; into it {_order(used.into)}"
            if not any(used.out + used.into):
                yield claim.not_shown("no line was seen carrying media")
            elif any(wrong):
                # what comes in goes where the cloud sends it: the router has no say in that
                yield claim.failed(observed, blame=used.router if wrong[0] else None)
            else:
                yield claim.passed(observed)


def _order(lines: Sequence[str | None]) -> str:
    before, during, after = (line or "none" for line in lines)
    return f"{before}, then {during}, then {after}"


def _expected(used: LinesUsed, judged: JudgedIncident) -> str:
    before, during, after = used.wanted
    meanwhile = f"{during} while {judged.incident.subject} is away" if during else "any working line"
    return f"{before}, then {meanwhile}, then {after} again"


def _wrong(used: LinesUsed, judged: JudgedIncident, leg: str) -> bool:
    """Whether a line other than the wanted one carried media; what comes in may come by none while the
    cloud does
    not know the way: that is a gap, not a wrong order."""
    seen = used.out if leg == "out" else used.into
    pairs = list(zip(seen, used.wanted, strict=True))
    return any(
        wanted is not None and got != wanted and not (leg == "into" and got is None) for got, wanted in pairs
    )


def check_recovery(
    rounds: Sequence[JudgedIncident], policy: Policy, limits: FailoverLimits
) -> Iterator[Finding]:
    """Where nothing else leads to the cloud, calls fall silent; with restoration they must be back."""
    for judged in rounds:
        incident = judged.incident
        expected = (
            f"no alternate path without {incident.subject}: media stops, and "
            f"surviving calls recover media within {limits.max_media_gap_new_address_ms:g} ms of restoration"
        )
        claim = Claim("failover.recovery", V2, subject(judged, rounds), expected)
        calls = judged.judged
        if not calls:
            yield claim.not_shown(_nothing_live(judged))
            continue
        delays = list(_recoveries(judged))
        late = [ms for ms in delays if ms >= limits.max_media_gap_new_address_ms]
        holding = [call for call in calls if not call.hung_up]
        never = [call for call in holding if any(not way.alive for way in call.ways)]
        observed = _counted(judged) + (f"; back after {spread(delays)}" if delays else "") + _fewer(judged)
        if not holding:
            yield claim.not_shown(f"{observed}; all were hung up before restoration: {_reasons(calls)}")
        elif never:
            yield claim.failed(f"{observed}. Not back: {_reasons(never)}", blame=never[0].blame)
        else:
            yield claim.failed(observed) if late else claim.passed(observed)


def _recoveries(judged: JudgedIncident) -> Iterator[float]:
    """From restoration to the end of each silence that lasted until then, ms."""
    healed = judged.incident.healed_at
    for call in judged.judged:
        for way in call.ways:
            for silence in way.silences:
                if silence.begin < healed <= silence.end and way.alive:
                    yield 1000 * (silence.end - healed)


SURVIVED: tuple[IncidentCheck, ...] = (
    check_calls_kept,
    check_gaps,
    check_detection,
    check_registrations,
    check_order,
    check_failback,
    check_mos,
)
"""What is required where the network has an alternate path."""
ENDURED: tuple[IncidentCheck, ...] = (check_recovery, check_registrations)
"""What is asked where it has none."""


CHECKS.declare(
    "failover",
    Check(
        frozenset(("failover",)),
        lambda run: check_failover(run.evidence.network.policy, run.incidents),
        (
            FindingKind(
                "failover.*",
                ("V2",),
                "only of a run of the [failover](failover.md) scenario: what failures did to live calls",
            ),
        ),
    ),
)
