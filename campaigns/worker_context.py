"""Where a worker's users sit: their accounts and addresses, the SIP stack they share, and what they note."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from dataclasses import asdict, replace
from functools import cache, cached_property
from pathlib import Path
from typing import IO

from gevent.event import Event

from campaigns import messages
from campaigns.greenlet_wait import until
from campaigns.outside import Outside
from campaigns.servers import server_of
from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.call import Call
from endpoints_emu.load.codec import Codec
from endpoints_emu.load.measures import RegistrationAttempt
from endpoints_emu.load.process import prepare
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.transport import Server
from uclab.plan.load.record import (
    POOL_VARIABLE,
    CallerRecord,
    LegRecord,
    LoadUser,
    Pool,
    RegistrationRecord,
)
from uclab.plan.schema.codec import from_data, to_data
from uclab.records.remote_generators import ACCOUNTS, LEGS


class NoPool(Exception):
    """The process is no worker of a campaign."""


class Place:
    """One a process."""

    def __init__(self, pool: Pool) -> None:
        prepare()
        self.pool = pool
        self.stack = Stack(
            dscp_signalling=pool.dscp_signalling,
            dscp_media=pool.dscp_media,
            codec=Codec(**asdict(pool.codec)),
        )
        self.outside = Outside(self.stack, pool, pool.trunk, self.note_call) if pool.trunk else None
        """The telephone network, where this process plays it."""
        self.there: tuple[str, ...] = ()
        """Extensions that somebody plays, as far as the campaign's leader has told."""
        self._free = deque(pool.users)
        self._played: set[str] = set()
        self._tried: set[str] = set()
        self._noted = Event()
        self._callers = 0
        self._legs = log(Path(pool.records + ".legs.jsonl"))
        self._accounts = log(Path(pool.records + ".accounts.jsonl"))

    def take(self) -> LoadUser:
        """A user that nobody plays yet; of the telephone network's numbers each in its turn, more than once
        where there are more callers than numbers."""
        user = self._free.popleft()
        if self.outside is not None:
            self._free.append(user)
        else:
            self._played.add(user.account.user)
        return user

    def give_back(self, user: LoadUser) -> None:
        """Who played it has left."""
        if self.outside is None:
            self._free.append(user)
            self._played.discard(user.account.user)

    @property
    def present(self) -> list[str]:
        """Extensions that are played here now."""
        return sorted(self._played)

    def wait_until_tried(self, deadline_s: float) -> bool:
        """Whether all who are played here have tried to register by then."""
        return until(lambda: self._played <= self._tried, self._noted, deadline_s)

    @cached_property
    def direct(self) -> dict[str, str]:
        """How the telephone network dials each extension."""
        return dict(zip(self.pool.colleagues, self.pool.direct, strict=True))

    @cached_property
    def servers(self) -> tuple[Server, ...]:
        """The session controllers, the preferred one first."""
        return tuple(server_of(self.pool, registrar) for registrar in self.pool.registrars)

    def agent(self, user: LoadUser) -> UserAgent:
        """The user's agent, at the preferred session controller; not registered yet."""
        return UserAgent(
            self.stack, user.account, self.servers[0], local_address=user.address, tone_hz=float(user.tone_hz)
        )

    def next_server(self, server: Server) -> Server:
        """The session controller to turn to where that one does not answer."""
        return self.servers[(self.servers.index(server) + 1) % len(self.servers)]

    def note_registration(self, user: LoadUser, attempt: RegistrationAttempt) -> None:
        """Keep how an attempt to register went."""
        self._tried.add(user.account.user)
        self._noted.set()
        record = RegistrationRecord(
            user.account.user,
            round(time.time(), 3),
            attempt.status,
            round(1000 * attempt.delay_s, 1),
            "" if attempt.succeeded else attempt.why,
        )
        write(self._accounts, record)
        messages.tell(ACCOUNTS, record)

    def note_leg(self, record: LegRecord) -> None:
        """Keep how a side of a call went."""
        write(self._legs, record)
        messages.tell(LEGS, record)

    def note_call(self, leg: LegRecord, call: Call) -> None:
        """Keep how a side of a call went, and what its media came to."""
        self.note_leg(with_media(leg, call))

    def note_caller(self, user: LoadUser) -> None:
        """Somebody in the telephone network has begun."""
        self._callers += 1
        with log(Path(self.pool.records + ".callers.jsonl")) as file:
            write(file, CallerRecord(user.account.user, round(time.time(), 3), self._callers))

    def forget_caller(self) -> None:
        """One of them has left."""
        self._callers -= 1


@cache
def place() -> Place:
    """This worker's. Raises `NoPool` elsewhere."""
    name = os.environ.get(POOL_VARIABLE)
    if name is None:
        raise NoPool(
            f"users need a pool of accounts: run the campaign by `uclab campaign`, which sets {POOL_VARIABLE}"
        )
    pool, folder = from_data(Pool, json.loads(Path(name).read_text())), Path(name).parent
    return Place(replace(pool, ca_file=str(folder / pool.ca_file), records=str(folder / pool.records)))


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
        offers=call.offers,
        heard=figures.signal_seen,
        address=call.agent.local_address,
    )


def log(path: Path) -> IO[str]:
    return path.open("a", buffering=1)  # a line at a time: what was noted stays, whatever happens


def write(log: IO[str], record: object) -> None:
    log.write(json.dumps(to_data(record)) + "\n")
