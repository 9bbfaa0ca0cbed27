"""baresip's `ctrl_tcp`: commands out, responses and events in, as JSON in netstrings (D. J. Bernstein, 1997).

One connection at a time: a second one ends the first. A command and its parameters must fit into 1,023 bytes;
baresip 1.1.0 cuts what is longer without a word.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Callable
from typing import Any

from endpoints_emu.phone import CommandRefused, PhoneDied
from uclab.runtime.readiness import patient

Message = dict[str, Any]
LONGEST_COMMAND = 1023


def encode(message: Message) -> bytes:
    """A message as netstring."""
    body = json.dumps(message).encode()
    return b"%d:%s," % (len(body), body)


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message. Raises `IncompleteReadError` at the end, `ValueError` on what is no netstring."""
    length = await reader.readuntil(b":")
    body = await reader.readexactly(int(length[:-1]) + 1)
    if body[-1:] != b",":
        raise ValueError(f"netstring of {length!r} does not end with a comma")
    message: Message = json.loads(body[:-1])
    return message


class Control:
    """The control connection of one baresip. `on_event` is called for each event, in order, and must not
    wait."""

    def __init__(
        self,
        phone: str,
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        on_event: Callable[[Message], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._phone = phone
        self._reader, self._writer = connection
        self._on_event = on_event
        self._on_end = on_end
        self._tokens = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._ended: str | None = None
        self._task = asyncio.create_task(self._receive(), name=f"control of {phone}")

    async def command(self, name: str, parameters: str | None = None, *, deadline_s: float = 5.0) -> str:
        """Run a command and return its text. Raises `CommandRefused`, or `PhoneDied` when there is no
        answer."""
        if self._ended is not None:
            raise PhoneDied(f"{self._phone}: {self._ended}")
        if len(f"{name} {parameters or ''}".encode()) > LONGEST_COMMAND:
            raise CommandRefused(f"{self._phone}: {name}: longer than {LONGEST_COMMAND} bytes")
        token = str(next(self._tokens))
        message: Message = {"command": name, "token": token}
        if parameters is not None:
            message["params"] = parameters
        answer = self._waiting[token] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(encode(message))
            async with asyncio.timeout(patient(deadline_s)):
                response = await answer
        except TimeoutError:
            raise PhoneDied(f"{self._phone}: no answer to `{name}` in {deadline_s:g} s") from None
        finally:
            del self._waiting[token]
        text = str(response.get("data", ""))
        if not response.get("ok"):
            raise CommandRefused(f"{self._phone}: {name} {parameters or ''}: {text.strip()}")
        return text

    async def close(self) -> None:
        """Close the connection without reporting its end."""
        self._ended = "control connection closed"
        self._task.cancel()
        self._writer.close()

    def _acknowledge_at_once(self) -> None:
        """Ask for undelayed TCP acknowledgements (the kernel forgets it again, tcp(7)).

        baresip leaves Nagle's algorithm on: an event right after another would be told 40 ms late.
        """
        self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    async def _receive(self) -> None:
        reason = "control connection closed by the phone"
        try:
            while True:
                self._acknowledge_at_once()
                message = await read(self._reader)
                if "response" in message:
                    future = self._waiting.get(str(message.get("token")))
                    if future and not future.done():
                        future.set_result(message)
                elif "event" in message or "message" in message:
                    self._on_event(message)
        except (OSError, ValueError) as error:
            reason = f"control connection broken: {error}"
        except asyncio.IncompleteReadError:
            pass
        self._ended = reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(PhoneDied(f"{self._phone}: {reason}"))
        self._on_end(reason)
