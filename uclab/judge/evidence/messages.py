"""Text messages of a run, from three sides: what their senders recorded, what their recipients reported, and
what passed the session controllers, decrypted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from uclab.capture.sip import SipMessage
from uclab.judge.evidence.network import PlannedNetwork, number
from uclab.judge.evidence.run import Run
from uclab.plan.schema.plan import Endpoint, MessageGroup
from uclab.records.run import MESSAGE_RECEIVED, Event, MessageRecord
from uclab.records.scenario import AskedMessages

SHORTEST_SEARCHED, LONGEST_SEARCHED = 12, 64
"""Characters of a text: a shorter one may stand in anything, and of a longer one its beginning is enough."""
METHOD = "MESSAGE"


@dataclass(frozen=True)
class Passed:
    """A message as it passed the session controllers (RFC 3428): it keeps its Call-ID on the way."""

    call_id: str
    packets: tuple[int, ...]
    """Of the requests, where they were captured."""
    arrived: int
    """Requests with it to a session controller that were accepted: not those that were challenged first."""
    left: int
    """Requests with it from a session controller to its recipient in one attempt at most: one that waited,
    or was not confirmed, is sent again with another CSeq."""
    confirmed: int
    """Responses 2xx of its recipient to one attempt at most."""
    controller: str
    """The session controller that it came to."""


def asked_messages(run: Run) -> tuple[AskedMessages, ...]:
    """The messages that were to be: planned by a scenario, or ordered by hand and not refused."""
    planned = run.scenario.asked.messages if run.scenario and run.scenario.asked else ()
    refused = {order.number for order in run.orders if order.stage == "refused"}
    ids = {asked.id for asked in planned}
    ordered = (
        order.messages
        for order in run.orders
        if order.stage == "asked" and order.number not in refused and order.messages
    )
    return (*planned, *(asked for asked in ordered if asked.id not in ids))


def searched_texts(records: tuple[MessageRecord, ...]) -> dict[bytes, str]:
    """What must be readable nowhere -> what it is."""
    return {
        record.text[:LONGEST_SEARCHED].encode(): leak_of(record.sender)
        for record in records
        if len(record.text) >= SHORTEST_SEARCHED
    }


def leak_of(sender: str) -> str:
    """What the search calls a text of this sender's."""
    return f"a message from {sender}"


@dataclass(frozen=True)
class Addressed:
    """Whom messages are from, and whom they are to; of a group, one member."""

    sender: Endpoint
    recipient: Endpoint
    group: MessageGroup | None = None

    @property
    def users(self) -> tuple[str, str]:
        """What stands in From and To."""
        to = self.recipient.account.user if self.group is None else self.group.user
        return self.sender.account.user, to


def received(run: Run, addressed: Addressed) -> tuple[Event, ...]:
    """Messages that the recipient reported of this sender, in order; their texts are the details."""
    sender, recipient = addressed.sender, addressed.recipient
    return tuple(
        event
        for event in run.events
        if event.kind == MESSAGE_RECEIVED
        and event.source == recipient.name
        and _user(event.about) == sender.account.user
    )


def _user(uri: str) -> str:
    return uri.partition(":")[2].partition("@")[0]


Owner = Callable[[str, int], str | None]
"""Address and port at a session controller's far end -> the endpoint whose connection it is."""


def passed(
    network: PlannedNetwork, messages: tuple[SipMessage, ...], addressed: Addressed, owner: Owner
) -> tuple[Passed, ...]:
    """The messages of one to the other that session controllers saw, in order. All members of a group get the
    same: whose each request is, its connection says."""
    controllers = {
        number(controller.address): controller.name for controller in network.plan.session_controllers
    }
    by_call: dict[str, list[SipMessage]] = {}
    for message in messages:
        if message.method == METHOD and (message.from_user, message.to_user) == addressed.users:
            by_call.setdefault(message.call_id, []).append(message)

    def is_recipient(address: str, port: int) -> bool:
        return addressed.group is None or owner(address, port) == addressed.recipient.name

    return tuple(_passed(call_id, found, controllers, is_recipient) for call_id, found in by_call.items())


def _passed(
    call_id: str,
    found: list[SipMessage],
    controllers: dict[int, str],
    is_recipient: Callable[[str, int], bool],
) -> Passed:
    def sides(message: SipMessage) -> tuple[bool, bool]:
        return number(message.at.src) in controllers, number(message.at.dst) in controllers

    def of(*wanted: bool) -> Iterator[SipMessage]:
        return (message for message in found if sides(message) == wanted)

    to, out = tuple(of(False, True)), tuple(of(True, False))
    accepted = {message.cseq for message in out if message.status is not None and 200 <= message.status < 300}
    arrived = [message for message in to if message.status is None]
    sent = [m for m in out if m.status is None and is_recipient(m.at.dst, m.at.dport)]
    answers = [m for m in to if m.status is not None and is_recipient(m.at.src, m.at.sport)]
    return Passed(
        call_id,
        tuple(message.at.packet for message in found if message.status is None),
        arrived=sum(message.cseq in accepted for message in arrived),
        left=_most(message.cseq for message in sent),
        confirmed=_most(m.cseq for m in answers if m.status is not None and 200 <= m.status < 300),
        controller=next((controllers[number(message.at.dst)] for message in arrived), ""),
    )


def _most(attempts: Iterable[str]) -> int:
    """How often the attempt occurs that occurs most."""
    return max(Counter(attempts).values(), default=0)
