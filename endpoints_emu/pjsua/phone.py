"""The driver of one softclient: starts its process and speaks JSON lines with it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

from endpoints_emu.events import PhoneEventKind, Refusal
from endpoints_emu.phone import (
    CallFailed,
    CallLeg,
    CommandRefused,
    LegState,
    Phone,
    PhoneDied,
    PhoneError,
    Statistics,
    target_uri,
)
from endpoints_emu.pjsua.settings import CA_FILE, RECEIVED, SOCKET, AgentSettings
from uclab.plan.schema.plan import Endpoint
from uclab.runtime.installation import module_command
from uclab.runtime.node import NodeRuntime
from uclab.runtime.readiness import patient, wait_until

Message = dict[str, Any]
DIGIT_S = 0.36
"""From one digit to the next, as a person dials: 240 ms of event, then audio. baresip 1.1.0 notices an event
only where the payload type changes, so digits without audio between them would be one to it."""
_LONGEST_LINE = 1 << 20


def agent_settings(
    endpoint: Endpoint,
    nameservers: tuple[str, ...],
    *,
    listen_port: int | None = None,
    certificate: Path | None = None,
) -> AgentSettings:
    """The agent's settings for an endpoint of the plan; the last two are for calls that come in without a
    registration."""
    account = endpoint.account
    return AgentSettings(
        name=endpoint.name,
        aor=f'"{account.display}" <{account.aor}>',
        registrar_uri=f"sip:{account.domain};transport={endpoint.transport}",
        proxy_uris=tuple(
            f"sip:{registrar}:{endpoint.registrar_port};transport={endpoint.transport};lr"
            for registrar in endpoint.registrars
        ),
        user=account.user,
        password=account.password,
        nameservers=nameservers,
        tone_hz=endpoint.tone_hz,
        keepalive_s=endpoint.registration.keepalive_s,
        probe_s=endpoint.registration.probe_s,
        lost_s=endpoint.registration.lost_s,
        transport=endpoint.transport,
        verify_server=endpoint.verify_server,
        encrypt_media=endpoint.media_encryption == "srtp",
        registers=endpoint.registers,
        dscp_media=endpoint.dscp_media,
        dscp_signalling=endpoint.dscp_signalling,
        codecs=endpoint.codecs,
        listen_port=listen_port or 0,
        certificate=str(certificate) if certificate else None,
    )


class PjsuaPhone(Phone):
    """A softclient."""

    def __init__(
        self, endpoint: Endpoint, runtime: NodeRuntime, folder: Path, ca_file: Path, settings: AgentSettings
    ) -> None:
        super().__init__(endpoint)
        self._runtime = runtime
        self._folder = folder.absolute()
        self._ca_file = ca_file
        self._settings = settings
        self._log = self._folder / "pjsua.log"
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self, deadline_s: float = 20.0) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "agent.json"
        self._settings.write(config)
        (self._folder / CA_FILE).write_bytes(self._ca_file.read_bytes())
        self._process = process = await self._runtime.spawn(
            module_command("endpoints_emu.pjsua.agent", "--config", str(config)),
            name=self.name,
            log=self._log,
            root="host",
            writable={str(self._folder): self._folder},
        )

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
            if process.returncode is not None:
                raise PhoneDied(f"{self.name}: the softclient ended at its start, see {self._log}")
            folder = os.open(self._folder, os.O_PATH)  # a socket's path may be at most 107 bytes long
            try:
                return await asyncio.open_unix_connection(
                    f"/proc/self/fd/{folder}/{SOCKET}", limit=_LONGEST_LINE
                )
            finally:
                os.close(folder)

        reader, self._writer = await wait_until(
            connect, what=f"{self.name}: the softclient's control socket", deadline_s=deadline_s
        )
        self._spawn(self._receive(reader))

    async def stop(self) -> None:
        self._stopping = True
        self._keeper.stop()
        with contextlib.suppress(PhoneError):
            await self._command("quit")
        if self._process:
            try:
                async with asyncio.timeout(patient(3.0)):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        for task in self._tasks:
            task.cancel()
        if self._writer:
            self._writer.close()

    async def send_register(self) -> None:
        self._keeper.start()

    async def _register_at(self, registrar: int) -> None:
        await self._command("register", registrar=registrar)

    async def _unregister_at(self, registrar: int) -> None:
        await self._command("unregister", registrar=registrar)

    async def call(self, target: str) -> CallLeg:
        uri = target_uri(self.endpoint, target)
        return self._leg(await self._command("call", uri=uri, registrar=self._keeper.current)).leg

    async def answer(self, leg: CallLeg) -> None:
        await self._command("answer", leg=leg.id)

    async def hold(self, leg: CallLeg, deadline_s: float = 5.0) -> None:
        since = len(self.events.history)
        await self._reoffer("hold", leg, deadline_s)
        await self._agreed(leg, PhoneEventKind.HELD, deadline_s, since)

    async def resume(self, leg: CallLeg, deadline_s: float = 5.0) -> None:
        since = len(self.events.history)
        await self._reoffer("resume", leg, deadline_s)
        await self._agreed(leg, PhoneEventKind.RESUMED, deadline_s, since)

    async def _reoffer(self, command: str, leg: CallLeg, deadline_s: float) -> None:
        """Offer again as soon as no other offer is under way: until then PJSIP refuses (RFC 3261 section
        14.1)."""

        async def offer() -> bool | None:
            try:
                await self._command(command, leg=leg.id)
            except CommandRefused as refused:
                if "PJ_EINVALIDOP" not in str(refused):
                    raise
                raise OSError(str(refused)) from refused
            return True

        await wait_until(offer, what=f"{self.name} to {command}", deadline_s=deadline_s, every_s=0.1)

    async def send_transfer(self, leg: CallLeg, uri: str) -> None:
        await self._command("transfer", leg=leg.id, uri=uri)

    async def dtmf(self, leg: CallLeg, digits: str) -> None:
        for digit in digits:
            await self._command("dtmf", leg=leg.id, digits=digit)
            await asyncio.sleep(DIGIT_S)

    async def hang_up(self, leg: CallLeg) -> None:
        if not self._state(leg).closed:
            await self._command("hang_up", leg=leg.id)

    async def statistics(self, leg: CallLeg) -> Statistics:
        state = self._state(leg)
        if not state.closed:
            with contextlib.suppress(CommandRefused):  # it ended while we asked
                answer = await self._command("statistics", leg=leg.id)
                state.statistics = Statistics(**answer["statistics"])
        return state.statistics

    async def _agreed(self, leg: CallLeg, kind: PhoneEventKind, deadline_s: float, since: int) -> None:
        event = await self._outcome(
            leg, {kind, PhoneEventKind.CLOSED}, deadline_s, f"{kind.value}: no answer", since=since
        )
        if event.kind is not kind:
            raise CallFailed(f"{self.name}: call with {leg.peer} ended: {event.detail}")

    async def _command(self, command: str, **arguments: Any) -> Message:
        if self._writer is None:
            raise PhoneError(f"{self.name}: {command}: the softclient has not been started")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(json.dumps({"id": number, "command": command, **arguments}).encode() + b"\n")
            async with asyncio.timeout(patient(5.0)):
                message: Message = await answer
        except TimeoutError:
            raise PhoneDied(f"{self.name}: no answer to `{command}` in 5 s") from None
        finally:
            del self._waiting[number]
        if not message["ok"]:
            raise CommandRefused(f"{self.name}: {command}: {message.get('error')}")
        return message

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        reason = f"the softclient's process ended, see {self._log}"
        try:
            while line := await reader.readline():
                self._on_message(json.loads(line))
        except (OSError, ValueError) as error:
            reason = f"the softclient's control connection broke: {error}"
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(PhoneDied(f"{self.name}: {reason}"))
        self._keeper.stop()
        if not self._stopping:
            self.events.publish(PhoneEventKind.DIED, reason)

    def _on_message(self, message: Message) -> None:
        if "event" in message:
            self._on_event(message)
        elif "recording" in message:
            self._leg(message).recordings.append(self._folder / RECEIVED / message["recording"])
        elif (future := self._waiting.get(message["id"])) and not future.done():
            future.set_result(message)

    def _leg(self, message: Message) -> LegState:
        """The state of the leg that a message is about, made where it is new."""
        leg_id = message["leg"]
        if leg_id not in self._legs:
            self._legs[leg_id] = LegState(
                CallLeg(self.name, leg_id, leg_id, message["direction"], message["peer"])
            )
        return self._legs[leg_id]

    def _on_event(self, message: Message) -> None:
        kind = PhoneEventKind(message["event"])
        refusal = Refusal(message["refusal"]) if message.get("refusal") else None
        if "registrar" in message:
            if kind is PhoneEventKind.REGISTERED:
                self._keeper.accepted(message["registrar"], message["detail"])
            else:
                self._keeper.failed(message["registrar"], refusal or Refusal.REJECTED, message["detail"])
            return
        leg_id = message.get("leg")
        if leg_id is not None:
            state = self._leg(message)
            state.established |= kind is PhoneEventKind.ESTABLISHED
            if kind is PhoneEventKind.CLOSED:
                state.closed = True
                if message.get("statistics"):
                    state.statistics = Statistics(**message["statistics"])
            elif kind is PhoneEventKind.INCOMING and self.auto_answer:
                self._spawn(self._answer(state.leg))
        self.events.publish(
            kind,
            message.get("detail", ""),
            leg=leg_id,
            refusal=refusal,
            sip_call_id=leg_id,
            setup_ms=message.get("setup_ms"),
        )

    async def _answer(self, leg: CallLeg) -> None:
        with contextlib.suppress(CommandRefused):  # it ended while we asked
            await self.answer(leg)
