"""SIP MESSAGE (RFC 3428) with baresip: what is sent and answered, by the lab's module `messages`, and what
comes in, by `ctrl_tcp`."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable

from endpoints_emu.baresip.control import Message
from endpoints_emu.errors import PhoneError
from endpoints_emu.events import EventLog, PhoneEventKind
from uclab.runtime.readiness import patient

Command = Callable[[str, str], Awaitable[str]]
LONGEST_TEXT = 700
"""Bytes: what a command of baresip's has room for, beside the longest URI (`control.LONGEST_COMMAND`)."""


def answered(parameter: str) -> tuple[str, int] | None:
    """Reference and status in the parameter of a `MODULE` event, 0 where no response came; None for events of
    other modules."""
    found = re.fullmatch(r"messages,answered,(\S{1,64}) (\d{1,3})", parameter)
    return (found[1], int(found[2])) if found else None


class TextMessages:
    """The messages of one phone."""

    def __init__(self, phone: str, command: Command, events: EventLog) -> None:
        self._phone = phone
        self._command = command
        self._events = events
        self._references = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[int]] = {}

    async def send(self, account: int, uri: str, text: str, deadline_s: float) -> int:
        """The status of the final response. Raises `PhoneError`."""
        if not text or len(text.encode()) > LONGEST_TEXT or not text.isprintable():
            raise PhoneError(f"{self._phone}: a message is a line of 1 to {LONGEST_TEXT} bytes")
        reference = str(next(self._references))
        answer: asyncio.Future[int]
        answer = self._waiting[reference] = asyncio.get_running_loop().create_future()
        try:
            await self._command("sendmessage", f"{account} {reference} {uri} {text}")
            async with asyncio.timeout(patient(deadline_s)):
                status = await answer
        except TimeoutError:
            raise PhoneError(f"{self._phone}: message to {uri}: no answer in {deadline_s:g} s") from None
        finally:
            del self._waiting[reference]
        if not status:
            raise PhoneError(f"{self._phone}: message to {uri}: the connection ended, or nobody answered")
        return status

    def on_answer(self, reference: str, status: int) -> None:
        """What the module told of a message that was sent."""
        waiting = self._waiting.get(reference)
        if waiting is not None and not waiting.done():
            waiting.set_result(status)

    def on_message(self, message: Message) -> None:
        """What `ctrl_tcp` told of a message that came in."""
        text, sender = str(message.get("body", "")), str(message.get("from", ""))
        self._events.publish(PhoneEventKind.MESSAGE, text, sender=sender)
