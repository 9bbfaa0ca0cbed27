"""Receipts (RFC 5438): who wrote a message that had to wait is told once when it has been delivered, and not
before (`message.receipt`, C1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.messages import (
    ACCEPTED,
    away_at_the_end,
    events_are_whole,
    proof_of,
    records_of,
    rows,
)
from uclab.judge.evidence.messages import Addressed, Passed, passed, received
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Finding
from uclab.records.run import MESSAGE_RECEIPT, Event, MessageRecord

EARLY_S = 1.0
"""The two phones' reports are that close to each other at most where the second was first."""


def check_receipts(evidence: RunEvidence) -> Iterator[Finding]:
    """One finding for each row of messages of which some had to wait."""
    for asked, subject, addressed in rows(evidence):
        kept = [record for record in records_of(evidence, asked) if record.status == ACCEPTED]
        if kept and isinstance(addressed, Addressed):
            claim = Claim(
                "message.receipt", ("C1",), subject, "its author is told once when each was delivered"
            )
            yield _finding(evidence, claim, addressed, kept)


@dataclass(frozen=True)
class _Fate:
    """What became of a message that had to wait, and what its author was told of it."""

    record: MessageRecord
    came: float | None
    told: tuple[Event, ...]


def _finding(
    evidence: RunEvidence, claim: Claim, addressed: Addressed, kept: Sequence[MessageRecord]
) -> Finding:
    came = {event.detail: event.time for event in received(evidence.run, addressed)}
    receipts = _receipts(evidence, addressed)
    fates = [
        _Fate(record, came.get(record.text), tuple(told for told in receipts if told.about == record.call_id))
        for record in kept
    ]
    everything = passed(
        evidence.network, evidence.signalling.messages, addressed, evidence.endpoint_at_controller
    )
    proof = proof_of(evidence, everything)
    for fate in fates:
        if wrong := _wrong(fate):
            return claim.failed(wrong, proof, _controller(everything))
    delivered = [fate for fate in fates if fate.came is not None]
    if not delivered:
        return claim.not_shown(f"none of {len(kept)} was delivered", proof)
    missing = [fate for fate in delivered if not fate.told]
    observed = f"{len(delivered) - len(missing)} of {len(delivered)} delivered are known to their author"
    if missing:
        if any(fate.record.call_id is None for fate in missing):
            return claim.not_shown("what it was called is not in its record", proof)
        if not events_are_whole(evidence):
            return claim.not_shown(f"{observed}; not all events of the run are there", proof)
        if away := away_at_the_end(evidence, addressed.sender):
            return claim.not_shown(f"{observed}, {away}", proof)
        return claim.failed(observed, proof, _who_kept_it(evidence, addressed, everything))
    longest = max(max(0.0, told.time - fate.came) for fate in delivered if fate.came for told in fate.told)
    return claim.passed(f"{observed}, {longest:.1f} s later at most", proof)


def _receipts(evidence: RunEvidence, addressed: Addressed) -> tuple[Event, ...]:
    """What the author's phone told of messages to this recipient."""
    return tuple(
        event
        for event in evidence.run.events
        if event.kind == MESSAGE_RECEIPT
        and event.source == addressed.sender.name
        and event.detail.split()[-1:] == [addressed.recipient.account.user]
    )


def _wrong(fate: _Fate) -> str:
    """What an author was told, and should not have been; empty where nothing."""
    said = [event.detail.split()[0] for event in fate.told]
    if fate.came is None and "delivered" in said:
        return f"{fate.record.id} was told to be delivered, and its recipient has not reported it"
    if fate.came is not None and "failed" in said:
        return f"{fate.record.id} was told to have failed, and was delivered"
    if len(said) > 1:
        return f"{fate.record.id} was told to be delivered {len(said)} times"
    if fate.came is not None and any(event.time < fate.came - EARLY_S for event in fate.told):
        return f"{fate.record.id} was told to be delivered before it was"
    return ""


def _controller(seen: Sequence[Passed]) -> str | None:
    """The session controller that these messages came to: it keeps them, and tells of them."""
    return next((message.controller for message in seen if message.controller), None)


def _who_kept_it(evidence: RunEvidence, addressed: Addressed, seen: Sequence[Passed]) -> str | None:
    """The author's phone, where more receipts came to it than it told of; else the session controller. A
    receipt comes from the cloud in its recipient's name: it never came to a session controller."""
    back = Addressed(addressed.recipient, addressed.sender)
    returned = passed(evidence.network, evidence.signalling.messages, back, evidence.endpoint_at_controller)
    came = sum(not message.arrived and message.confirmed > 0 for message in returned)
    return addressed.sender.name if came > len(_receipts(evidence, addressed)) else _controller(seen)


CHECKS.declare(
    "receipts",
    Check(
        WITH_CALLS,
        lambda run: check_receipts(run.evidence),
        (
            FindingKind(
                "message.receipt",
                ("C1",),
                "who wrote a message that had to wait is told when it was delivered, once and not before "
                "(RFC 5438)",
            ),
        ),
    ),
)
