"""Being called in a campaign: by a colleague, from outside, or outside."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import gevent

from endpoints_emu.load.call import Call
from uclab.plan.load.record import LegRecord

RINGS_S = (0.2, 1.0)
"""How long a called user lets it ring, seconds."""


def take_call(
    user: str, kind: str, call: Call, note: Callable[[LegRecord, Call], None], legs: set[Call]
) -> None:
    """Let it ring, answer, talk until the caller hangs up; then `note` how it went. While it stands it is in
    `legs`."""
    began = time.time()
    gevent.sleep(random.uniform(*RINGS_S))
    call.answer()
    if call.state != "established":
        return
    legs.add(call)
    answered = time.time()
    call.ended.wait()
    legs.discard(call)
    peer = call.asserted or call.remote
    note(LegRecord(user, peer, "callee", kind, 200, began, answered, time.time()), call)
