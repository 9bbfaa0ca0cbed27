"""TCP connections of phones' ports at the session controllers' own taps: from when to when each stood, and
when its client first said something.

Few packets of a run are signalling; they are gone through one by one, since the same ports may be used again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np

from uclab.capture.headers import ACK, FIN, RST, SYN, TCP, Headers
from uclab.capture.packets import Packets

SILENT_NS = 1_000_000_000
"""A client's first word comes with the handshake: who has said nothing after this time does not want to."""


@dataclass
class Connection:
    """One connection, or one attempt."""

    server: int
    client: int
    """Addresses as numbers; the client's as the session controller sees it."""
    sequence: int
    """Initial sequence number: a connection request that is repeated has the same."""
    first_ns: int
    last_ns: int
    packet: int
    """Number of its first packet."""
    confirmed_ns: int | None = None
    """When its client confirmed it, the third step of the handshake (RFC 9293 section 3.5). Who does not may
    never have got the answer; what only was asked for is no connection."""
    spoken_ns: int | None = None
    ended: bool = False

    @property
    def silence(self) -> tuple[int, int] | None:
        """From when to when it stood and its client had said nothing for `SILENT_NS`; None where that was
        never."""
        if self.confirmed_ns is None:
            return None
        begin, end = self.confirmed_ns + SILENT_NS, self.spoken_ns or self.last_ns
        return (begin, end) if end > begin else None


@dataclass
class ConnectionTable:
    """Grows by batches."""

    taps: Collection[str]
    """The session controllers'."""
    servers: Collection[int]
    ports: Collection[int]
    all: list[Connection] = field(default_factory=list)
    _standing: dict[tuple[int, int, int, int], Connection] = field(default_factory=dict)

    def add(self, packets: Packets, columns: Headers, labels: list[str]) -> None:
        """Takes a batch; `labels` names the taps of its interface indices."""
        here = [index for index, label in enumerate(labels) if label in self.taps]
        if not here:
            return
        ports, servers = list(self.ports), list(self.servers)
        up = np.isin(columns.dport, ports) & np.isin(columns.dst, servers)
        down = np.isin(columns.sport, ports) & np.isin(columns.src, servers)
        wanted = (columns.proto == TCP) & np.isin(packets.interface, here) & (up | down)
        for row in np.flatnonzero(wanted):
            self._take(packets, columns, int(row), bool(up[row]))

    def _take(self, packets: Packets, columns: Headers, row: int, up: bool) -> None:
        source = (int(columns.src[row]), int(columns.sport[row]))
        target = (int(columns.dst[row]), int(columns.dport[row]))
        ends = (*source, *target) if up else (*target, *source)
        flags, at_ns = int(columns.tcp_flags[row]), int(packets.time_ns[row])
        known = self._standing.get(ends)
        if up and flags & (SYN | ACK) == SYN:
            sequence = int(columns.tcp_seq[row])
            if known is None or known.sequence != sequence:
                number = int(packets.number[row])
                known = Connection(ends[2], ends[0], sequence, at_ns, at_ns, number)
                self._standing[ends] = known
                self.all.append(known)
        if known is None or known.ended:
            return
        known.last_ns = at_ns
        if up and known.confirmed_ns is None and flags & (SYN | ACK | RST) == ACK:
            known.confirmed_ns = at_ns
        if up and known.spoken_ns is None and columns.payload_len[row] > 0:
            known.spoken_ns = at_ns
        known.ended = bool(flags & (FIN | RST))

    def by_client(self, server: int) -> dict[int, list[Connection]]:
        """Connections with one session controller, by the address that they came from."""
        found: dict[int, list[Connection]] = {}
        for connection in self.all:
            if connection.server == server:
                found.setdefault(connection.client, []).append(connection)
        return found


def most_at_once(times: Iterable[tuple[int, int]]) -> int:
    """How many of these stretches of time overlap at most (pure)."""
    steps = sorted(step for begin, end in times for step in ((begin, 1), (end, -1)))
    most = now = 0
    for _, change in steps:
        now += change
        most = max(most, now)
    return most
