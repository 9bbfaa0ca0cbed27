"""The lab's messages: who may write to whom, what is recorded of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from endpoints_emu.phone import MessageAnswer, PhoneError
from testbed.made_up_network import reference_plan
from uclab.lab.client import MessageOrder
from uclab.lab.errors import Refused
from uclab.lab.messages import Messages
from uclab.plan.schema.plan import MessageGroup
from uclab.plan.traffic.messages import EACH_WAY, reference_messages


class Writer:
    """A phone that sends messages, and refuses those that say so."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.endpoint = reference_plan("desk1", "desk2").endpoint(name)
        self.sent: list[tuple[str, str]] = []

    async def send_message(self, target: str, text: str, deadline_s: float = 10.0) -> MessageAnswer:
        self.sent.append((target, text))
        if "nobody" in text:
            raise PhoneError("nobody answered")
        return MessageAnswer(200, f"{text}@{self.name}")


SALES = MessageGroup("sales", "600", ("desk1", "desk2"), ("1001", "1002"))


@pytest.mark.req("C1.4")
async def test_a_group_is_written_to_by_its_extension(phones: dict[str, Any], tmp_path: Path) -> None:
    messages = Messages(phones, tmp_path, (SALES,))
    records = await messages.send(MessageOrder("m", "desk1", "sales", text="to all of you"))
    assert (records[0].recipient, records[0].status) == ("sales", 200)
    assert phones["desk1"].sent == [("600", "to all of you")]
    with pytest.raises(Refused, match="there are: desk1, desk2, sales"):
        await messages.send(MessageOrder("n", "desk1", "marketing"))
    with pytest.raises(Refused, match="no endpoint `sales`"):
        await messages.send(MessageOrder("o", "sales", "desk1"))


@pytest.fixture
def phones() -> dict[str, Any]:
    return {name: Writer(name) for name in ("desk1", "desk2")}


@pytest.mark.req("C1.4")
async def test_messages_are_sent_in_order_and_recorded(phones: dict[str, Any], tmp_path: Path) -> None:
    messages = Messages(phones, tmp_path)
    records = await messages.send(MessageOrder("m", "desk1", "desk2", 2))
    assert [(record.id, record.status) for record in records] == [("m-1", 200), ("m-2", 200)]
    assert records[0].call_id == "m, message 1 of 2 to desk2@desk1"
    extension = phones["desk2"].endpoint.account.user
    assert phones["desk1"].sent == [
        (extension, "m, message 1 of 2 to desk2"),
        (extension, "m, message 2 of 2 to desk2"),
    ]
    more = await messages.send(MessageOrder("n", "desk2", "desk1", text="nobody hears"))
    assert (more[0].status, more[0].error) == (None, "nobody answered")
    written = json.loads((tmp_path / "messages.json").read_text())
    assert [record["id"] for record in written] == ["m-1", "m-2", "n-1"]


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (MessageOrder("m", "desk1", "desk9"), "no endpoint `desk9`.*there are: desk1, desk2"),
        (MessageOrder("m", "desk9", "desk1"), "no endpoint `desk9`"),
        (MessageOrder("m", "desk1", "desk1"), "cannot write to itself"),
        (MessageOrder("known", "desk1", "desk2"), "sent already"),
    ],
)
async def test_what_cannot_be_sent_is_refused(
    phones: dict[str, Any], tmp_path: Path, order: MessageOrder, why: str
) -> None:
    messages = Messages(phones, tmp_path)
    await messages.send(MessageOrder("known", "desk1", "desk2"))
    with pytest.raises(Refused, match=why):
        await messages.send(order)


@pytest.mark.req("C1.4")
def test_those_who_call_each_other_write_to_each_other_and_to_their_group() -> None:
    found = reference_messages(reference_plan("desk1", "desk2"))
    assert [(asked.sender, asked.recipient, asked.count) for asked in found] == [
        ("desk1", "desk2", EACH_WAY),
        ("desk2", "desk1", EACH_WAY),
    ]
    everybody = reference_messages(reference_plan("desk1", "desk2", "soft1"))
    assert ("desk1", "sales", EACH_WAY) in [(a.sender, a.recipient, a.count) for a in everybody]
    assert reference_messages(reference_plan("desk1")) == ()
