"""Proof that media is encrypted: the keys agreed in decrypted signalling authenticate the captured packets
(RFC 3711, RFC 4568).

Each side's `a=crypto` line protects what that side sends. libsrtp checks the authentication tag of packets
at the endpoints' own taps and at the session controller's; with one bit of the key changed it must refuse.
Independently of any key, the bytes of a payload are tested for being evenly distributed: encrypted ones are,
a voice codec's are not.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pylibsrtp import Error, Policy, Session

from uclab.capture.dissect import SipMessage
from uclab.capture.headers import Headers, Mask
from uclab.capture.packets import I64, Packets
from uclab.judge.evidence.network import LEGS, Leg, number
from uclab.judge.measure.payload_entropy import SPREAD_BYTES, SPREAD_PACKETS, PayloadEntropy

ALL_UP_TO = 2000
"""Packets of a stream at a tap that are all authenticated; of those after them, every sixteenth."""
EVERY = 16
WRONG_KEY_TRIES = 8
SRTCP_END = 14
"""Bytes of index and authentication tag at the end of an SRTCP packet (RFC 3711 section 3.4)."""

PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
"""Suites that pylibsrtp can check (RFC 4568, RFC 7714)."""


@dataclass(frozen=True)
class SdesKey:
    """A key as agreed: who sends with it is told by the leg on which it stands."""

    suite: str
    inline: str
    packet: int
    """Number of the packet with the message, at the session controller's tap."""

    def master(self) -> bytes | None:
        """Master key and salt; None where the line is not base64."""
        try:
            return base64.b64decode(self.inline + "=" * (-len(self.inline) % 4), validate=True)
        except (binascii.Error, ValueError):
            return None


@dataclass
class KeyRing:
    """Keys by the session controller's media port, which NAT does not change: (leg, port) -> keys and RTP
    profiles."""

    keys: dict[tuple[Leg, int], list[SdesKey]] = field(default_factory=dict)
    profiles: dict[tuple[Leg, int], set[str]] = field(default_factory=dict)
    call_ids: dict[int, set[str]] = field(default_factory=dict)
    """Port -> Call-IDs of the dialogs that agreed on it."""

    def of(self, leg: Leg, port: int) -> list[SdesKey]:
        """Keys for media to (`up`) or from (`down`) that port."""
        return self.keys.get((leg, port), [])

    def add(self, leg: Leg, port: int, message: SipMessage) -> None:
        """Note profile and keys that a message agrees on for that leg and port."""
        assert message.media is not None
        self.profiles.setdefault((leg, port), set()).add(message.media.profile)
        for crypto in message.media.cryptos:
            key = SdesKey(crypto.suite, crypto.inline, message.at.packet)
            keys = self.keys.setdefault((leg, port), [])
            if all(known.inline != key.inline for known in keys):
                keys.append(key)


def key_ring(messages: Sequence[SipMessage], controllers: frozenset[int]) -> KeyRing:
    """Sorts the keys of all SDP bodies. Dialogues keep their Call-ID across the controller, so a leg is
    Call-ID and flow; between two controllers (a call that crosses data centres), Call-ID and the two."""
    ring = KeyRing()
    legs: dict[tuple[str, str, int], list[tuple[bool, SipMessage]]] = {}
    between: dict[tuple[str, frozenset[str]], list[SipMessage]] = {}
    for message in messages:
        if message.media is not None:
            from_controller = number(message.at.src) in controllers
            if from_controller and number(message.at.dst) in controllers:
                pair = frozenset((message.at.src, message.at.dst))
                between.setdefault((message.call_id, pair), []).append(message)
                continue
            far = (
                (message.at.dst, message.at.dport) if from_controller else (message.at.src, message.at.sport)
            )
            legs.setdefault((message.call_id, *far), []).append((from_controller, message))
    for (call_id, *_), call_legs in legs.items():
        ports = {m.media.port for own, m in call_legs if own and m.media is not None and m.media.port}
        for port in ports:
            ring.call_ids.setdefault(port, set()).add(call_id)
            for own, message in call_legs:
                ring.add("down" if own else "up", port, message)
    for (call_id, _), crossing in between.items():
        for receiver in crossing:
            port = receiver.media.port if receiver.media is not None else 0
            if port:
                ring.call_ids.setdefault(port, set()).add(call_id)
            for sender in crossing:
                if port and sender.at.src != receiver.at.src:
                    ring.add("up", port, sender)
    return ring


@dataclass
class Authentication:
    """What libsrtp said of one stream at one tap."""

    tap: str
    leg: Leg
    ssrc: int
    port: int
    """Of the session controller."""
    packets: int = 0
    tried: int = 0
    authenticated: int = 0
    wrong_key_tried: int = 0
    wrong_key_refused: int = 0
    key: SdesKey | None = None
    unsupported: str | None = None
    """A suite that cannot be checked here."""
    first_ns: int = 0
    """When the first packet passed."""
    control: bool = False
    """SRTCP, not SRTP."""
    cut: int = 0
    """Packets that the capture does not hold wholly: nothing can be said of them."""
    sample: list[int] = field(default_factory=list)
    failed_sample: list[int] = field(default_factory=list)
    failed_ids: list[bytes] = field(default_factory=list)
    """What those packets are known by at other taps."""
    _sessions: list[tuple[SdesKey, Session, Session]] | None = None
    _seen: set[bytes] = field(default_factory=set)

    def check(self, packet: bytes, number: int, ring: KeyRing) -> None:
        """Tries one packet; not again where it passes a second time (libsrtp would take it for a replay)."""
        # sequence number and time stamp; of SRTCP its own index and authentication tag, at the end
        identity = packet[-SRTCP_END:] if self.control else packet[2:8]
        if identity in self._seen:
            return
        self._seen.add(identity)
        if self._sessions is None:
            self._sessions = [s for key in ring.of(self.leg, self.port) if (s := _sessions(key)) is not None]
            suites = [key.suite for key in ring.of(self.leg, self.port) if key.suite not in PROFILES]
            self.unsupported = suites[0] if suites and not self._sessions else None
        self.tried += 1
        for index, (key, right, wrong) in enumerate(self._sessions):
            if not self._opens(right, packet):
                continue
            self.authenticated += 1
            self.key = key
            if index:
                self._sessions.insert(0, self._sessions.pop(index))
            if len(self.sample) < 3:
                self.sample.append(number)
            if self.wrong_key_tried < WRONG_KEY_TRIES:
                self.wrong_key_tried += 1
                self.wrong_key_refused += not self._opens(wrong, packet)
            return
        if len(self.failed_sample) < 3:
            self.failed_sample.append(number)
            self.failed_ids.append(traced(packet, self.control))

    def _opens(self, session: Session, packet: bytes) -> bool:
        try:
            session.unprotect_rtcp(packet) if self.control else session.unprotect(packet)
        except Error:
            return False
        return True


def traced(packet: bytes, control: bool) -> bytes:
    """What a packet is known by at all taps: sequence number and time stamp, or SRTCP's index."""
    return packet[-SRTCP_END : 4 - SRTCP_END] if control else packet[2:8]


def _sessions(key: SdesKey) -> tuple[SdesKey, Session, Session] | None:
    """A receiving session with the key, and one with a bit of it changed."""
    master, profile = key.master(), PROFILES.get(key.suite)
    if master is None or profile is None:
        return None
    wrong = bytes([master[0] ^ 1]) + master[1:]
    try:
        return key, _session(master, profile), _session(wrong, profile)
    except (Error, ValueError, TypeError):
        return None


def _session(master: bytes, profile: int) -> Session:
    policy = Policy(key=master, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
    policy.window_size = 1024
    return Session(policy)


@dataclass
class MediaSecrecy:
    """Collects both proofs over batches."""

    ring: KeyRing
    proof_taps: frozenset[str]
    """Where packets are authenticated: endpoints' and session controllers' own interfaces."""
    sampled: bool = False
    """Only streams whose keys are known are authenticated, and at every tap."""
    authentications: dict[tuple[str, Leg, int, int], Authentication] = field(default_factory=dict)
    """By tap, leg, SSRC and the session controller's port: a stream that crosses to another data centre
    passes the first one's tap twice on its way up, to two ports and with two keys."""
    spreads: dict[tuple[str, Leg, int], PayloadEntropy] = field(default_factory=dict)
    _taps: dict[str, int] = field(default_factory=dict)
    _done: set[int] = field(default_factory=set)
    """Streams at taps of which nothing more is needed."""

    def add(
        self, packets: Packets, columns: Headers, labels: list[str], media: Mask, leg: npt.NDArray[np.int8]
    ) -> None:
        """Takes a batch."""
        rows = np.flatnonzero(media)
        if not len(rows):
            return
        tap = np.array([self._taps.setdefault(label, len(self._taps)) for label in labels], np.int64)
        port = np.where(leg[rows] == 1, columns.sport[rows], columns.dport[rows])
        ssrc = columns.ssrc[rows].astype(np.int64)
        code = self._code(ssrc, leg[rows], tap[packets.interface[rows]], port.astype(np.int64))
        if self._done:
            busy = ~np.isin(code, np.fromiter(self._done, np.int64))
            rows, code = rows[busy], code[busy]
            if not len(rows):
                return
        order = np.argsort(code, kind="stable")
        unique, starts = np.unique(code[order], return_index=True)
        for value, part in zip(unique.tolist(), np.split(rows[order], starts[1:]), strict=True):
            row = int(part[0])
            label, which = labels[packets.interface[row]], LEGS[leg[row]]
            if self._stream(packets, columns, part, label, which, int(columns.ssrc[row])):
                self._done.add(value)

    @staticmethod
    def _code(ssrc: I64, leg: npt.NDArray[np.int8], tap: I64, port: I64) -> I64:
        return ((ssrc * 3 + leg) * 4096 + tap) * 65536 + port

    def _stream(
        self, packets: Packets, columns: Headers, rows: npt.NDArray[np.intp], tap: str, leg: Leg, ssrc: int
    ) -> bool:
        """Takes packets of one stream at one tap; True when no more of them are needed."""
        spread = self.spreads.setdefault((tap, leg, ssrc), PayloadEntropy(tap, leg, ssrc))
        if spread.packets < SPREAD_PACKETS:
            some = rows[columns.payload_len[rows] >= 12 + SPREAD_BYTES + 16]
            some = spread.unseen(some, columns.seq[some])[: SPREAD_PACKETS - spread.packets]
            spread.packets += len(some)
            spread.sample += packets.number[some[: 3 - len(spread.sample)]].tolist()
            for start in (columns.payload[some] + 24).tolist():  # behind header and a short header extension
                spread.counts += np.bincount(packets.data[start : start + SPREAD_BYTES], minlength=256)
        port = int((columns.dport if leg == "up" else columns.sport)[rows[0]])
        wanted = bool(self.ring.of(leg, port)) if self.sampled else tap in self.proof_taps
        if not wanted or leg == "direct":
            return spread.packets >= SPREAD_PACKETS
        found = self.authentications.get((tap, leg, ssrc, port))
        if found is None:
            found = Authentication(tap, leg, ssrc, port, first_ns=int(packets.time_ns[rows[0]]))
            self.authentications[tap, leg, ssrc, port] = found
        index = np.arange(found.packets, found.packets + len(rows))
        found.packets += len(rows)
        for row in rows[(index < ALL_UP_TO) | (index % EVERY == 0)].tolist():
            start, length = int(columns.payload[row]), int(columns.payload_len[row])
            if length < columns.payload_wire[row]:
                found.cut += 1
                continue
            packet = packets.data[start : start + length].tobytes()
            found.check(packet, int(packets.number[row]), self.ring)
        return False
