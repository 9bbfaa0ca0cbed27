"""The driver of one baresip: commands, and events in the lab's terms."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Literal

from endpoints_emu.baresip import configuration, messages
from endpoints_emu.baresip.afterwards import Afterwards
from endpoints_emu.baresip.configuration import INSIDE, RECEIVED, Settings, account_line
from endpoints_emu.baresip.control import Control, Message
from endpoints_emu.baresip.log import NewWords
from endpoints_emu.baresip.text_messages import TextMessages
from endpoints_emu.phone import (
    CallFailed,
    CallLeg,
    CommandRefused,
    LegState,
    MessageAnswer,
    Phone,
    PhoneError,
    PhoneEventKind,
    Refusal,
    Statistics,
    target_uri,
)
from uclab.plan.schema.plan import Endpoint
from uclab.runtime.node import NodeRuntime
from uclab.runtime.readiness import patient, wait_until

_HELD_DIRECTIONS = ("recvonly", "inactive")
"""`remoteaudiodir` of an event, as seen from this side, while the other side holds the call."""


class BaresipPhone(Phone):
    """A desk phone or a trunk peer."""

    leftovers_s = configuration.LEFTOVERS_S

    def __init__(self, endpoint: Endpoint, runtime: NodeRuntime, folder: Path, settings: Settings) -> None:
        super().__init__(endpoint)
        self._runtime = runtime
        self._folder = folder.absolute()
        self._settings = settings
        self._log = self._folder / "baresip.log"
        self._words = NewWords(self._log)
        self._process: asyncio.subprocess.Process | None = None
        self._control: Control | None = None
        self._afterwards = Afterwards()
        self._selection = asyncio.Lock()
        self._texts = TextMessages(self.name, self._command, self.events)
        self._rtcp: dict[str, Message] = {}
        self._stopping = False

    async def start(self, deadline_s: float = 20.0) -> None:
        argv = configuration.write_configuration(self.endpoint, self._folder, self._settings)
        self._process = await self._runtime.spawn(
            argv, name=self.name, log=self._log, root="device", writable={INSIDE: self._folder}
        )
        await self.attach(deadline_s)

    async def attach(self, deadline_s: float = 20.0) -> None:
        """Take control of a baresip that others started from `write_configuration` (the PSTN peer's
        container)."""

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
            if self._process and self._process.returncode is not None:
                raise PhoneError(f"{self.name}: baresip ended at its start, see {self._log}")
            return await self._runtime.connect_tcp("127.0.0.1", self._settings.control_port)

        connection = await wait_until(
            connect, what=f"{self.name}: baresip's control port", deadline_s=deadline_s
        )
        self._control = Control(self.name, connection, self._on_event, self._on_end)
        for number in configuration.standing_accounts(self.endpoint, self._settings):
            await self._command("uanew", account_line(self.endpoint, number))

    async def stop(self) -> None:
        self._stopping = True
        self._keeper.stop()
        self._afterwards.cancel()
        if self._control:
            with contextlib.suppress(PhoneError):
                await self._control.command("quit", deadline_s=2.0)
        if self._process:
            try:
                async with asyncio.timeout(2.0):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._control:
            await self._control.close()

    async def send_register(self) -> None:
        if not self.endpoint.registers:
            raise PhoneError(f"{self.name}: does not register (trunk peer)")
        self._keeper.stop()
        await self._command("uadelall")
        for registrar in self.endpoint.registrars:
            await self._command("uanew", account_line(self.endpoint, registrar=registrar))
        self._keeper.start()

    async def _register_at(self, registrar: int) -> None:
        self._words.mark()
        await self._command("register", str(registrar))

    async def _unregister_at(self, registrar: int) -> None:
        await self._command("unregister", str(registrar))

    async def call(self, target: str, *, line: int | None = None) -> CallLeg:
        """As `Phone.call`; `line` picks the number to call from, where a trunk peer owns several.
        A phone calls by the registrar that it is registered at."""
        if line is None and self.endpoint.registers:
            line = self._keeper.current
        uri = target_uri(self.endpoint, target)
        self._words.mark()
        began = time.monotonic()
        answer = await self._command("dial", uri if line is None else f"{uri} {line}")
        leg_id = messages.call_id(answer)
        if leg_id is None:
            raise CallFailed(f"{self.name}: call to {uri}: {answer.strip()}")
        state = self._leg(leg_id, "outgoing", uri)
        state.began = began
        return state.leg

    async def answer(self, leg: CallLeg) -> None:
        await self._command("accept", leg.id)

    async def hold(self, leg: CallLeg, deadline_s: float = 5.0) -> None:
        await self._modify(leg, "hold", deadline_s)
        self._state(leg).held = True
        self.events.publish(PhoneEventKind.HELD, leg=leg.id, sip_call_id=leg.sip_call_id)

    async def resume(self, leg: CallLeg, deadline_s: float = 5.0) -> None:
        await self._modify(leg, "resume", deadline_s)
        state = self._state(leg)
        state.held = False
        self.events.publish(PhoneEventKind.RESUMED, leg=leg.id, sip_call_id=leg.sip_call_id)
        await self._record(state)

    async def send_transfer(self, leg: CallLeg, uri: str) -> None:
        async with self._selection:
            await self._command("callfind", leg.id)
            await self._command("transfer", uri)

    async def dtmf(self, leg: CallLeg, digits: str) -> None:
        async with self._selection:
            await self._command("callfind", leg.id)
            await self._command("sndcode", digits)

    async def send_message(self, target: str, text: str, deadline_s: float = 10.0) -> MessageAnswer:
        account = self._keeper.current if self.endpoint.registers else 0
        return await self._texts.send(account or 0, target_uri(self.endpoint, target), text, deadline_s)

    async def hang_up(self, leg: CallLeg) -> None:
        if not self._state(leg).closed:
            with contextlib.suppress(CommandRefused):  # it ended while we asked
                await self._command("hangup", leg.id)

    async def statistics(self, leg: CallLeg) -> Statistics:
        state = self._state(leg)
        if not state.closed:
            async with self._selection:
                await self._command("callfind", leg.id)
                state.statistics = messages.statistics(
                    await self._command("audio_debug"), state.srtp_suite, self._rtcp.get(leg.id)
                )
        return state.statistics

    async def _command(self, name: str, parameters: str | None = None) -> str:
        if self._control is None:
            raise PhoneError(f"{self.name}: {name}: the phone has not been started")
        return await self._control.command(name, parameters)

    async def _modify(self, leg: CallLeg, command: Literal["hold", "resume"], deadline_s: float) -> None:
        """Send a re-INVITE and wait for its answer, which baresip tells as a further `CALL_ANSWERED`."""
        state = self._state(leg)
        state.answered.clear()
        try:
            await self._command(command, leg.id)
        except CommandRefused as refusal:
            # `resume` also tries to hold the active call; where there is none, it reports failure (1.1.0)
            if command == "hold" or "Invalid argument" not in str(refusal):
                raise
        try:
            async with asyncio.timeout(patient(deadline_s)):
                await state.answered.wait()
        except TimeoutError:
            raise CallFailed(f"{self.name}: {command} of {leg.peer}: no answer in {deadline_s:g} s") from None

    def _leg(self, leg_id: str, direction: Literal["outgoing", "incoming"], peer: str) -> LegState:
        """The state of a leg, made where it is new."""
        if leg_id not in self._legs:
            self._legs[leg_id] = LegState(CallLeg(self.name, leg_id, leg_id, direction, peer))
        return self._legs[leg_id]

    def _on_end(self, reason: str) -> None:
        self._keeper.stop()
        if not self._stopping:
            code = self._process.returncode if self._process else None
            self.events.publish(PhoneEventKind.DIED, f"{reason} (exit status {code})")

    def _on_event(self, message: Message) -> None:
        kind, parameter = str(message.get("type")), str(message.get("param", ""))
        if "message" in message:
            self._texts.on_message(message)
        elif kind == "MODULE":
            if outcome := messages.registration_outcome(parameter):
                self._on_registration(outcome)
            self._texts.on_module(parameter)
        elif "id" in message:
            incoming = message.get("direction") == "incoming"
            peer = str(message.get("peeruri", ""))
            state = self._leg(str(message["id"]), "incoming" if incoming else "outgoing", peer)
            self._on_call_event(kind, state, parameter, message)

    def _on_registration(self, outcome: messages.RegistrationOutcome) -> None:
        if outcome.accepted:
            self._keeper.accepted(outcome.registrar, outcome.text)
            return
        log = self._words.read()
        refusal = messages.registration_refusal(outcome.text, log)
        self._keeper.failed(outcome.registrar, refusal, messages.certificate_error(log) or outcome.text)

    def _on_call_event(self, kind: str, state: LegState, parameter: str, message: Message) -> None:
        leg = state.leg
        publish = self.events.publish
        if kind == "CALL_INCOMING":
            publish(PhoneEventKind.INCOMING, leg.peer, leg=leg.id, sip_call_id=leg.sip_call_id)
            if self.auto_answer:
                self._afterwards.do(self.answer(leg))
        elif kind in ("CALL_RINGING", "CALL_PROGRESS"):
            publish(PhoneEventKind.RINGING, leg=leg.id, sip_call_id=leg.sip_call_id)
        elif kind == "CALL_ANSWERED":
            state.answered.set()
        elif kind == "CALL_ESTABLISHED":
            state.established = True
            setup_ms = 1000 * (time.monotonic() - state.began) if leg.direction == "outgoing" else None
            publish(
                PhoneEventKind.ESTABLISHED,
                leg.peer,
                leg=leg.id,
                sip_call_id=leg.sip_call_id,
                setup_ms=setup_ms,
            )
            self._afterwards.do(self._record(state))
        elif kind == "CALL_REMOTE_SDP" and parameter == "offer" and state.established:
            self._on_offer(state, str(message.get("remoteaudiodir")))
        elif kind == "CALL_RTCP":
            self._rtcp[leg.id] = message.get("rtcp_stats", {})
        elif kind == "CALL_MENC":
            state.srtp_suite = parameter.rpartition(",")[2] or None
        elif kind == "CALL_DTMF_START":
            publish(PhoneEventKind.DTMF, parameter, leg=leg.id)
        elif kind == "TRANSFER_FAILED":
            publish(PhoneEventKind.TRANSFER_FAILED, parameter, leg=leg.id)
            self._on_closed(state, "transfer failed")  # baresip 1.1.0 drops the leg with it
        elif kind == "CALL_CLOSED":
            if parameter == "Call transfered":  # so spelt
                publish(PhoneEventKind.TRANSFERRED, leg=leg.id, sip_call_id=leg.sip_call_id)
            self._on_closed(state, parameter)

    def _on_offer(self, state: LegState, direction: str) -> None:
        """The other side's re-INVITE: hold, or back from it (RFC 3264 §8.4)."""
        held = direction in _HELD_DIRECTIONS
        if held != state.held_by_peer:
            state.held_by_peer = held
            kind = PhoneEventKind.HELD_BY_PEER if held else PhoneEventKind.RESUMED_BY_PEER
            self.events.publish(kind, leg=state.leg.id, sip_call_id=state.leg.sip_call_id)
            if not held:
                self._afterwards.do(self._record(state))

    def _on_closed(self, state: LegState, reason: str) -> None:
        state.closed = True
        distrust = None
        if not state.established and messages.is_protocol_error(reason):
            distrust = messages.certificate_error(self._words.read())
        detail = f"server's certificate refused: {distrust}" if distrust else reason
        self._afterwards.do(self._close(state.leg, detail, Refusal.CERTIFICATE if distrust else None))

    async def _close(self, leg: CallLeg, detail: str, refusal: Refusal | None) -> None:
        """Tell of a leg's end when its recording is complete: baresip tells first, then closes the file, then
        takes commands again."""
        with contextlib.suppress(PhoneError):
            await self._command("listcalls")
        self.events.publish(
            PhoneEventKind.CLOSED, detail, leg=leg.id, sip_call_id=leg.sip_call_id, refusal=refusal
        )

    async def _record(self, state: LegState) -> None:
        """Record what a leg receives, in a new file; a recording ends by itself at the leg's end and at a
        hold."""
        number = list(self._legs).index(state.leg.id) + 1  # a Call-ID may hold any character
        name = f"{number}-{len(state.recordings) + 1}.wav"
        state.recordings.append(self._folder / RECEIVED / name)
        await self._command("record", f"{state.leg.id} {INSIDE}/{RECEIVED}/{name}")
