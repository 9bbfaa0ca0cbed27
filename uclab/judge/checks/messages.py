"""Text messages (RFC 3428): each arrives once, in order and unchanged (`message.delivered`, C1), and can be
read nowhere on the way (`message.private`, C9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.privacy import sender_of
from uclab.judge.checks.registrations import allowed_s, presences, troubles, watched
from uclab.judge.evidence.message_delivery import Sent, difference
from uclab.judge.evidence.messages import (
    SHORTEST_SEARCHED,
    Addressed,
    Passed,
    asked_messages,
    leak_of,
    passed,
    received,
)
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import Event, MessageRecord
from uclab.records.scenario import AskedMessages

NAMED = 3
"""Messages that an observation lists at most."""
ACCEPTED = 202
"""Kept by the cloud until the recipient is there (RFC 3428 section 4)."""
LONGEST_WAIT_S = 10.0
"""For an answer to a message."""
DELIVERED_S = 15.0
"""After a registration what was kept has arrived, an attempt that failed included."""


def check_messages(evidence: RunEvidence) -> Iterator[Finding]:
    """Two findings for each row of messages that was asked for; of those to a group, two for each member."""
    for asked, subject, addressed in rows(evidence):
        if isinstance(addressed, str):
            for claim in _claims(asked, subject):
                yield claim.not_shown(f"the plan has no endpoint {addressed}")
        else:
            yield from _findings(evidence, asked, subject, addressed)


def rows(evidence: RunEvidence) -> Iterator[tuple[AskedMessages, str, Addressed | str]]:
    """Each row of messages that was asked for, with its subject and who writes to whom, or the name that the
    plan does not know; a row to a group for each member but its author."""
    endpoints = {endpoint.name: endpoint for endpoint in evidence.network.endpoints}
    groups = {group.name: group for group in evidence.network.plan.message_groups}
    for asked in asked_messages(evidence.run):
        group = groups.get(asked.recipient)
        for name in (asked.recipient,) if group is None else group.members:
            subject = asked.id if group is None else f"{asked.id}:{name}"
            sender, recipient = endpoints.get(asked.sender), endpoints.get(name)
            if sender is None or recipient is None:
                yield asked, subject, asked.sender if sender is None else name
            elif sender is not recipient:
                yield asked, subject, Addressed(sender, recipient, group)


def _claims(asked: AskedMessages, subject: str) -> tuple[Claim, Claim]:
    once = f"{asked.count} messages, each delivered once, in order, unchanged"
    return (
        Claim("message.delivered", ("C1",), subject, once),
        Claim("message.private", ("C9",), subject, "inside TLS on both legs, and readable at no tap"),
    )


def _findings(
    evidence: RunEvidence, asked: AskedMessages, subject: str, addressed: Addressed
) -> Iterator[Finding]:
    delivered, private = _claims(asked, subject)
    records = records_of(evidence, asked)
    seen = passed(evidence.network, evidence.signalling.messages, addressed, evidence.endpoint_at_controller)
    yield _delivered(evidence, delivered, asked, records, seen, addressed)
    yield _private(evidence, private, asked, records, seen)


def records_of(evidence: RunEvidence, asked: AskedMessages) -> tuple[MessageRecord, ...]:
    """The records of a row of messages, in order, as far as they are there."""
    by_id = {record.id: record for record in evidence.run.messages}
    return tuple(by_id[name] for name in asked.ids if name in by_id)


def proof_of(evidence: RunEvidence, seen: Sequence[Passed]) -> Evidence:
    """The first packets with these messages at a session controller."""
    packets = tuple(packet for message in seen for packet in message.packets)
    return Evidence(evidence.network.controller_taps[0] if packets else "", packets[:NAMED])


def _delivered(
    evidence: RunEvidence,
    claim: Claim,
    asked: AskedMessages,
    records: Sequence[MessageRecord],
    seen: Sequence[Passed],
    addressed: Addressed,
) -> Finding:
    sender, recipient = addressed.sender, addressed.recipient
    proof = proof_of(evidence, seen)
    if len(records) < asked.count:
        return claim.not_shown(f"{len(records)} of {asked.count} messages have their record", proof)
    excused = [record for record in records if record.status is None and _cut_off(evidence, record, sender)]
    refused = [record for record in records if not record.accepted and record not in excused]
    if refused:
        why = refused[0].error or f"answered with {refused[0].status}"
        observed = f"{len(refused)} of {asked.count} not accepted: {refused[0].id}: {why}"
        return claim.failed(observed, proof, _who_refused(seen))
    if len(excused) == asked.count:
        return claim.not_shown(f"{sender.name} was cut off while it sent all of them", proof)
    sent = Sent(tuple(records), tuple(excused))
    own = _of_these(evidence, records, received(evidence.run, addressed))
    amiss = difference(sent, [event.detail for event in own])
    if amiss and not events_are_whole(evidence):
        return claim.not_shown(f"{amiss}; not all events of the run are there", proof)
    if amiss:
        away = away_at_the_end(evidence, recipient)
        if amiss.lost and away and {record.status for record in amiss.lost} == {ACCEPTED}:
            return claim.not_shown(f"{len(amiss.lost)} kept for {recipient.name}, {away}", proof)
        return claim.failed(str(amiss), proof, _who_did_it(seen, asked, recipient))
    if not evidence.signalling.messages:
        return claim.not_shown(evidence.signalling_gap or "no signalling was seen")
    waits = "" if addressed.group is not None else _waits(sent, own)
    return _on_the_wire(claim, sent, seen, proof, recipient, waits)


def _of_these(
    evidence: RunEvidence, records: Sequence[MessageRecord], reported: Sequence[Event]
) -> tuple[Event, ...]:
    """What came of these records; what is nobody's is taken for one of them that was changed."""
    own = {record.text for record in records}
    others = {record.text for record in evidence.run.messages if record not in records}
    return tuple(event for event in reported if event.detail in own or event.detail not in others)


def _cut_off(evidence: RunEvidence, record: MessageRecord, sender: Endpoint) -> bool:
    """Whether what was broken on purpose explains that nobody answered: it was broken meanwhile, or whole
    again for less than an endpoint may take to be back."""
    late = allowed_s(evidence, sender)
    return any(
        trouble.begin <= record.sent_at + LONGEST_WAIT_S and record.sent_at <= trouble.end + late
        for trouble in troubles(evidence)
    )


def away_at_the_end(evidence: RunEvidence, recipient: Endpoint) -> str:
    """Why what was kept for it cannot have come yet; empty where it can."""
    presence = presences(evidence).get(recipient.name)
    _, end = watched(evidence)
    if presence is None or presence.first is None:
        return "which never registered"
    last = max((gap.lasts_until(end) for gap in presence.gaps), default=presence.first)
    if last >= end:
        return "which was not registered at the end"
    return "which registered just before the end" if end - last < DELIVERED_S else ""


def _waits(sent: Sent, own: Sequence[Event]) -> str:
    """How many were kept, and for how long."""
    came = {event.detail: event.time for event in own}
    kept = [record for record in sent.accepted if record.status == ACCEPTED]
    if not kept:
        return ""
    longest = max(came[record.text] - record.sent_at for record in kept)
    return f"; {len(kept)} kept until their recipient was there, {max(longest, 0):.1f} s at most"


def events_are_whole(evidence: RunEvidence) -> bool:
    """What recipients report are events: where some may be missing, a message may have come all the same."""
    run = evidence.run
    return run.lab_end is not None and not {"events.jsonl"} & {*run.cut, *run.shorter}


def _who_refused(seen: Sequence[Passed]) -> str | None:
    """Where requests came to a session controller and went no further, it; else nobody can be named."""
    stopped = [message for message in seen if not message.left]
    return stopped[0].controller or None if stopped else None


def _who_did_it(seen: Sequence[Passed], asked: AskedMessages, recipient: Endpoint) -> str | None:
    """Who made one too many, or let one go, as the session controllers' own taps show: the session controller
    that did not send on just what came to it; the recipient, where all of them came to it whole."""
    for message in seen:
        if message.arrived and message.left != message.arrived:
            return message.controller
    came = [message for message in seen if message.arrived == message.left == message.confirmed == 1]
    return recipient.name if len(came) >= asked.count else None


def _on_the_wire(
    claim: Claim,
    sent: Sent,
    seen: Sequence[Passed],
    proof: Evidence,
    recipient: Endpoint,
    waits: str,
) -> Finding:
    """What the recipient reports, the packets must bear out; those of other orders may be among them."""
    count = len(sent.accepted)
    whole = [message for message in seen if message.arrived == message.left == message.confirmed == 1]
    twice = next((message for message in seen if message.left > 1), None)
    if twice is not None:
        observed = f"sent to {recipient.name} {twice.left} times by the session controller"
        return claim.failed(observed, proof, twice.controller)
    if len(whole) < count:
        return claim.not_shown(
            f"reported by the recipient; {len(whole)} of {count} were seen whole at the session controllers",
            proof,
        )
    unanswered = f"; {len(sent.open)} not answered while their sender was cut off" if sent.open else ""
    return claim.passed(f"{count} of {count}, each once and in order{waits}{unanswered}", proof)


def _private(
    evidence: RunEvidence,
    claim: Claim,
    asked: AskedMessages,
    records: Sequence[MessageRecord],
    seen: Sequence[Passed],
) -> Finding:
    leaks = [leak for leak in evidence.seen.readable.leaks.values() if leak.what == leak_of(asked.sender)]
    if leaks:
        taps = list(dict.fromkeys(leak.tap for leak in leaks))
        first = leaks[0]
        blame = sender_of(evidence.network, first)
        observed = f"{first.what} readable from {blame} at {', '.join(taps[:NAMED])}"
        return claim.failed(observed, Evidence(first.tap, tuple(first.samples)), blame)
    proof = proof_of(evidence, seen)
    inside = [message for message in seen if message.arrived and message.left]
    count = sum(record.accepted for record in records)
    if len(records) < asked.count or not count or len(inside) < count:
        why = evidence.signalling_gap or f"{len(inside)} of {count or asked.count} were seen inside TLS"
        return claim.not_shown(why, proof)
    short = [record.id for record in records if len(record.text) < SHORTEST_SEARCHED]
    if short:
        return claim.not_shown(
            f"{short[0]} is shorter than {SHORTEST_SEARCHED} characters, too little to search for", proof
        )
    texts = sum(evidence.seen.readable.searched.values())
    if not texts:
        return claim.not_shown("no frame was searched", proof)
    return claim.passed(f"{count} of {count} inside TLS; {texts} frames searched", proof)


CHECKS.declare(
    "messages",
    Check(
        WITH_CALLS,
        lambda run: check_messages(run.evidence),
        (
            FindingKind(
                "message.delivered",
                ("C1",),
                "text messages are accepted, reach their recipient once, in order and unchanged, those too "
                "that waited for it, by what the recipient reports and by what passes the session "
                "controllers",
            ),
            FindingKind(
                "message.private",
                ("C9",),
                "they pass the session controllers inside TLS, and their text is in no byte of any frame at "
                "any tap",
            ),
        ),
    ),
)
