"""The softclient's process: `python -m endpoints_emu.pjsua.agent --config FILE`.

JSON lines over a UNIX socket in the folder of the file: commands `{"id": 1, "command": "call", ...}` in,
answers `{"id": 1, "ok": true, ...}` and events `{"event": "call-established", ...}` out.

One thread does it all: PJSIP's events and the socket are polled in turn, so that nothing is called from two
threads. Only media runs in threads of PJSIP's own. The process leaves by `os._exit`: PJSIP's destructors
crash in the interpreter's own shutdown (2.15.1).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pjsua2 as pj

from endpoints_emu.events import PhoneEventKind, Refusal
from endpoints_emu.pjsua import stack
from endpoints_emu.pjsua.call import AgentCall
from endpoints_emu.pjsua.settings import RECEIVED, SOCKET, AgentSettings

_LINE_BUFFERED = 1
_POLL_MS = 20
_FAREWELL_S = 1.5
"""How long to wait at the end for the answers to BYE and to the last REGISTER."""


class Account(pj.Account):  # type: ignore[misc]  # PJSIP has no types
    """The subscriber."""

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self._agent = agent

    def onRegState(self, prm: pj.OnRegStateParam) -> None:  # noqa: N802 (PJSIP's name)
        self._agent.on_registration(prm.code, prm.reason, prm.expiration)

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:  # noqa: N802
        call = AgentCall(self._agent, prm.callId)
        self._agent.adopt(call)
        ring = pj.CallOpParam()
        ring.statusCode = 180
        call.answer(ring)
        self._agent.tell(PhoneEventKind.INCOMING, call, call.peer)


class Agent:
    """All of one softclient."""

    def __init__(self, settings: AgentSettings, folder: Path) -> None:
        self.settings = settings
        self.received = folder / RECEIVED
        self.received.mkdir(exist_ok=True)
        self.calls: dict[str, AgentCall] = {}
        self._ended: list[AgentCall] = []
        self._expected: list[AgentCall] = []
        self._numbers: dict[str, int] = {}
        self._tls_failure: tuple[Refusal, str] | None = None
        self._registered = False
        self._client: socket.socket | None = None
        self._buffer = b""
        self._leaving_at: float | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        os.chdir(folder)  # the socket's path may be at most 107 bytes long, the folder's may not be short
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET)
        self.endpoint = stack.Endpoint(self.on_tls_failure)
        stack.start(self.endpoint, settings)
        self.tone = stack.tone(settings.tone_hz)
        self.account = Account(self)
        self.account.create(stack.account(settings))
        self._listener.bind(SOCKET)
        self._listener.listen(1)

    def run(self) -> None:
        """Serve until told to quit."""
        while self._leaving_at is None or (self._busy() and time.monotonic() < self._leaving_at):
            self.endpoint.libHandleEvents(_POLL_MS)
            self._ended.clear()
            self._serve_socket()

    def adopt(self, call: AgentCall) -> None:
        """Keep a call alive until it has ended."""
        if call in self._expected:
            self._expected.remove(call)
        self.calls[call.sip_call_id] = call

    def release(self, call: AgentCall) -> None:
        """A call has ended; its object must outlive the callback that said so."""
        self.calls.pop(call.sip_call_id, None)
        self._ended.append(call)

    def expect(self, call: AgentCall) -> None:
        """Keep a call alive whose Call-ID is not known yet (the new call of a transfer)."""
        self._expected.append(call)

    def number(self, call: AgentCall) -> int:
        """A number for the call's files: its Call-ID may hold any character."""
        return self._numbers.setdefault(call.sip_call_id, len(self._numbers) + 1)

    def tell_recording(self, call: AgentCall, path: Path) -> None:
        """Say that what the call receives goes to another file from now on."""
        self._send(
            {"recording": path.name, "leg": call.sip_call_id, "peer": call.peer, "direction": call.direction}
        )

    def tell(
        self, kind: PhoneEventKind, call: AgentCall | None = None, detail: str = "", **more: Any
    ) -> None:
        """Send an event."""
        event: dict[str, Any] = {"event": kind.value, "detail": detail, **more}
        if call:
            event |= {"leg": call.sip_call_id, "peer": call.peer, "direction": call.direction}
        self._send(event)

    def on_tls_failure(self, refusal: Refusal, detail: str) -> None:
        """The transport tells more than the registration that fails with it."""
        self._tls_failure = (refusal, detail)

    def on_registration(self, code: int, reason: str, expires_s: int) -> None:
        self._registered = code // 100 == 2 and expires_s > 0
        if self._registered:
            self._tls_failure = None
            self.tell(PhoneEventKind.REGISTERED, detail=f"{code} {reason}")
        elif code // 100 != 2:
            refusal, detail = stack.refusal(code, reason)
            if code >= 500:
                refusal, detail = self.tls_failure() or (refusal, detail)
            self.tell(PhoneEventKind.REGISTRATION_FAILED, detail=detail, refusal=refusal.value)

    def tls_failure(self) -> tuple[Refusal, str] | None:
        """Why the last connection failed, told once."""
        failure, self._tls_failure = self._tls_failure, None
        return failure

    def _busy(self) -> bool:
        return bool(self.calls) or self._registered

    def _send(self, message: dict[str, Any]) -> None:
        if self._client:
            try:
                self._client.sendall(json.dumps(message).encode() + b"\n")
            except OSError:
                self._client = None

    def _serve_socket(self) -> None:
        """Handle what has arrived, without waiting."""
        ready, _, _ = select.select([self._client or self._listener], [], [], 0)
        if not ready:
            return
        if self._client is None:
            self._client, _ = self._listener.accept()
            return
        received = self._client.recv(65536)
        if not received:
            self._client = None
            return
        *lines, self._buffer = (self._buffer + received).split(b"\n")
        for line in lines:
            self._handle(json.loads(line))

    def _handle(self, request: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": request.get("id"), "ok": True}
        try:
            answer |= getattr(self, f"_do_{request['command']}")(request) or {}
        except pj.Error as error:
            answer |= {"ok": False, "error": error.reason or error.info()}
        except KeyError as error:
            answer |= {"ok": False, "error": f"no call {error}"}
        self._send(answer)

    def _do_register(self, _: dict[str, Any]) -> None:
        self.account.setRegistration(True)

    def _do_call(self, request: dict[str, Any]) -> dict[str, Any]:
        call = AgentCall(self)
        call.makeCall(request["uri"], stack.one_audio_stream())
        call.identify()
        self.adopt(call)
        return {"leg": call.sip_call_id, "peer": call.peer, "direction": call.direction}

    def _do_answer(self, request: dict[str, Any]) -> None:
        accept = stack.one_audio_stream()
        accept.statusCode = 200
        self.calls[request["leg"]].answer(accept)

    def _do_hold(self, request: dict[str, Any]) -> None:
        self.calls[request["leg"]].setHold(pj.CallOpParam(True))

    def _do_resume(self, request: dict[str, Any]) -> None:
        again = stack.one_audio_stream()
        again.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.calls[request["leg"]].reinvite(again)

    def _do_transfer(self, request: dict[str, Any]) -> None:
        self.calls[request["leg"]].xfer(request["uri"], pj.CallOpParam(True))

    def _do_dtmf(self, request: dict[str, Any]) -> None:
        self.calls[request["leg"]].dialDtmf(request["digits"])

    def _do_hang_up(self, request: dict[str, Any]) -> None:
        if request["leg"] in self.calls:
            self.calls[request["leg"]].hangup(pj.CallOpParam(True))

    def _do_statistics(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"statistics": self.calls[request["leg"]].counters()}

    def _do_quit(self, _: dict[str, Any]) -> None:
        self._leaving_at = time.monotonic() + _FAREWELL_S
        self.endpoint.hangupAllCalls()
        if self._registered:
            self.account.setRegistration(False)


def main() -> None:
    """Run the softclient of a settings file."""
    parser = argparse.ArgumentParser(description="a softclient of the lab")
    parser.add_argument("--config", type=Path, required=True)
    config = parser.parse_args().config
    libc = ctypes.CDLL(None)
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, _LINE_BUFFERED, 0)  # PJSIP logs there
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    status = 0
    try:
        Agent(AgentSettings.read(config), config.parent).run()
    except pj.Error as error:
        print(f"softclient: {error.info()}", file=sys.stderr)
        status = 1
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
