"""SIP MESSAGE (RFC 3428) with baresip: what is sent and answered, by the lab's module `messages`, and what
comes in, by `ctrl_tcp`."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from endpoints_emu.baresip.control import Message
from endpoints_emu.errors import PhoneError
from endpoints_emu.events import EventLog, MessageAnswer, PhoneEventKind
from uclab.runtime.readiness import patient

Command = Callable[[str, str], Awaitable[str]]
LONGEST_TEXT = 700
"""Bytes: what a command of baresip's has room for, beside the longest URI (`control.LONGEST_COMMAND`)."""


@dataclass(frozen=True)
class Receipt:
    """A delivery notification (RFC 5438) of a message that had to wait."""

    call_id: str
    """The message's."""
    outcome: str
    """`delivered` or `failed`."""
    user: str
    """Whom it was for."""


def answered(parameter: str) -> tuple[str, MessageAnswer] | None:
    """Reference and answer in the parameter of a `MODULE` event, status 0 where no response came; None for
    other events."""
    found = re.fullmatch(r"messages,answered,(\S{1,64}) (\d{1,3}) (\S{1,96})", parameter)
    return (found[1], MessageAnswer(int(found[2]), found[3])) if found else None


def receipt(parameter: str) -> Receipt | None:
    """The receipt in the parameter of a `MODULE` event; None for other events."""
    found = re.fullmatch(r"messages,receipt,(\S{1,96}) (delivered|failed) (\S{1,32})", parameter)
    return Receipt(*found.groups()) if found else None


class TextMessages:
    """The messages of one phone."""

    def __init__(self, phone: str, command: Command, events: EventLog) -> None:
        self._phone = phone
        self._command = command
        self._events = events
        self._references = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[MessageAnswer]] = {}

    async def send(self, account: int, uri: str, text: str, deadline_s: float) -> MessageAnswer:
        """The final response. Raises `PhoneError`."""
        if not text or len(text.encode()) > LONGEST_TEXT or not text.isprintable():
            raise PhoneError(f"{self._phone}: a message is a line of 1 to {LONGEST_TEXT} bytes")
        reference = str(next(self._references))
        answer: asyncio.Future[MessageAnswer]
        answer = self._waiting[reference] = asyncio.get_running_loop().create_future()
        try:
            await self._command("sendmessage", f"{account} {reference} {uri} {text}")
            async with asyncio.timeout(patient(deadline_s)):
                response = await answer
        except TimeoutError:
            raise PhoneError(f"{self._phone}: message to {uri}: no answer in {deadline_s:g} s") from None
        finally:
            del self._waiting[reference]
        if not response.status:
            raise PhoneError(f"{self._phone}: message to {uri}: the connection ended, or nobody answered")
        return response

    def on_module(self, parameter: str) -> None:
        """What a module told: an answer, a receipt, or something that is nothing to messages."""
        if answer := answered(parameter):
            self.on_answer(*answer)
        elif told := receipt(parameter):
            self.on_receipt(told)

    def on_answer(self, reference: str, answer: MessageAnswer) -> None:
        """The answer to a message that was sent."""
        waiting = self._waiting.get(reference)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def on_receipt(self, told: Receipt) -> None:
        """What became of a message that had to wait."""
        self._events.publish(
            PhoneEventKind.RECEIPT, f"{told.outcome} to {told.user}", about_message=told.call_id
        )

    def on_message(self, message: Message) -> None:
        """What `ctrl_tcp` told of a message that came in."""
        text, sender = str(message.get("body", "")), str(message.get("from", ""))
        self._events.publish(PhoneEventKind.MESSAGE, text, about_message=sender)
