"""The one interface to every phone: start, register, call, answer, hold, resume, transfer, hang up, DTMF,
messages, statistics, events.

Drivers (`endpoints_emu.baresip`) implement it with real user agents. All that waits has a deadline.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from endpoints_emu import audio
from endpoints_emu.errors import CallFailed, CommandRefused, PhoneDied, PhoneError, RegistrationFailed
from endpoints_emu.events import EventLog, MessageAnswer, PhoneEvent, PhoneEventKind, Refusal
from endpoints_emu.registration import RegistrationKeeper
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import HeardAudio

__all__ = [
    "CallFailed",
    "CallLeg",
    "CommandRefused",
    "MessageAnswer",
    "Phone",
    "PhoneDied",
    "PhoneError",
    "PhoneEvent",
    "PhoneEventKind",
    "Refusal",
    "RegistrationFailed",
    "Statistics",
    "target_uri",
]


@dataclass(frozen=True)
class CallLeg:
    """One endpoint's side of a call."""

    endpoint: str
    id: str
    """The user agent's own name for the leg."""
    sip_call_id: str
    direction: Literal["outgoing", "incoming"]
    peer: str
    """SIP URI of the other side."""


@dataclass(frozen=True)
class Statistics:
    """RTP as the phone sees it (RFC 3550 §6.4.1). None: the phone does not know (yet)."""

    codec: str | None = None
    srtp_suite: str | None = None
    """E.g. `AES_CM_128_HMAC_SHA1_80`; None where media is not encrypted."""
    sent_packets: int | None = None
    received_packets: int | None = None
    received_lost: int | None = None
    """Packets that the other side sent and this one missed."""
    sent_lost: int | None = None
    """Packets that this side sent and the other reported missing (RTCP)."""
    received_jitter_ms: float | None = None
    sent_jitter_ms: float | None = None
    round_trip_ms: float | None = None


@dataclass
class LegState:
    """What a driver knows of a leg while it lives, and after."""

    leg: CallLeg
    began: float = field(default_factory=time.monotonic)
    established: bool = False
    held: bool = False
    held_by_peer: bool = False
    closed: bool = False
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a re-INVITE of ours was answered."""
    srtp_suite: str | None = None
    statistics: Statistics = field(default_factory=Statistics)
    recordings: list[Path] = field(default_factory=list)


def target_uri(endpoint: Endpoint, target: str) -> str:
    """The SIP URI of a dialled number (extension or E.164), or the URI itself where one was given."""
    return target if target.startswith("sip:") else f"sip:{target}@{endpoint.account.domain}"


class Phone(ABC):
    """A phone or softclient. Not thread-safe: one event loop owns it."""

    leftovers_s: ClassVar[float] = 0.0
    """As of `RegistrationKeeper`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.events = EventLog(endpoint.name)
        self.auto_answer = False
        """Answer every call that comes in at once (200 after 180)."""
        self._legs: dict[str, LegState] = {}
        self._keeper = RegistrationKeeper(
            endpoint.registrars,
            endpoint.registration,
            self.events,
            endpoint.name,
            register=self._register_at,
            unregister=self._unregister_at,
            in_call=lambda: bool(self.legs()),
            refused=(PhoneError,),
            leftovers_s=self.leftovers_s,
        )

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def registered_at(self) -> tuple[str, ...]:
        """Host names of the registrars that it is registered at, as far as it knows."""
        return self._keeper.registered_at

    @abstractmethod
    async def start(self, deadline_s: float = 20.0) -> None:
        """Start the user agent and wait until it can be controlled. Raises `NotReady` or `PhoneDied`."""

    @abstractmethod
    async def stop(self) -> None:
        """Unregister, end all calls, end the process. Never raises for a phone that is already dead."""

    @abstractmethod
    async def send_register(self) -> None:
        """Begin to register, and keep it so; what comes of it are events."""

    async def _register_at(self, registrar: int) -> None:
        """Send REGISTER to the registrar of that place in the endpoint's list; its outcome goes to
        `_keeper`."""
        raise PhoneError(f"{self.name}: does not register")

    async def _unregister_at(self, registrar: int) -> None:
        """Take the registration back at the registrar of that place."""
        raise PhoneError(f"{self.name}: does not register")

    @abstractmethod
    async def call(self, target: str) -> CallLeg:
        """Send INVITE to an extension, an E.164 number or a SIP URI; returns at once. See `established`."""

    @abstractmethod
    async def answer(self, leg: CallLeg) -> None:
        """Accept a call that rings (200 OK)."""

    @abstractmethod
    async def hold(self, leg: CallLeg, deadline_s: float = 5.0) -> None:
        """Put the other side on hold (re-INVITE, RFC 3264 §8.4); returns when it agreed. Raises
        `CallFailed`."""

    @abstractmethod
    async def resume(self, leg: CallLeg, deadline_s: float = 5.0) -> None:
        """Take the other side off hold again; returns when it agreed. Raises `CallFailed`."""

    @abstractmethod
    async def send_transfer(self, leg: CallLeg, uri: str) -> None:
        """Send REFER; what comes of it is an event. See `transfer`."""

    @abstractmethod
    async def dtmf(self, leg: CallLeg, digits: str) -> None:
        """Send `0-9*#A-D` as RTP events (RFC 4733)."""

    async def send_message(self, target: str, text: str, deadline_s: float = 10.0) -> MessageAnswer:
        """Send a text message (RFC 3428) to an extension or a SIP URI; its final response.
        Raises `PhoneError`, also where none came by the deadline."""
        raise PhoneError(f"{self.name}: sends no messages")

    @abstractmethod
    async def hang_up(self, leg: CallLeg) -> None:
        """End a leg: BYE, CANCEL or a rejection. Nothing where it has already ended."""

    @abstractmethod
    async def statistics(self, leg: CallLeg) -> Statistics:
        """RTP and RTCP counters as the phone sees them; after the end, the last that were seen."""

    async def register(self, deadline_s: float = 10.0) -> PhoneEvent:
        """Register and wait for the outcome. Raises `RegistrationFailed`, also when the deadline passes, or
        `PhoneDied`."""
        since = len(self.events.history)
        await self.send_register()
        try:
            event = await self.events.first(
                {PhoneEventKind.REGISTERED, PhoneEventKind.REGISTRATION_FAILED, PhoneEventKind.DIED},
                deadline_s=deadline_s,
                since=since,
            )
        except TimeoutError:
            server = f"{self.endpoint.registrar}:{self.endpoint.registrar_port}"
            message = f"{self.name}: no answer from {server} in {deadline_s:g} s"
            raise RegistrationFailed(message, Refusal.TIMEOUT) from None
        self._raise_if_dead(event)
        if event.kind is PhoneEventKind.REGISTRATION_FAILED:
            refusal = event.refusal or Refusal.REJECTED
            raise RegistrationFailed(
                f"{self.name}: registration at {self.endpoint.registrar} failed ({refusal}): {event.detail}",
                refusal,
            )
        return event

    async def established(self, leg: CallLeg, deadline_s: float = 10.0) -> PhoneEvent:
        """Wait until the call is answered; the event carries the set-up time. Raises `CallFailed` or
        `PhoneDied`."""
        event = await self._outcome(
            leg, {PhoneEventKind.ESTABLISHED, PhoneEventKind.CLOSED}, deadline_s, "no answer"
        )
        if event.kind is PhoneEventKind.CLOSED:
            raise CallFailed(f"{self.name}: call with {leg.peer} failed: {event.detail}")
        return event

    async def transfer(self, leg: CallLeg, target: str, deadline_s: float = 10.0) -> None:
        """Blind transfer (REFER, RFC 3515, RFC 5589); returns when the target answered. Raises
        `CallFailed`."""
        since = len(self.events.history)
        await self.send_transfer(leg, target_uri(self.endpoint, target))
        event = await self._outcome(
            leg,
            {PhoneEventKind.TRANSFERRED, PhoneEventKind.TRANSFER_FAILED, PhoneEventKind.CLOSED},
            deadline_s,
            f"transfer to {target} without outcome",
            since=since,
        )
        if event.kind is not PhoneEventKind.TRANSFERRED:
            raise CallFailed(f"{self.name}: transfer of {leg.peer} to {target} failed: {event.detail}")

    async def closed(self, leg: CallLeg, deadline_s: float = 5.0) -> PhoneEvent:
        """Wait until the leg has ended and its recording is complete."""
        return await self._outcome(leg, {PhoneEventKind.CLOSED}, deadline_s, "has not ended")

    async def incoming(self, deadline_s: float = 10.0, *, since: int = 0) -> CallLeg:
        """The first call that came in after event number `since` (`len(events.history)` before). Raises
        `CallFailed`."""
        try:
            event = await self.events.first(
                {PhoneEventKind.INCOMING, PhoneEventKind.DIED}, deadline_s=deadline_s, since=since
            )
        except TimeoutError:
            raise CallFailed(f"{self.name}: no call came in within {deadline_s:g} s") from None
        self._raise_if_dead(event)
        return self._legs[event.leg or ""].leg

    def recordings(self, leg: CallLeg) -> tuple[Path, ...]:
        """What was received, in order: one WAV, and a further one after each hold. Complete once the leg has
        closed."""
        return tuple(path for path in self._state(leg).recordings if path.exists())

    def save_recording(self, leg: CallLeg, path: Path) -> Path:
        """Join what was received to one WAV at `path`, e.g. `endpoints/desk1/<call id>.wav`."""
        audio.join(self.recordings(leg), path)
        return path

    def heard(
        self, leg: CallLeg, expected_hz: int, *, part: int = -1, seconds: float | None = None
    ) -> HeardAudio:
        """Whether the tone of the far end arrived, in the last recording of the leg or in another `part` of
        it."""
        parts = self.recordings(leg)
        if not -len(parts) <= part < len(parts):
            return HeardAudio(expected_hz=expected_hz, heard=False)
        return audio.listen(parts[part], expected_hz, seconds=seconds)

    def legs(self) -> tuple[CallLeg, ...]:
        """Legs that have not ended."""
        return tuple(state.leg for state in self._legs.values() if not state.closed)

    def _state(self, leg: CallLeg) -> LegState:
        try:
            return self._legs[leg.id]
        except KeyError:
            raise CallFailed(f"{self.name}: no leg {leg.id}; it belongs to {leg.endpoint}") from None

    async def _outcome(
        self, leg: CallLeg, kinds: set[PhoneEventKind], deadline_s: float, otherwise: str, *, since: int = 0
    ) -> PhoneEvent:
        """The first event of those kinds on the leg; `CallFailed` after the deadline, `PhoneDied` if the
        phone dies."""
        try:
            event = await self.events.first(
                kinds | {PhoneEventKind.DIED}, leg=leg.id, deadline_s=deadline_s, since=since
            )
        except TimeoutError:
            raise CallFailed(f"{self.name}: call with {leg.peer}: {otherwise} in {deadline_s:g} s") from None
        if PhoneEventKind.DIED not in kinds:
            self._raise_if_dead(event)
        return event

    def _raise_if_dead(self, event: PhoneEvent) -> None:
        if event.kind is PhoneEventKind.DIED:
            raise PhoneDied(f"{self.name}: {event.detail}")
