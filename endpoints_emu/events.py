"""What happens at a phone, in order, with waiting that misses nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from enum import StrEnum

from uclab.records.run import Event
from uclab.runtime.readiness import patient


class PhoneEventKind(StrEnum):
    """Kinds of events, as they are written to `events.jsonl`."""

    REGISTERED = "registered"
    REGISTRATION_FAILED = "registration-failed"
    FLOW_FAILED = "flow-failed"
    """The connection of a registration was lost: reset, or silent for too long (RFC 5626 section 4.4)."""
    UNREGISTERED = "unregistered"
    """A registration was taken back because there is a better one."""
    INCOMING = "call-incoming"
    RINGING = "call-ringing"
    ESTABLISHED = "call-established"
    HELD = "call-held"
    RESUMED = "call-resumed"
    HELD_BY_PEER = "call-held-by-peer"
    RESUMED_BY_PEER = "call-resumed-by-peer"
    TRANSFERRED = "call-transferred"
    TRANSFER_FAILED = "call-transfer-failed"
    CLOSED = "call-closed"
    DTMF = "dtmf"
    MESSAGE = "message-received"
    RECEIPT = "message-receipt"
    """A message of its own that had to wait was delivered, or refused for good (RFC 5438)."""
    DIED = "phone-died"


class Refusal(StrEnum):
    """Why a registration failed."""

    CERTIFICATE = "tls-certificate-refused"
    """The phone refused the server's certificate: unknown issuer, wrong name, out of date."""
    TLS = "tls-failed"
    """The handshake failed otherwise, e.g. no common version."""
    CREDENTIALS = "credentials-refused"
    """401, 403 or 407 (RFC 3261 §22)."""
    REJECTED = "rejected"
    """Any other final SIP response."""
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    """No TCP connection: refused, no route, reset."""
    NAME = "name-not-resolved"


@dataclass(frozen=True)
class MessageAnswer:
    """The final response to a text message (RFC 3428)."""

    status: int
    """200: its recipient has it. 202: it is kept until its recipient can be reached."""
    call_id: str
    """By which a receipt names the message."""


@dataclass(frozen=True)
class PhoneEvent:
    """Something that happened at a phone."""

    time: float
    """Seconds since the epoch."""
    endpoint: str
    kind: PhoneEventKind
    detail: str = ""
    leg: str | None = None
    """`CallLeg.id`, where it concerns a call."""
    refusal: Refusal | None = None
    sip_call_id: str | None = None
    setup_ms: float | None = None
    """On `ESTABLISHED` at the caller: from INVITE to 200 OK."""
    registrar: str | None = None
    """Host name of the registrar, where it concerns a registration."""
    about_message: str | None = None
    """On `MESSAGE`: the SIP URI of who sent it; its text is the detail. On `RECEIPT`: the Call-ID of the
    message that it is for."""

    def record(self) -> Event:
        """As the run's record of events keeps it; a refused certificate has a kind of its own."""
        kind = "tls-refused" if self.refusal is Refusal.CERTIFICATE else self.kind.value
        parts = (self.refusal and self.refusal.value, self.sip_call_id, self.detail)
        return Event(
            time=self.time,
            source=self.endpoint,
            kind=kind,
            detail=" ".join(part for part in parts if part),
            about=self.sip_call_id or self.registrar or self.about_message or "",
        )


class EventLog:
    """All events of a phone since its start."""

    def __init__(self, endpoint: str) -> None:
        self.history: list[PhoneEvent] = []
        self._endpoint = endpoint
        self._changed = asyncio.Event()

    def publish(
        self,
        kind: PhoneEventKind,
        detail: str = "",
        *,
        leg: str | None = None,
        refusal: Refusal | None = None,
        sip_call_id: str | None = None,
        setup_ms: float | None = None,
        registrar: str | None = None,
        about_message: str | None = None,
    ) -> None:
        """Add an event of now and wake all who wait."""
        now, me = time.time(), self._endpoint
        event = PhoneEvent(
            now, me, kind, detail, leg, refusal, sip_call_id, setup_ms, registrar, about_message
        )
        self.history.append(event)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def follow(self, since: int = 0) -> AsyncIterator[PhoneEvent]:
        """Events from number `since` on, without end."""
        while True:
            changed = self._changed
            for event in self.history[since:]:
                since += 1
                yield event
            if since == len(self.history):
                await changed.wait()

    async def first(
        self, kinds: Collection[PhoneEventKind], *, deadline_s: float, leg: str | None = None, since: int = 0
    ) -> PhoneEvent:
        """The first event of those kinds from number `since` on (of that leg, where one is given).

        `DIED` concerns every leg. Raises `TimeoutError` after the deadline.
        """
        async with asyncio.timeout(patient(deadline_s)):
            async for event in self.follow(since):
                if event.kind in kinds and (
                    leg is None or event.leg == leg or event.kind is PhoneEventKind.DIED
                ):
                    return event
        raise AssertionError("the log of events has no end")
