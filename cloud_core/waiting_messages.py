"""Where a session controller keeps the text messages that wait for their recipients (store and forward, C1):
a table on disk, which outlives its container."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cloud_core.containers import SERVICE_ID

FILE = "waiting.sqlite"
TABLE = """
create table if not exists waiting (
    id integer primary key autoincrement,
    recipient text not null,
    kept_at integer not null,
    date text not null,
    author text not null,
    addressee text not null,
    call_id text not null,
    type text not null,
    body text not null
);
create index if not exists waiting_by_recipient on waiting (recipient, id);
"""
"""`recipient`: the account. `kept_at`: seconds since the epoch. `date`: the same as a SIP header says it.
What others have written is hexadecimal digits."""


@dataclass(frozen=True)
class Waiting:
    """How messages wait."""

    port: int = 5090
    """UDP, on the loopback interface: by it they come back to the session controller when their time has
    come."""
    answer_ms: int = 4000
    """Whoever does not answer a message within this time is taken for unreachable: less than half of what any
    sender waits for an answer (RFC 3261 timer F: 32 s; our phones 10 s)."""
    under_way_s: int = 20
    """The longest that a delivery takes: an answer of every data centre's."""
    again_s: int = 5
    """From one attempt to the next, beside those when somebody registers."""
    longest: int = 4096
    """Bytes of a message that is kept."""
    most: int = 1000
    """That are kept for one recipient."""
    longest_s: int = 7 * 24 * 3600
    """How long one waits."""
    receipt: str = b"message/imdn+xml".hex()
    """The type of those that say what became of others (RFC 5438), as the table has it."""


def prepare_waiting(folder: Path) -> Path:
    """The folder with the table, there before the session controller starts, writable by it alone. What waits
    there already stays."""
    place = folder / "waiting"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = place / FILE
    with closing(sqlite3.connect(file)) as table:
        table.execute("pragma journal_mode=wal")  # who reads waits for nobody
        table.executescript(TABLE)
    for path in (place, *place.iterdir()):
        os.chown(path, SERVICE_ID, SERVICE_ID)
    file.chmod(0o600)
    return place
