"""Where a worker's users sit: their accounts and addresses, the SIP stack they share, and what they note."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO

from endpoints_emu.load import process
from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.call import Call
from endpoints_emu.load.measures import RegistrationAttempt
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.transport import Server
from uclab.plan.codec import from_data, to_data
from uclab.plan.load_record import POOL_VARIABLE, LegRecord, LoadUser, Pool, RegistrationRecord


class NoPool(Exception):
    """The process is no worker of a campaign."""


class Place:
    """One a process."""

    def __init__(self, pool: Pool) -> None:
        process.prepare()
        self.pool = pool
        self.stack = Stack(dscp_signalling=pool.dscp_signalling, dscp_media=pool.dscp_media)
        self._free = deque(pool.users)
        self._legs = _log(Path(pool.records + ".legs.jsonl"))
        self._accounts = _log(Path(pool.records + ".accounts.jsonl"))

    def take(self) -> LoadUser:
        """A user that nobody plays yet."""
        return self._free.popleft()

    def give_back(self, user: LoadUser) -> None:
        """Who played it has left."""
        self._free.append(user)

    def agent(self, user: LoadUser) -> UserAgent:
        """The user's agent, at the preferred session controller; not registered yet."""
        first = self.pool.registrars[0]
        server = Server(first.host_name, first.address, first.port, "tls", Path(self.pool.ca_file))
        return UserAgent(
            self.stack, user.account, server, local_address=user.address, tone_hz=float(user.tone_hz)
        )

    def note_registration(self, user: LoadUser, attempt: RegistrationAttempt) -> None:
        """Keep how an attempt to register went."""
        _write(
            self._accounts,
            RegistrationRecord(
                user.account.user,
                round(time.time(), 3),
                attempt.status,
                round(1000 * attempt.delay_s, 1),
                "" if attempt.succeeded else attempt.why,
            ),
        )

    def note_leg(self, record: LegRecord) -> None:
        """Keep how a side of a call went."""
        _write(self._legs, record)


@cache
def place() -> Place:
    """This worker's. Raises `NoPool` elsewhere."""
    name = os.environ.get(POOL_VARIABLE)
    if name is None:
        raise NoPool(
            f"users need a pool of accounts: run the campaign by `uclab campaign`, which sets {POOL_VARIABLE}"
        )
    return Place(from_data(Pool, json.loads(Path(name).read_text())))


def with_media(leg: LegRecord, call: Call) -> LegRecord:
    """The leg with what its media came to."""
    if call.media is None:
        return leg
    figures = call.figures()
    return replace(
        leg,
        media_port=call.media.remote_port,
        sent=figures.sent,
        received=figures.received,
        lost=figures.lost,
        unauthentic=figures.authentication_failures,
        heard=figures.signal_seen,
    )


def _log(path: Path) -> IO[str]:
    return path.open("a", buffering=1)  # a line at a time: what was noted stays, whatever happens


def _write(log: IO[str], record: object) -> None:
    log.write(json.dumps(to_data(record)) + "\n")
