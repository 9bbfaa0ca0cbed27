"""Load agents in a process of their own, told what to do by a test: `python -m
tests.integration.load_agent_driven ORDER`, in a node of a sandbox.

Commands are JSON arrays `[number, verb, arguments...]`, one a line on stdin; each is answered by an object
with its number on stdout, in any order, so that a test can do something while it waits for something else.
Where the order says `listens`, phones register at this very process, unchallenged, and calls go by the
connections that they made: there is no server between agent and phone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gevent
from gevent.fileobject import FileObject

from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.call import Call
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.message import Request, parse
from endpoints_emu.load.request import response, response_head
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.tls import server_tls
from endpoints_emu.load.transport import Listener, Server
from uclab.plan.schema.plan import Account

DEADLINE_S = 10.0
LISTENED = 150
"""Packets of the other side, from now on, that a look at a call waits for: 3 s."""
SILENCE_S = 0.5


class Driven:
    """The agents of one process, and all calls that they have had."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.stack = Stack()
        self.calls: list[Call] = []
        self.answers = True
        """Take calls; otherwise they are refused: 486."""
        self._refused = 0
        server = Server(order["host_name"], order["address"], order["port"], "tls", Path(order["ca"]))
        self.agents = [
            UserAgent(self.stack, Account(**account), server, local_address=order["local"], tone_hz=hz)
            for account, hz in zip(order["accounts"], order["tones"], strict=True)
        ]
        for agent in self.agents:
            agent.on_call = self._called
        if order.get("listens"):
            pem = Path(order["certificate"])
            Listener(
                order["local"],
                order["port"],
                self._received,
                self.stack._lost,
                tls=server_tls(pem, pem),
            )

    def register(self, agent: int) -> dict[str, Any]:
        """Register that agent at its server."""
        return asdict(self.agents[agent].register())

    def refuse(self, refuses: bool) -> None:
        """Whether calls are refused from now on."""
        self.answers = not refuses

    def refused(self) -> int:
        """How many were."""
        return self._refused

    def call(self, agent: int, target: str) -> dict[str, Any]:
        """Place a call: its number, or the status that refused it."""
        try:
            self.calls.append(self.agents[agent].call(target, ring_s=DEADLINE_S))
        except CallFailed as error:
            return {"refused": error.status, "why": str(error)}
        return {"call": len(self.calls) - 1}

    def taken(self, number: int) -> int:
        """The call of that number, once it has come in and stands."""
        _wait(lambda: len(self.calls) > number and self.calls[number].state == "established", "no call")
        return number

    def hold(self, number: int) -> None:
        self.calls[number].hold()

    def resume(self, number: int) -> None:
        self.calls[number].resume()

    def hang_up(self, number: int) -> None:
        self.calls[number].hang_up()

    def until(self, number: int, attribute: str, value: object) -> None:
        """Until an attribute of the call has that value."""
        call = self.calls[number]
        _wait(lambda: getattr(call, attribute) == value, f"{attribute} is not {value}")

    def listen(self, number: int, hz: int) -> dict[str, Any]:
        """Listen from now on, and say whether that tone was heard."""
        media = self.calls[number].media
        assert media is not None
        media.other.clear()
        self.receive(number)
        return asdict(media.heard_tone(hz))

    def receive(self, number: int) -> None:
        """Until that many packets more have come."""
        media = self.calls[number].media
        assert media is not None
        until = media.reception.received + LISTENED
        _wait(lambda: media.reception.received >= until, "hears nothing")

    def silence(self, number: int) -> None:
        """Until nothing has come from the other side for `SILENCE_S`."""
        media = self.calls[number].media
        assert media is not None
        seen, since, began = media.reception.received, time.monotonic(), time.monotonic()
        while time.monotonic() - since < SILENCE_S:
            if media.reception.received != seen:
                seen, since = media.reception.received, time.monotonic()
            if time.monotonic() - began > DEADLINE_S:
                raise TimeoutError("hears the other side all the time")
            gevent.sleep(0.02)

    def look(self, number: int) -> dict[str, Any]:
        """What has come of a call."""
        call = self.calls[number]
        return asdict(call.figures()) | asdict(call.attempt()) | {"why": call.why, "by_peer": call.by_peer}

    def _called(self, call: Call) -> None:
        if not self.answers:
            self._refused += 1
            call.reject()
            return
        self.calls.append(call)
        call.ring()
        call.answer()

    def _received(self, data: bytes, connection: Any, peer: Any) -> None:
        """A registration, or something for the agent."""
        if not data.startswith(b"REGISTER "):
            self.stack.received(data, connection, peer)
            return
        request = parse(data)
        assert isinstance(request, Request)
        rest = f"Contact: {request.first('contact')}\r\nExpires: {request.first('expires', '270')}\r\n"
        connection.send(response(200, "OK", response_head(request, "registrar", None), rest), peer)
        self.agents[0].use(connection)


def _wait(condition: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(otherwise)
        gevent.sleep(0.02)


def main() -> None:
    """Until stdin ends."""
    driven = Driven(json.loads(Path(sys.argv[1]).read_text()))

    def carry_out(number: int, verb: str, *arguments: Any) -> None:
        try:
            answer = {"number": number, "result": getattr(driven, verb)(*arguments)}
        except (CallFailed, TimeoutError) as error:
            answer = {"number": number, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)

    print(json.dumps({"number": 0, "result": None}), flush=True)
    for line in FileObject(sys.stdin.buffer):
        gevent.spawn(carry_out, *json.loads(line))


if __name__ == "__main__":
    main()
