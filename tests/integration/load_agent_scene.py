"""For `test_load_agent`: `python -m tests.integration.load_agent_scene ORDER RESULT` in a node of a lab.

Two load agents register at the lab's cloud in place of two of its phones, call a desk phone, are called by
it, and call the telephone network. It judges nothing: the test does.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gevent

from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.call import Call
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.transport import Server
from uclab.plan.schema.plan import Account

TALK_S = 3.0


def look(call: Call, tone_hz: int) -> dict[str, Any]:
    """What came of a call that is about to end; `tone_hz`: what its other side sends."""
    figures = asdict(call.figures())
    heard = call.media.heard_tone(tone_hz) if call.media else None
    call.hang_up()
    return {
        "media": figures,
        "heard": asdict(heard) if heard else None,
        "attempt": asdict(call.attempt()),
        "call_id": call.call_id,
    }


def play(order: dict[str, Any]) -> dict[str, Any]:
    """Everything, in order."""
    server = Server(order["host_name"], order["address"], order["port"], "tls", Path(order["ca"]))
    accounts = [Account(**account) for account in order["accounts"]]
    stack, address = Stack(), order["local"]
    seen: dict[str, Any] = {}
    first, second = (
        UserAgent(stack, account, server, local_address=address, tone_hz=hz)
        for account, hz in zip(accounts, order["tones"], strict=True)
    )
    # who is not let in
    wrong = UserAgent(stack, replace(accounts[0], password="wrong"), server, local_address=address)
    seen["wrong password"] = asdict(wrong.register())
    other = replace(server, host_name="other.example.test")
    seen["other name"] = asdict(UserAgent(stack, accounts[0], other, local_address=address).register())
    # registered
    seen["registered"] = [asdict(agent.register()) for agent in (first, second)]
    # the agent calls a desk phone, holds it, and takes it back
    desk, hz = order["desk"], order["desk_hz"]
    call = first.call(desk)
    gevent.sleep(TALK_S)
    call.hold()
    gevent.sleep(0.5)
    call.resume()
    gevent.sleep(1.0)
    seen["to the desk"] = look(call, hz)
    # the agent has the desk phone call the second agent
    taken: list[Call] = []

    def take(incoming: Call) -> None:
        taken.append(incoming)
        incoming.ring()
        incoming.answer()

    second.on_call = take
    call = first.call(desk)
    gevent.sleep(1.0)
    call.transfer(accounts[1].user)
    began = time.monotonic()
    while not (taken and taken[0].state == "established") and time.monotonic() < began + 5:
        gevent.sleep(0.05)
    gevent.sleep(TALK_S)
    seen["from the desk"] = look(taken[0], hz) if taken else None
    # agent to agent, and to the telephone network
    call = first.call(accounts[1].user)
    gevent.sleep(1.0)
    seen["to an agent"] = look(call, 0) | {"speaker": second.speaker}
    call = first.call(order["number"])
    gevent.sleep(TALK_S)
    seen["to the telephone network"] = look(call, order["number_hz"])
    try:
        first.call("9999")
    except CallFailed as error:
        seen["to nobody"] = error.status
    seen["unregistered"] = [asdict(agent.unregister()) for agent in (first, second)]
    stack.close()
    return seen


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(play(json.loads(Path(sys.argv[1]).read_text())), indent=1))
