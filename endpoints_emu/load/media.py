"""Media of a call: its codec with the known signal, SRTP through libsrtp, RTCP, and what it came to.

Packets are received by the event loop itself, without a greenlet, and timed by the kernel; `pacer` says when
to send.
"""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Callable

from pylibsrtp import Error, Policy, Session

from endpoints_emu import audio
from endpoints_emu.load import rtp, signal
from endpoints_emu.load.codec import Codec
from endpoints_emu.load.measures import MediaFigures
from endpoints_emu.load.pacer import MediaEngine
from endpoints_emu.load.rtp import HEADER
from endpoints_emu.load.sdp import Description
from uclab.records.run import HeardAudio

REPORT_S = 5.0
"""RTCP's interval, each time between half and one and a half of it (RFC 3550 section 6.3.1)."""
KEEP_ALIVE = 126
"""Payload type of packets that only keep the way open."""
KEPT = 250
"""Payloads without our signal that are kept, the last ones, to look for a phone's tone in (5 s)."""
STUN_COOKIE = bytes.fromhex("2112a442")
"""By which STUN is told from RTP at the same port (RFC 5389 section 6, RFC 7983 section 7)."""
_TIMESPEC = struct.Struct("@qq")


class MediaSession:
    """One call's two sockets, keys and counters."""

    def __init__(
        self, engine: MediaEngine, address: str, speaker: int, hz: float, encrypted: bool, codec: Codec
    ) -> None:
        self.slot = -1
        self.codec = codec
        self.reception = rtp.Reception(codec.clock_hz)
        self.listener = codec.listener()
        self.other: list[bytes] = []
        self.key = os.urandom(30)
        self.sending = False
        self.payload_type = codec.payloads[0]
        self.encrypted = encrypted
        self._engine = engine
        self._speaker, self._hz = speaker, hz
        self._rtp, self._rtcp, self.port = engine.bind(address)
        self.address = address
        self._voice: Callable[[int], bytes] | None = None
        self._step, self._ticks, self._tick = codec.step, codec.ticks, 0
        self._remote: tuple[str, int] = ("", 0)
        self._remote_control: tuple[str, int] = ("", 0)
        self._remote_key: bytes | None = None
        self._out: Session | None = None
        self._in: Session | None = None
        self._ssrc = random.getrandbits(32)
        self._sequence = random.getrandbits(15)
        self._timestamp = random.getrandbits(31)
        self._sent = self._failures = self._replayed = self._malformed = self._stun = 0
        self._reports = [0, 0]
        self._peer: rtp.ReportBlock | None = None
        self._round_trip_ms: float | None = None
        self._last_report = (0, 0.0)
        self._watchers = [
            engine.watch(self._rtp, self._readable),
            engine.watch(self._rtcp, self._control_readable),
        ]
        self._final: MediaFigures | None = None

    def start(self, remote: Description) -> None:
        """Send to `remote` as it describes itself; also after it has described itself again."""
        if self._final:
            return
        if self.encrypted and self._out is None:
            self._out = Session(Policy(key=self.key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        if remote.key != self._remote_key:
            self._remote_key = remote.key
            self._in = (
                Session(Policy(key=remote.key, ssrc_type=Policy.SSRC_ANY_INBOUND)) if remote.key else None
            )
        self._remote = (remote.address, remote.port)
        self._remote_control = (remote.address, remote.control_port)
        if self._voice is None or remote.payloads[0] != self.payload_type:
            self.payload_type = remote.payloads[0]
            self._voice = self.codec.voice(self._speaker, self._hz, self.payload_type)
        sends = remote.direction in ("sendrecv", "recvonly") and remote.port > 0
        if sends and not self.sending:
            self._engine.add(self)
        elif self.sending and not sends:
            self._engine.remove(self)
        self.sending = sends
        if not sends and not self._sent:
            self._keep_open()
        if self.slot < 0:
            self._engine.wheel.at(time.monotonic() + REPORT_S * random.uniform(0.25, 0.75), self)

    @property
    def remote_port(self) -> int:
        """Where the other side wants its media."""
        return self._remote[1]

    def stop(self) -> MediaFigures:
        """End it; what it came to."""
        if self._final is None:
            if self.sending:
                self._engine.remove(self)
            self._engine.wheel.forget(self)
            self._final = self.figures()
            for watcher in self._watchers:
                watcher.stop()
                watcher.close()
            self._rtp.close()
            self._rtcp.close()
            self._out = self._in = None
        return self._final

    def figures(self) -> MediaFigures:
        """What it has come to so far."""
        if self._final:
            return self._final
        peer = self._peer
        return MediaFigures(
            self._sent,
            self.reception.received,
            self.reception.lost,
            round(self.reception.jitter_ms, 3),
            self._failures,
            self._replayed,
            self._malformed,
            self._stun,
            self.listener.heard,
            self.listener.other,
            self.listener.out_of_order,
            self.listener.speakers,
            self._reports[0],
            self._reports[1],
            peer.lost if peer else None,
            round(peer.jitter_ms, 3) if peer else None,
            self._round_trip_ms,
            self._remote_key is not None,
        )

    def heard_tone(self, hz: int) -> HeardAudio:
        """Whether a phone's tone was in the last of what was not an agent's signal."""
        return audio.hear(signal.decode(b"".join(self.other[-KEPT:]), self.payload_type), hz)

    def send(self) -> None:
        """Send the next packet, where it is its turn."""
        if self._ticks > 1:
            self._tick = (self._tick + 1) % self._ticks
            if self._tick:
                return
        self._sequence = sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = timestamp = (self._timestamp + self._step) & 0xFFFFFFFF
        voice = self._voice
        if voice is None:
            return
        header = HEADER.pack(0x80, self.payload_type, sequence, timestamp, self._ssrc)
        self._send(header + voice(sequence))
        self._sent += 1

    def _keep_open(self) -> None:
        """Where nothing is sent, a NAT on the way forgets whom to let in, or never knew (RFC 6263 section
        4.6: a packet of a payload type that nobody has agreed upon)."""
        if self._remote[1]:
            self._sequence = sequence = (self._sequence + 1) & 0xFFFF
            self._send(HEADER.pack(0x80, KEEP_ALIVE, sequence, self._timestamp, self._ssrc))

    def _send(self, packet: bytes) -> None:
        if self._out is not None:
            packet = self._out.protect(packet)
        try:
            self._rtp.sendto(packet, self._remote)
        except OSError:  # ICMP told of an earlier one, or no room: lost, as the receiver will see
            self._engine.unsent += 1

    def on_time(self, now: float) -> float | None:
        """Send a report (RFC 3550 section 6.4); the time of the next one."""
        if self._final:
            return None
        if not self.sending:
            self._keep_open()
        block = b""
        if self.reception.received:
            middle, when = self._last_report
            delay = min(int((now - when) * 65536), 0xFFFFFFFF) if middle else 0
            block = self.reception.block(middle, delay)
        sent = (
            (rtp.ntp(), self._timestamp, self._sent, self._sent * self.codec.payload_bytes)
            if self._sent
            else None
        )
        packet = rtp.report(self._ssrc, f"load@{self.address}", block, sent)
        try:
            if self._out is not None:
                packet = self._out.protect_rtcp(packet)
            self._rtcp.sendto(packet, self._remote_control)
            self._reports[0] += 1
        except OSError:
            self._engine.unsent += 1
        return now + REPORT_S * random.uniform(0.5, 1.5)

    def _readable(self) -> None:
        try:
            packet, ancillary, _, _ = self._rtp.recvmsg(2048, 64)
        except OSError:
            return
        arrived = ancillary[0][2] if ancillary else b""
        if self._in is not None:
            try:
                packet = self._in.unprotect(packet)
            except (Error, ValueError) as error:
                self._refuse(packet, error)
                return
        elif self.encrypted:  # before the other side has told its key
            return
        if len(packet) < 12 or packet[0] & 0xC0 != 0x80:
            self._refuse(packet)
            return
        first, kind, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
        if kind & 0x7F not in (*self.codec.payloads, KEEP_ALIVE):
            return
        if len(arrived) == 16:
            seconds, nanoseconds = _TIMESPEC.unpack(arrived)
            at = seconds + nanoseconds * 1e-9
        else:
            at = time.time()
        ahead = self.reception.packet(ssrc, sequence, timestamp, at)
        if kind & 0x7F == KEEP_ALIVE:
            return
        payload = packet[12:] if first == 0x80 else packet[12 + 4 * (first & 0x0F) :]
        if not self.listener.hear(payload, ahead):
            self.other.append(payload)
            if len(self.other) > 2 * KEPT:
                del self.other[:KEPT]

    def _control_readable(self) -> None:
        try:
            packet = self._rtcp.recv(2048)
        except OSError:
            return
        if self._in is not None:
            try:
                packet = self._in.unprotect_rtcp(packet)
            except (Error, ValueError) as error:
                self._refuse(packet, error)
                return
        now = time.monotonic()
        middle, blocks = rtp.blocks_of(packet, self.codec.clock_hz)
        if middle is None and not blocks:
            return
        self._reports[1] += 1
        if middle is not None:
            self._last_report = (middle, now)
        for block in blocks:
            if block.ssrc == self._ssrc:
                self._peer = block
                if block.last_sender_report:
                    passed = ((rtp.ntp() >> 16) - block.last_sender_report) & 0xFFFFFFFF
                    self._round_trip_ms = round(max(passed / 65536 - block.delay_s, 0.0) * 1000, 2)

    def _refuse(self, packet: bytes, error: Exception | None = None) -> None:
        """Count what is not taken, by what it is; `error`: what libsrtp says of it."""
        if len(packet) >= 20 and packet[0] < 4 and packet[4:8] == STUN_COOKIE:
            self._stun += 1
        elif "replay" in str(error):
            self._replayed += 1
        elif "authentication" in str(error):
            self._failures += 1
        else:
            self._malformed += 1
