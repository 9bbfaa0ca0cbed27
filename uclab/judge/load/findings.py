"""What many users experienced in a campaign: registrations, calls and media from client-side records, and
the quality of media from the captures (`load.*`; D11, C8). Names and sections of measurements are those of
RFC 6076."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from uclab.judge.check import CHECKS, Check, FindingKind
from uclab.judge.evidence.load_files import Leg
from uclab.judge.load.srtp import check_load_srtp
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.streams import Stream, media_time
from uclab.judge.path.fault_localisation import culprit
from uclab.judge.path.hop_trace import media_walk
from uclab.judge.quality.accused import worse_than_chance
from uclab.judge.quality.line_quality import loss_in_words, more_needed
from uclab.judge.quality.route_quality import (
    figures_in_words,
    limits_in_words,
    missed,
    not_kept,
    route_figures,
)
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.load.record import EFFECTIVE, LegRecord, RegistrationRecord, over_trunk

HEARD_S = 0.5
"""Who hangs up sooner may have heard nothing yet: talking times are distributed exponentially."""
SHOWN = 3
"""So many users are named where several have the same trouble."""


def check_load(evidence: RunEvidence) -> Iterator[Finding]:
    """Generators, registrations, calls, voice."""
    yield from _generators(evidence)
    yield _registered(evidence)
    if evidence.run.load.has_calls:
        yield from _established(evidence)
        yield from _heard(evidence)
        yield from _quality(evidence)


def _generators(evidence: RunEvidence) -> Iterator[Finding]:
    claim = Claim("load.generators", ("D11",), "generators", "each load generator runs to the campaign's end")
    known = evidence.run.load.generators
    if not known:
        yield claim.not_shown("no generator reported how it ended")
        return
    died = [
        generator_record
        for generator_record in known
        if generator_record.trouble or generator_record.status is None or generator_record.status < 0
    ]
    for record in died:
        how = (
            "did not end by itself"
            if record.status is None
            else f"was ended by signal {-(record.status or 0)}"
        )
        observed = f"{record.trouble or how}; its users are missing from then on"
        yield Claim(claim.id, claim.requirement, record.node, claim.expected).failed(
            observed, Evidence(text=record.words[-600:]), record.node
        )
    if not died:
        yield claim.passed(f"{len(known)} generators, {evidence.run.load.users} users")


def _registered(evidence: RunEvidence) -> Finding:
    attempts = evidence.run.load.registrations
    users = evidence.run.load.users - evidence.run.load.callers
    claim = Claim("load.registered", ("C1", "D11"), "registrations", f"all {users} users register")
    if not attempts:
        return claim.not_shown("no user tried to register")
    good = [attempt for attempt in attempts if 200 <= attempt.status < 300]
    registered = {attempt.user for attempt in good}
    bad = [attempt for attempt in attempts if attempt not in good] if len(good) < len(attempts) else []
    observed = (
        f"{len(registered)} of {users} registered; {len(attempts)} attempts, ineffective (IRA)"
        f" {100 * len(bad) / len(attempts):.1f} %; {_spread('RRD', [record.delay_ms for record in good])}"
    )
    if bad:
        observed += f"; {_reasons(bad)}"
    if len(registered) == users and not bad:
        return claim.passed(observed)
    return claim.failed(observed)


def _reasons(bad: Sequence[RegistrationRecord | LegRecord]) -> str:
    """The troubles by how often they came up, each with some of the users."""
    causes = []
    for reason, count in Counter(map(_reason, bad)).most_common(SHOWN):
        users = sorted({record.user for record in bad if _reason(record) == reason})
        named = ", ".join(users[:SHOWN]) + (", ..." if len(users) > SHOWN else "")
        causes.append(f"{count} times `{reason}` ({named})")
    return "; ".join(causes)


def _reason(record: RegistrationRecord | LegRecord) -> str:
    return f"{record.status or 'no answer'} {record.error}".strip()


def _established(evidence: RunEvidence) -> Iterator[Finding]:
    """By kind of call: SER and SEER (sections 4.6, 4.7)."""
    by_kind: dict[str, list[LegRecord]] = {}
    for leg in evidence.run.load.legs:
        if leg.record.role == "caller":
            by_kind.setdefault(leg.record.kind, []).append(leg.record)
    expected = "every call reaches the called side (SEER 100 %)"
    if not by_kind:
        yield Claim("load.established", ("D3", "D11"), "calls", expected).not_shown("no call was placed")
    for kind, calls in sorted(by_kind.items()):
        outside = ("C3", "C4") if over_trunk(kind) else ()
        claim = Claim("load.established", ("D3", "D11", *outside), kind, expected)
        answered = [call for call in calls if 200 <= call.status < 300]
        bad = [call for call in calls if not 200 <= call.status < 300 and call.status not in EFFECTIVE]
        delays = [call.request_delay_ms for call in answered if call.request_delay_ms is not None]
        setups = [call.setup_ms for call in answered if call.setup_ms is not None]
        observed = (
            f"{len(calls)} calls, SER {100 * len(answered) / len(calls):.1f} %, SEER"
            f" {100 * (len(calls) - len(bad)) / len(calls):.1f} %; {_spread('SRD', delays)};"
            f" {_spread('to answer', setups)}"
        )
        yield claim.failed(f"{observed}; {_reasons(bad)}") if bad else claim.passed(observed)


def _heard(evidence: RunEvidence) -> Iterator[Finding]:
    """By the users' own word: the other side's signal, and nothing that its key does not open. Calls over the
    trunk are a case of their own, where there were any."""
    across = [leg for leg in evidence.run.load.legs if over_trunk(leg.record.kind)]
    within = [leg for leg in evidence.run.load.legs if not over_trunk(leg.record.kind)]
    if within or not across:
        yield _heard_by(within, "voice", ("D3", "C9"))
    if across:
        yield _heard_by(across, "voice over the trunk", ("D3", "C3", "C9"))


def _heard_by(all_legs: Sequence[Leg], subject: str, requirement: tuple[str, ...]) -> Finding:
    claim = Claim(
        "load.heard",
        requirement,
        subject,
        "each side hears the other's signal, by packets that its key opens",
    )
    legs = [leg for leg in all_legs if leg.record.heard is not None and _long_enough(leg.record)]
    if not legs:
        return claim.not_shown("no leg had media")
    deaf = [leg.record for leg in legs if not leg.record.heard]
    forged = sum(leg.record.unauthentic for leg in legs)
    received = sum(leg.record.received for leg in legs)
    observed = (
        f"{len(legs) - len(deaf)} of {len(legs)} sides heard;"
        f" {received} packets received, {forged} not authentic"
    )
    if deaf:
        observed += f"; not heard by {', '.join(sorted({leg.user for leg in deaf})[:SHOWN])}"
    return claim.failed(observed) if deaf or forged else claim.passed(observed)


def _long_enough(leg: LegRecord) -> bool:
    """Whether it lasted so long that its party must have heard something."""
    return (leg.ended_at or 0.0) - (leg.answered_at or 0.0) >= HEARD_S


def _quality(evidence: RunEvidence) -> Iterator[Finding]:
    """The media of all sides that sit at a generator, against the policy; but for calls that were held, whose
    media stops and moves on purpose."""
    policy = evidence.network.policy
    expected = (
        f"loss < {policy.max_loss_pct:g} %, {limits_in_words(policy)}, with"
        f" {policy.confidence.verdict_pct:g} % confidence; no direction beyond them by more than chance"
    )
    generators = {record.node for record in evidence.run.load.generators}
    for generator in sorted(generators):
        claim = Claim("load.quality", ("C8",), f"voice from {generator}", expected)
        yield _directions(evidence, claim, generator)


def _directions(evidence: RunEvidence, claim: Claim, generator: str) -> Finding:
    policy = evidence.network.policy
    steady = {leg.id for leg in evidence.run.load.legs if not leg.record.offers}
    streams = [
        stream
        for (call, direction), sent in evidence.streams.items()
        for stream in sent
        if direction == "caller_to_callee"
        and call in steady
        and evidence.endpoint_name(stream.sender) == generator
        and stream.counted
    ]
    if not streams:
        return claim.not_shown("no media was sent by a user in a call")
    proof = Evidence(evidence.network.first_tap.get(generator))
    arrived = [stream for stream in streams if stream.received]
    broken = worse_than_chance(policy, streams)
    held = f"{len(streams) - len(broken)} of {len(streams)} directions pass"
    if not arrived:
        return claim.failed(f"{held}; nothing arrived", proof, _culprit(evidence, streams, True)[0])
    figures = route_figures(policy, arrived)
    limit = policy.max_loss_pct / 100
    loss = loss_in_words(figures.loss, figures.lost, figures.effect)
    worst = max(100 * stream.lost / stream.counted for stream in streams)
    observed = f"{held}; {loss}, worst direction {worst:.2f} %; {figures_in_words(figures)}"
    beyond = [*(["loss"] if figures.loss.beyond(limit) else []), *missed(policy, figures)]
    if broken or beyond:
        lossy = any(stream.lost >= limit * stream.counted for stream in broken or streams)
        blame, where = _culprit(evidence, broken or arrived, lossy)
        together = f"; all together beyond: {', '.join(beyond)}" if beyond else ""
        return claim.failed(observed + together + where, proof, blame)
    doubts = not_kept(policy, figures)
    if not figures.loss.below(limit):
        doubts.append(more_needed(policy, figures.loss.value, figures.lost.count, figures.effect))
    return claim.not_shown("; ".join([observed, *doubts]), proof) if doubts else claim.passed(observed, proof)


def _culprit(evidence: RunEvidence, broken: Sequence[Stream], lossy: bool) -> tuple[str | None, str]:
    """Where the worst of these streams lost most; where none loses too much, where the slowest one took
    longest."""
    stream = max(
        broken, key=lambda stream: stream.lost if lossy else stream.delay_sum_ms / max(stream.received, 1)
    )
    receiver = evidence.network.endpoints[stream.receiver if stream.receiver >= 0 else stream.sender]
    walk = media_walk(
        evidence, stream.window.call if stream.window else "", "caller_to_callee", stream, receiver
    )
    blind = evidence.windows.blind(*media_time(stream))
    blame, where = culprit(evidence.network, walk, stream, by_loss=lossy, blind=blind)
    return blame, f"; worst direction: {where}" if where else ""


def _spread(name: str, values: Sequence[float]) -> str:
    """Median, 95th percentile and highest, ms."""
    if not values:
        return f"no {name}"
    median, high = np.percentile(np.array(values), [50, 95])
    return f"{name} {median:.0f} ms median, {high:.0f} ms for 95 %, {max(values):.0f} ms at most"


def _of_campaign(evidence: RunEvidence) -> Iterator[Finding]:
    yield from check_load(evidence)
    if evidence.run.load.has_calls:
        yield from check_load_srtp(evidence)


CHECKS.declare(
    "load",
    Check(
        frozenset(("load",)),
        lambda run: _of_campaign(run.evidence),
        (
            FindingKind(
                "load.*",
                ("D11",),
                "only of a [campaign](campaigns.md): what its users experienced",
            ),
        ),
    ),
)
