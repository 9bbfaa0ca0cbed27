"""What both sides of a call agree upon (RFC 3264): descriptions, their media, and holding."""

from __future__ import annotations

from typing import Any

import gevent

from endpoints_emu.load import sdp
from endpoints_emu.load.dialog import Dialog, LocalUser
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.measures import MediaFigures
from endpoints_emu.load.media import MediaSession
from endpoints_emu.load.message import MalformedMessage
from endpoints_emu.load.request import ALLOW
from endpoints_emu.load.transactions import Peer

UNUSED_PORT = 40000
"""The port in descriptions of calls without media."""
UNUSED_KEY = bytes(sdp.KEY_BYTES)


class Negotiation(Dialog):
    """The part of a call that has media, or says so."""

    def __init__(self, agent: LocalUser, connection: Any, peer: Peer, media: bool) -> None:
        super().__init__(agent, connection, peer)
        self.held = self.held_by_peer = False
        self.offers = 0
        """How often either side has described its media again."""
        self.offer_here = False
        """The offer was ours, and its answer comes with the ACK."""
        self.with_media = media
        self.media: MediaSession | None = None
        self._version = 0
        self._direction: sdp.Direction = "sendrecv"

    def hold(self) -> None:
        """Put the other side on hold (RFC 3264 section 8.4). Raises `CallFailed`."""
        self._offer("sendonly")
        self.held = True

    def resume(self) -> None:
        """Take it off hold again. Raises `CallFailed`."""
        self._offer("sendrecv")
        self.held = False

    def figures(self) -> MediaFigures:
        """What its media has come to."""
        return self.media.figures() if self.media else MediaFigures()

    def description(self) -> sdp.Description:
        """This side's description; it opens the media's ports the first time."""
        agent, codec = self.agent, self.stack.codec
        self._version += 1
        if not self.with_media:
            key = UNUSED_KEY if agent.encrypted else None
            return sdp.Description(
                agent.local_address, UNUSED_PORT, codec.payloads, key=key, version=self._version
            )
        if self.media is None:
            self.media = MediaSession(
                self.stack.media, agent.local_address, agent.speaker, agent.tone_hz, agent.encrypted, codec
            )
        key = self.media.key if agent.encrypted else None
        return sdp.Description(
            agent.local_address,
            self.media.port,
            codec.payloads,
            self._direction,
            key,
            version=self._version,
            packet_ms=codec.packet_ms,
        )

    def start_media(self, remote: sdp.Description) -> None:
        """Send and receive as the other side describes itself. Raises `WrongDescription`."""
        if self.media is not None:
            if not remote.payloads or (remote.key is None) == self.agent.encrypted:
                raise sdp.WrongDescription("the other side's media does not fit ours")
            self.held_by_peer = remote.direction in ("sendonly", "inactive")
            self.media.start(remote)

    def finish_media(self) -> None:
        """Send and receive no more."""
        if self.media is not None:
            self.media.stop()

    def fields(self) -> str:
        """Of every request and response that describes media: where this side is, and what it knows."""
        return f"Contact: {self.agent.contact}\r\nAllow: {ALLOW}\r\n"

    def _offer(self, direction: sdp.Direction) -> None:
        """Describe our side again by re-INVITE. Raises `CallFailed`."""
        if self.state != "established":
            raise CallFailed(0, "the call does not stand")
        before, self._direction = self._direction, direction
        self.offers += 1
        rest = self.fields() + "Content-Type: application/sdp\r\n"
        try:
            with gevent.Timeout(self.stack.timing.timeout_s):
                final = self.ask("INVITE", rest, self.description().render())
            if final is None or final.status >= 300:
                raise CallFailed(final.status if final else 0, f"{direction} refused")
            self.take_contact(final)
            self.acknowledge(final.cseq)
            self.start_media(sdp.parse(final.body))
        except (CallFailed, gevent.Timeout, sdp.WrongDescription, MalformedMessage) as error:
            self._direction = before
            if isinstance(error, CallFailed):
                raise
            raise CallFailed(0, f"{direction}: {error}") from None
