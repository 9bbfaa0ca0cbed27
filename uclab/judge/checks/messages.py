"""Text messages (RFC 3428): each arrives once, in order and unchanged (`message.delivered`, C1), and can be
read nowhere on the way (`message.private`, C9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.privacy import sender_of
from uclab.judge.evidence.messages import (
    SHORTEST_SEARCHED,
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
from uclab.records.run import MessageRecord
from uclab.records.scenario import AskedMessages

NAMED = 3
"""Messages that an observation lists at most."""


def check_messages(evidence: RunEvidence) -> Iterator[Finding]:
    """Two findings for each row of messages that was asked for."""
    endpoints = {endpoint.name: endpoint for endpoint in evidence.network.endpoints}
    for asked in asked_messages(evidence.run):
        sender, recipient = endpoints.get(asked.sender), endpoints.get(asked.recipient)
        delivered = Claim(
            "message.delivered",
            ("C1",),
            asked.id,
            f"{asked.count} messages, each delivered once, in order, unchanged",
        )
        private = Claim(
            "message.private",
            ("C9",),
            asked.id,
            "inside TLS on both legs, and readable at no tap",
        )
        if sender is None or recipient is None:
            unknown = asked.sender if sender is None else asked.recipient
            yield delivered.not_shown(f"the plan has no endpoint {unknown}")
            yield private.not_shown(f"the plan has no endpoint {unknown}")
            continue
        records = _records(evidence, asked)
        seen = passed(evidence.network, evidence.signalling.messages, sender, recipient)
        yield _delivered(evidence, delivered, asked, records, seen, (sender, recipient))
        yield _private(evidence, private, asked, records, seen)


def _records(evidence: RunEvidence, asked: AskedMessages) -> tuple[MessageRecord, ...]:
    by_id = {record.id: record for record in evidence.run.messages}
    return tuple(by_id[name] for name in asked.ids if name in by_id)


def _proof(evidence: RunEvidence, seen: Sequence[Passed]) -> Evidence:
    packets = tuple(packet for message in seen for packet in message.packets)
    return Evidence(evidence.network.controller_taps[0] if packets else "", packets[:NAMED])


def _delivered(
    evidence: RunEvidence,
    claim: Claim,
    asked: AskedMessages,
    records: Sequence[MessageRecord],
    seen: Sequence[Passed],
    parties: tuple[Endpoint, Endpoint],
) -> Finding:
    sender, recipient = parties
    proof = _proof(evidence, seen)
    if len(records) < asked.count:
        return claim.not_shown(f"{len(records)} of {asked.count} messages have their record", proof)
    refused = [record for record in records if not record.accepted]
    if refused:
        why = refused[0].error or f"answered with {refused[0].status}"
        observed = f"{len(refused)} of {asked.count} not accepted: {refused[0].id}: {why}"
        return claim.failed(observed, proof, _who_refused(seen))
    texts = [record.text for record in records]
    got = received(evidence.run, sender, recipient)
    others = {record.text for record in evidence.run.messages if record not in records}
    own = [text for text in got if text in set(texts) or text not in others]
    trouble = _trouble(texts, own)
    if trouble and not _events_are_whole(evidence):
        return claim.not_shown(f"{trouble}; not all events of the run are there", proof)
    if trouble:
        return claim.failed(trouble, proof, _who_did_it(seen, asked, recipient))
    if not evidence.signalling.messages:
        return claim.not_shown(evidence.signalling_gap or "no signalling was seen")
    return _on_the_wire(claim, asked, seen, proof, recipient)


def _events_are_whole(evidence: RunEvidence) -> bool:
    """What recipients report are events: where some may be missing, a message may have come all the same."""
    run = evidence.run
    return run.lab_end is not None and not {"events.jsonl"} & {*run.cut, *run.shorter}


def _trouble(texts: Sequence[str], got: Sequence[str]) -> str:
    """How what came in differs from what was sent; empty where it does not."""
    wanted, counted = Counter(texts), Counter(got)
    lost, extra = wanted - counted, counted - wanted
    twice = [text for text in extra if text in wanted]
    strange = [text for text in extra if text not in wanted]
    if twice:
        return f"{sum(extra[text] for text in twice)} delivered more than once: {twice[0]!r}"
    if strange:
        return f"delivered as {strange[0]!r}, which nobody sent"
    if lost:
        return f"{len(texts) - sum(lost.values())} of {len(texts)} reported by the recipient"
    if list(got) != list(texts):
        return "delivered in another order than they were sent in"
    return ""


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
    came = [message for message in seen if message.left == message.confirmed == 1]
    return recipient.name if len(came) >= asked.count else None


def _on_the_wire(
    claim: Claim,
    asked: AskedMessages,
    seen: Sequence[Passed],
    proof: Evidence,
    recipient: Endpoint,
) -> Finding:
    """What the recipient reports, the packets must bear out; those of other orders may be among them."""
    whole = [message for message in seen if message.arrived == message.left == message.confirmed == 1]
    odd = [message for message in seen if message not in whole]
    if odd and odd[0].left > 1:
        observed = f"sent to {recipient.name} {odd[0].left} times by the session controller"
        return claim.failed(observed, proof, odd[0].controller)
    if len(whole) < asked.count:
        return claim.not_shown(
            f"reported by the recipient; {len(whole)} of {asked.count} were seen whole at the session"
            " controllers",
            proof,
        )
    return claim.passed(f"{asked.count} of {asked.count}, each once and in order", proof)


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
    proof = _proof(evidence, seen)
    inside = [message for message in seen if message.arrived and message.left]
    if len(records) < asked.count or len(inside) < asked.count:
        found = min(len(records), len(inside))
        why = evidence.signalling_gap or f"{found} of {asked.count} were seen inside TLS"
        return claim.not_shown(why, proof)
    short = [record.id for record in records if len(record.text) < SHORTEST_SEARCHED]
    if short:
        return claim.not_shown(
            f"{short[0]} is shorter than {SHORTEST_SEARCHED} characters, too little to search for", proof
        )
    texts = sum(evidence.seen.readable.searched.values())
    if not texts:
        return claim.not_shown("no frame was searched", proof)
    return claim.passed(f"{asked.count} of {asked.count} inside TLS; {texts} frames searched", proof)


CHECKS.declare(
    "messages",
    Check(
        WITH_CALLS,
        lambda run: check_messages(run.evidence),
        (
            FindingKind(
                "message.delivered",
                ("C1",),
                "text messages are accepted, reach their recipient once, in order and unchanged, by what the "
                "recipient reports and by what passes the session controllers",
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
