"""The telephone network of a campaign, as one process plays it: all its numbers, behind the real trunk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gevent

from campaigns.answer_call import take_call
from campaigns.servers import server_of
from endpoints_emu.load.call import Call
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.trunk import Line, Trunk
from uclab.plan.load.record import OUTSIDE, LegRecord, LoadUser, Pool, TrunkEnd


class Outside:
    """Listens from the beginning; every number is somebody's."""

    def __init__(
        self, stack: Stack, pool: Pool, end: TrunkEnd, note: Callable[[LegRecord, Call], None]
    ) -> None:
        """`note` hears of every call that was taken."""
        server = server_of(pool, end.controller, Path(end.certificate), Path(end.key))
        self._trunk = Trunk(
            stack,
            server,
            domain=pool.domain,
            host_name=end.host_name,
            address=pool.users[0].address,
            port=end.port,
            callers=end.callers,
        )
        self._note = note
        self._lines = {user.account.user: self._line(user) for user in pool.users}

    @property
    def port(self) -> int:
        """Where it is called."""
        return self._trunk.port

    def line(self, user: LoadUser) -> Line:
        """A number's line."""
        return self._lines[user.account.user]

    def _line(self, user: LoadUser) -> Line:
        number = user.account.user

        def called(call: Call) -> None:
            call.ring()
            gevent.spawn(take_call, number, OUTSIDE, call, self._note, set())

        line = Line(self._trunk, number, tone_hz=float(user.tone_hz))
        line.on_call = called
        return line
