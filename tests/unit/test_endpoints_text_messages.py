"""Text messages with baresip: sent by the lab's module, answered by its events."""

from __future__ import annotations

import asyncio

import pytest

from endpoints_emu.baresip.text_messages import LONGEST_TEXT, TextMessages, answered
from endpoints_emu.errors import PhoneError
from endpoints_emu.events import EventLog, MessageAnswer, PhoneEventKind


class Commands:
    """Takes commands, and answers messages with the statuses that it has, in order."""

    def __init__(self, *statuses: int) -> None:
        self.taken: list[tuple[str, str]] = []
        self.events = EventLog("desk1")
        self.texts = TextMessages("desk1", self.command, self.events)
        self._statuses = list(statuses)

    async def command(self, name: str, parameters: str) -> str:
        self.taken.append((name, parameters))
        if self._statuses:
            reference, status = parameters.split()[1], self._statuses.pop(0)
            told = f"messages,answered,{reference} {status} {f'c{reference}@desk1' if status else '-'}"
            asyncio.get_running_loop().call_soon(self.texts.on_module, told)
        return ""


@pytest.mark.req("C1.4")
async def test_a_message_has_the_status_of_its_own_answer() -> None:
    phone = Commands(200, 480)
    sent = [
        await phone.texts.send(0, "sip:1002@ucaas.test", text, 1.0) for text in ("how are you?", "hello?")
    ]
    assert sent == [MessageAnswer(200, "c1@desk1"), MessageAnswer(480, "c2@desk1")]
    assert phone.taken == [
        ("sendmessage", "0 1 sip:1002@ucaas.test how are you?"),
        ("sendmessage", "0 2 sip:1002@ucaas.test hello?"),
    ]


@pytest.mark.parametrize(("statuses", "why"), [((), "no answer in 0.01 s"), ((0,), "nobody answered")])
async def test_a_message_without_an_answer_says_so(statuses: tuple[int, ...], why: str) -> None:
    with pytest.raises(PhoneError, match=why):
        await Commands(*statuses).texts.send(0, "sip:1002@ucaas.test", "hello", 0.01)


@pytest.mark.parametrize("text", ["", "two\nlines", "\u202e reversed", "x" * (LONGEST_TEXT + 1)])
async def test_what_is_no_line_of_text_is_refused_before_it_is_sent(text: str) -> None:
    phone = Commands(200)
    with pytest.raises(PhoneError, match="a line of 1 to"):
        await phone.texts.send(0, "sip:1002@ucaas.test", text, 1.0)
    assert not phone.taken


def test_what_comes_in_is_an_event_with_its_sender() -> None:
    phone = Commands()
    phone.texts.on_message({"message": True, "from": "sip:1001@ucaas.test", "body": "hello"})
    (event,) = phone.events.history
    assert event.kind is PhoneEventKind.MESSAGE
    record = event.record()
    assert (record.kind, record.detail, record.about) == (
        "message-received",
        "hello",
        "sip:1001@ucaas.test",
    )


@pytest.mark.parametrize(
    ("parameter", "found"),
    [
        ("messages,answered,7 200 a@b", ("7", MessageAnswer(200, "a@b"))),
        ("messages,answered,7 0 -", ("7", MessageAnswer(0, "-"))),
        ("flow,accepted,0 200 OK", None),
        ("messages,answered,7", None),
        ("messages,answered,7 200", None),
        ("messages,answered,7 2000 a@b", None),
    ],
)
def test_answers_are_read(parameter: str, found: tuple[str, MessageAnswer] | None) -> None:
    assert answered(parameter) == found


@pytest.mark.req("C1.4")
def test_what_became_of_a_message_that_had_to_wait_is_an_event() -> None:
    phone = Commands()
    phone.texts.on_module("messages,receipt,c1@desk1 delivered 1002")
    for strange in ("messages,receipt,c1@desk1 read 1002", "messages,receipt,c1@desk1", "flow,lost,0"):
        phone.texts.on_module(strange)
    (event,) = phone.events.history
    record = event.record()
    assert (record.kind, record.detail, record.about) == (
        "message-receipt",
        "delivered to 1002",
        "c1@desk1",
    )
