"""Text messages: each once, in order, unchanged, and readable nowhere; who made it otherwise is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.made_up_network import reference_plan
from uclab.capture.sip import Flow, SipMessage
from uclab.judge.checks.messages import check_messages
from uclab.judge.checks.receipts import check_receipts
from uclab.judge.evidence.messages import searched_texts
from uclab.judge.evidence.run import Run
from uclab.judge.judging import build_evidence
from uclab.judge.measure.cleartext_search import Leak
from uclab.judge.result.judgement import Finding
from uclab.plan.schema.plan import Plan
from uclab.records.run import FAILED, HEALED, MESSAGE_RECEIPT, MESSAGE_RECEIVED, Event, MessageRecord
from uclab.records.scenario import Asked, AskedMessages, LabEnd, OrderRecord, ScenarioRecord

ASKED = AskedMessages("m", "desk1", "desk2", 3)
TEXTS = tuple(f"this is message {number} of three" for number in (1, 2, 3))
SITE = "203.0.113.2"
Change = Callable[["Conversation"], None]


@cache
def plan() -> Plan:
    return reference_plan("desk1", "desk2")


def user(name: str) -> str:
    return plan().endpoint(name).account.user


@dataclass
class Conversation:
    """What a clean run of three messages leaves behind; changes make it another."""

    asked: tuple[AskedMessages, ...] = (ASKED,)
    records: list[MessageRecord] = field(
        default_factory=lambda: [
            MessageRecord(name, "desk1", "desk2", text, 101.0, 101.1, 200)
            for name, text in zip(ASKED.ids, TEXTS, strict=True)
        ]
    )
    reported: list[str] = field(default_factory=lambda: list(TEXTS))
    wire: list[SipMessage] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    searched: int = 1000
    whole: bool = True
    """No event is missing."""
    orders: tuple[OrderRecord, ...] = ()
    events: list[Event] = field(default_factory=list)
    """Beside those of messages."""

    def __post_init__(self) -> None:
        for number in range(ASKED.count):
            self.wire += passing(f"call-{number}", number * 10)

    def findings(self) -> dict[str, Finding]:
        scenario = ScenarioRecord("reference", "reference", 90.0, Asked(messages=self.asked))
        about = f"sip:{user('desk1')}@ucaas.test"
        events = [Event(102.0, "desk2", MESSAGE_RECEIVED, text, about) for text in self.reported]
        run = Run(
            plan(),
            Path(),
            events=tuple(sorted([*self.events, *events], key=lambda event: event.time)),
            messages=tuple(self.records),
            scenario=scenario,
            orders=self.orders,
            lab_end=LabEnd(110.0, ()),
            cut={} if self.whole else {"events.jsonl": "it ends in the middle of a line"},
        )
        evidence = build_evidence(run)
        readable = evidence.seen.readable
        readable.searched["fra1-sbc:eth0"] = self.searched
        readable.leaks.update({(leak.tap, leak.what, leak.src, leak.dst, 0): leak for leak in self.leaks})
        dissected = replace(evidence.signalling, messages=tuple(self.wire))
        complete = replace(evidence, signalling=dissected)
        found = [*check_messages(complete), *check_receipts(complete)]
        assert len({(finding.id, finding.subject) for finding in found}) == len(found)
        return {finding.id: finding for finding in found}


def passing(call_id: str, packet: int) -> list[SipMessage]:
    """One message past the session controller: challenged, accepted, sent on, confirmed, answered."""
    here, phone, other = (plan().session_controllers[0].address, 5096), (SITE, 40001), (SITE, 40002)
    request, ok = "MESSAGE sip:x@ucaas.test SIP/2.0", "SIP/2.0 200 OK"
    steps = (
        (phone, here, request, "1 MESSAGE"),
        (here, phone, "SIP/2.0 407 Proxy Authentication Required", "1 MESSAGE"),
        (phone, here, request, "2 MESSAGE"),
        (here, other, request, "2 MESSAGE"),
        (other, here, ok, "2 MESSAGE"),
        (here, phone, ok, "2 MESSAGE"),
    )
    ends = user("desk1"), user("desk2")
    return [
        SipMessage(Flow(packet + turn, 101.0, *src, *dst), line, call_id, cseq, *ends)
        for turn, (src, dst, line, cseq) in enumerate(steps)
    ]


def verdicts(change: Change | None = None) -> dict[str, tuple[str, str | None]]:
    run = Conversation()
    if change:
        change(run)
    return {name: (finding.verdict, finding.blame) for name, finding in run.findings().items()}


@pytest.mark.req("C1.4", "C9.2")
def test_messages_that_arrive_as_they_were_sent_pass() -> None:
    found = Conversation().findings()
    assert {finding.verdict for finding in found.values()} == {"pass"}
    assert found["message.delivered"].observed == "3 of 3, each once and in order"
    assert found["message.delivered"].evidence.packets
    assert found["message.private"].observed == "3 of 3 inside TLS; 1000 frames searched"


def sent_twice(run: Conversation) -> None:
    run.reported.insert(1, TEXTS[0])
    again = next(m for m in run.wire if m.call_id == "call-0" and m.at.dport == 40002)
    run.wire.append(replace(again, at=replace(again.at, packet=99)))


def dropped(run: Conversation) -> None:
    del run.reported[2]
    run.wire = [m for m in run.wire if m.call_id != "call-2" or 40002 not in (m.at.sport, m.at.dport)]


def answered(status: int | None, error: str | None = None) -> Change:
    def change(run: Conversation) -> None:
        run.records[1] = replace(run.records[1], status=status, error=error)

    return change


def not_reported(run: Conversation) -> None:
    del run.reported[2]


def reported_twice(run: Conversation) -> None:
    run.reported.append(TEXTS[2])


def altered(run: Conversation) -> None:
    run.reported[1] = "something else altogether"


def out_of_order(run: Conversation) -> None:
    run.reported.reverse()


@pytest.mark.req("C1.4", "B5")
@pytest.mark.parametrize(
    ("change", "blame"),
    [
        (sent_twice, "fra1-sbc"),
        (dropped, "fra1-sbc"),
        (not_reported, "desk2"),
        (reported_twice, "desk2"),
        (altered, "desk2"),
        (out_of_order, "desk2"),
        (answered(480), None),
        (answered(None, "no answer in 10 s"), None),
    ],
)
def test_what_is_wrong_with_messages_has_a_culprit(change: Change, blame: str | None) -> None:
    assert verdicts(change)["message.delivered"] == ("fail", blame)


def kept(run: Conversation, *, unconfirmed: bool = False) -> None:
    """The second message waited for its recipient: the cloud sends it itself, with another CSeq; its own
    first attempt may have reached a connection that was dead."""
    run.records[1] = replace(run.records[1], status=202)
    sent_on = [m for m in run.wire if m.call_id == "call-1" and 40002 in (m.at.sport, m.at.dport)]
    run.wire = [m for m in run.wire if m not in sent_on or (unconfirmed and m.status is None)]
    run.wire += [replace(m, cseq="1700000000 MESSAGE") for m in sent_on]


@pytest.mark.req("C1.4")
@pytest.mark.parametrize("unconfirmed", [False, True])
def test_a_message_that_waited_for_its_recipient_arrives_once(unconfirmed: bool) -> None:
    run = Conversation()
    kept(run, unconfirmed=unconfirmed)
    found = run.findings()["message.delivered"]
    assert found.verdict == "pass"
    assert (
        found.observed
        == "3 of 3, each once and in order; 1 kept until their recipient was there, 1.0 s at most"
    )


def never_sent_on(run: Conversation) -> None:
    kept(run)
    run.wire = [m for m in run.wire if not m.cseq.startswith("17")]
    del run.reported[1]


def registered(*times: float, lost: float | None = None) -> list[Event]:
    told = [Event(90.0, "lab", "up"), Event(160.0, "lab", "going-down")]
    told += [Event(at, "desk2", "registered") for at in times]
    return [*told, *([] if lost is None else [Event(lost, "desk2", "flow-failed")])]


@pytest.mark.req("C1.4", "D5")
@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        (registered(), ("not-shown", None)),
        (registered(91.0, lost=95.0), ("not-shown", None)),
        (registered(91.0, 155.0, lost=95.0), ("not-shown", None)),
        (registered(91.0, 120.0, lost=95.0), ("fail", "fra1-sbc")),
        (registered(91.0), ("fail", "fra1-sbc")),
    ],
)
def test_what_is_kept_must_arrive_once_its_recipient_is_there(
    events: list[Event], verdict: tuple[str, str | None]
) -> None:
    run = Conversation(events=events)
    never_sent_on(run)
    found = run.findings()["message.delivered"]
    assert (found.verdict, found.blame) == verdict


def unanswered(run: Conversation) -> None:
    run.events = [
        Event(100.5, "lab", FAILED, "wan1", links=("wan1",)),
        Event(103.0, "lab", HEALED, "wan1", links=("wan1",)),
    ]
    run.records[1] = replace(run.records[1], status=None, error="nobody answered", answered_at=None)


@pytest.mark.req("C1.4")
@pytest.mark.parametrize("came", [0, 1, 2])
def test_what_nobody_answered_while_the_line_was_cut_may_arrive_once_or_not(came: int) -> None:
    run = Conversation()
    unanswered(run)
    run.reported[1:2] = [TEXTS[1]] * came
    found = run.findings()["message.delivered"]
    assert found.verdict == ("fail" if came == 2 else "pass")
    if came < 2:
        assert (
            found.observed == "2 of 2, each once and in order; 1 not answered while their sender was cut off"
        )


def to_the_group(*members: str) -> dict[str, Finding]:
    """Findings by subject of one message of desk1's to all, which these have got."""
    network = reference_plan("desk1", "desk2", "soft1")
    (group,) = network.message_groups
    controller, text = network.session_controllers[0], "to all of you, from desk1"
    here, author = (controller.address, 5096), (SITE, 40001)
    ends = network.endpoint("desk1").account.user, group.user
    ports = {"desk2": 40002, "soft1": 40003}
    steps = [(author, here, "MESSAGE sip:600@ucaas.test SIP/2.0", "2 MESSAGE")]
    steps += [(here, author, "SIP/2.0 202 Accepted", "2 MESSAGE")]
    for name in members:
        there = (SITE, ports[name])
        steps += [(here, there, "MESSAGE sip:x@ucaas.test SIP/2.0", "1700000000 MESSAGE")]
        steps += [(there, here, "SIP/2.0 200 OK", "1700000000 MESSAGE")]
    wire = [
        SipMessage(Flow(number, 101.0, *src, *dst), line, "call-g", cseq, *ends)
        for number, (src, dst, line, cseq) in enumerate(steps)
    ]
    about = f"sip:{ends[0]}@ucaas.test"
    told = [Event(90.0, "lab", "up"), Event(160.0, "lab", "going-down")]
    told += [Event(91.0, name, "registered") for name in ports]
    told += [Event(102.0, name, MESSAGE_RECEIVED, text, about) for name in members]
    run = Run(
        network,
        Path(),
        events=tuple(sorted(told, key=lambda event: event.time)),
        messages=(MessageRecord("g-1", "desk1", "sales", text, 101.0, 101.1, 202),),
        scenario=ScenarioRecord(
            "reference", "reference", 90.0, Asked(messages=(AskedMessages("g", "desk1", "sales", 1),))
        ),
        lab_end=LabEnd(170.0, ()),
    )
    evidence = build_evidence(run)
    evidence = replace(evidence, signalling=replace(evidence.signalling, messages=tuple(wire)))
    site, tap = int(IPv4Address(SITE)), evidence.network.controller_taps[0]
    evidence.client_of.update({(tap, site, port): name for name, port in ports.items()})
    found = check_messages(evidence)
    return {finding.subject: finding for finding in found if finding.id == "message.delivered"}


@pytest.mark.req("C1.4")
def test_each_member_of_a_group_gets_each_message_but_its_own() -> None:
    found = to_the_group("desk2", "soft1")
    assert {subject: finding.verdict for subject, finding in found.items()} == {
        "g:desk2": "pass",
        "g:soft1": "pass",
    }


@pytest.mark.req("C1.4", "B5")
def test_who_leaves_a_member_out_is_named() -> None:
    found = to_the_group("desk2")
    assert found["g:desk2"].verdict == "pass"
    assert (found["g:soft1"].verdict, found["g:soft1"].blame) == ("fail", "fra1-sbc")


@pytest.mark.req("C1.4", "D5")
def test_where_nothing_got_through_nothing_is_shown() -> None:
    run = Conversation()
    unanswered(run)
    run.records = [replace(run.records[1], id=r.id, text=r.text) for r in run.records]
    run.reported.clear()
    run.wire.clear()
    assert {finding.verdict for finding in run.findings().values()} == {"not-shown"}


def told(outcome: str = "delivered", at: float = 102.5, about: str = "call-1") -> Event:
    return Event(at, "desk1", MESSAGE_RECEIPT, f"{outcome} to {user('desk2')}", about)


def on_the_wire(run: Conversation) -> None:
    """A receipt reaches the author's phone."""
    here, author = (plan().session_controllers[0].address, 5096), (SITE, 40001)
    ends = user("desk2"), user("desk1")
    for packet, (src, dst, line) in enumerate(
        ((here, author, "MESSAGE sip:x@ucaas.test SIP/2.0"), (author, here, "SIP/2.0 200 OK"))
    ):
        at = Flow(200 + packet, 102.4, *src, *dst)
        run.wire.append(SipMessage(at, line, "receipt-1", "1700000001 MESSAGE", *ends))


@pytest.mark.req("C1.4", "B5", "D5")
@pytest.mark.parametrize(
    ("receipts", "came", "verdict"),
    [
        ([told()], True, ("pass", None)),
        ([], True, ("fail", "fra1-sbc")),
        ([told(), told()], True, ("fail", "fra1-sbc")),
        ([told("failed")], True, ("fail", "fra1-sbc")),
        ([told(at=100.5)], True, ("fail", "fra1-sbc")),
        ([told()], False, ("fail", "fra1-sbc")),
        ([], False, ("not-shown", None)),
    ],
)
def test_who_wrote_a_message_that_had_to_wait_is_told_once_when_it_came(
    receipts: list[Event], came: bool, verdict: tuple[str, str | None]
) -> None:
    events = [*registered(91.0), Event(91.0, "desk1", "registered"), *receipts]
    run = Conversation(events=events)
    kept(run)
    run.records[1] = replace(run.records[1], call_id="call-1")
    if not came:
        del run.reported[1]
    found = run.findings()["message.receipt"]
    assert (found.verdict, found.blame) == verdict


@pytest.mark.req("C1.4", "B5")
def test_a_phone_that_keeps_a_receipt_to_itself_is_named() -> None:
    run = Conversation(events=[*registered(91.0), Event(91.0, "desk1", "registered")])
    kept(run)
    run.records[1] = replace(run.records[1], call_id="call-1")
    on_the_wire(run)
    found = run.findings()["message.receipt"]
    assert (found.verdict, found.blame) == ("fail", "desk1")


@pytest.mark.req("C1.4", "D5")
def test_a_receipt_that_nobody_could_take_is_not_missed() -> None:
    run = Conversation(events=registered(91.0))
    kept(run)
    run.records[1] = replace(run.records[1], call_id="call-1")
    assert run.findings()["message.receipt"].verdict == "not-shown"


def no_record(run: Conversation) -> None:
    del run.records[2]


def not_captured(run: Conversation) -> None:
    run.wire.clear()


def partly_captured(run: Conversation) -> None:
    run.wire = [m for m in run.wire if m.call_id != "call-1"]


def unknown_recipient(run: Conversation) -> None:
    run.asked = (replace(ASKED, recipient="nobody"),)


@pytest.mark.req("C1.4", "C9.2", "D5")
@pytest.mark.parametrize("change", [no_record, not_captured, partly_captured, unknown_recipient])
def test_what_was_not_seen_of_messages_does_not_pass(change: Change) -> None:
    assert verdicts(change) == {
        "message.delivered": ("not-shown", None),
        "message.private": ("not-shown", None),
    }


def leaked(run: Conversation) -> None:
    source = int.from_bytes(bytes(map(int, plan().session_controllers[0].address.split("."))), "big")
    run.leaks.append(Leak("fra1-sbc:eth0", "a message from desk1", source, 0, packets=1, samples=[5]))


def nothing_searched(run: Conversation) -> None:
    run.searched = 0


def too_short(run: Conversation) -> None:
    run.records = [replace(record, text="hello") for record in run.records]
    run.reported = ["hello"] * 3


@pytest.mark.req("C9.2", "B2")
@pytest.mark.parametrize(
    ("change", "verdict"), [(leaked, "fail"), (nothing_searched, "not-shown"), (too_short, "not-shown")]
)
def test_a_message_is_private_where_it_was_searched_for_in_vain(change: Change, verdict: str) -> None:
    found = verdicts(change)
    assert found["message.private"] == (verdict, "fra1-sbc" if verdict == "fail" else None)
    assert found["message.delivered"] == ("pass", None)


@pytest.mark.req("C1.4", "D5")
def test_a_report_that_may_have_been_cut_off_accuses_nobody() -> None:
    def change(run: Conversation) -> None:
        not_reported(run)
        run.whole = False

    assert verdicts(change)["message.delivered"] == ("not-shown", None)


@pytest.mark.req("C1.4")
def test_messages_of_other_orders_between_the_two_do_not_matter() -> None:
    def change(run: Conversation) -> None:
        more = AskedMessages("more", "desk1", "desk2", 1)
        run.asked = (*run.asked, more)
        run.records.append(MessageRecord("more-1", "desk1", "desk2", "one more, by hand", 103.0, 103.1, 200))
        run.reported.insert(1, "one more, by hand")
        run.wire += passing("call-more", 70)

    run = Conversation()
    change(run)
    assert {finding.verdict for finding in run.findings().values()} == {"pass"}


@pytest.mark.req("C1.4")
def test_messages_ordered_by_hand_are_judged_and_refused_orders_are_not() -> None:
    def orders(*stages: str) -> Sequence[OrderRecord]:
        return [
            OrderRecord(1, 100.0, stage, "message", "m", messages=ASKED if stage == "asked" else None)  # type: ignore[arg-type]
            for stage in stages
        ]

    run = Conversation(asked=())
    run.orders = tuple(orders("asked", "done"))
    assert {finding.verdict for finding in run.findings().values()} == {"pass"}
    run.orders = tuple(orders("asked", "refused"))
    assert not run.findings()


def test_texts_too_short_to_be_told_apart_are_not_searched_for() -> None:
    records = (
        MessageRecord("a", "desk1", "desk2", "hello", 1.0),
        MessageRecord("b", "desk1", "desk2", "x" * 500, 1.0),
    )
    assert searched_texts(records) == {b"x" * 64: "a message from desk1"}
