"""Where a worker's users sit: their accounts and addresses, the SIP stack they share, and what they note."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import IO

from campaigns import messages
from endpoints_emu.load import process
from endpoints_emu.load.agent import UserAgent
from endpoints_emu.load.call import Call
from endpoints_emu.load.codec import Codec
from endpoints_emu.load.measures import RegistrationAttempt
from endpoints_emu.load.process import prepare
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.transport import Server
from uclab.plan.codec import from_data, to_data
from uclab.plan.elsewhere_record import ACCOUNTS, LEGS
from uclab.plan.load_record import POOL_VARIABLE, LegRecord, LoadUser, Pool, RegistrationRecord


class NoPool(Exception):
    """The process is no worker of a campaign."""


class Place:
    """One a process."""

    def __init__(self, pool: Pool) -> None:
        process.prepare()
        self.pool = pool
        self.stack = Stack(
            dscp_signalling=pool.dscp_signalling,
            dscp_media=pool.dscp_media,
            codec=Codec(pool.codec.name, pool.codec.packet_ms, pool.codec.opus_kbps),
        )
        self._free = deque(pool.users)
        self._legs = log(Path(pool.records + ".legs.jsonl"))
        self._accounts = log(Path(pool.records + ".accounts.jsonl"))

    def take(self) -> LoadUser:
        """A user that nobody plays yet."""
        return self._free.popleft()

    def give_back(self, user: LoadUser) -> None:
        """Who played it has left."""
        self._free.append(user)

    @cached_property
    def servers(self) -> tuple[Server, ...]:
        """The session controllers, the preferred one first."""
        pool, timing = self.pool, self.pool.registration
        probes = max(1, (timing.lost_s - timing.keepalive_s) // timing.probe_s)
        return tuple(
            Server(
                *(one.host_name, one.address, one.port, "tls", Path(pool.ca_file)),
                *(timing.keepalive_s, timing.probe_s, probes),
            )
            for one in pool.registrars
        )

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


@cache
def place() -> Place:
    """This worker's. Raises `NoPool` elsewhere."""
    name = os.environ.get(POOL_VARIABLE)
    if name is None:
        raise NoPool(
            f"users need a pool of accounts: run the campaign by `uclab campaign`, which sets {POOL_VARIABLE}"
        )
    prepare()
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
