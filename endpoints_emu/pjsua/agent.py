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
from endpoints_emu.pjsua import connections, stack
from endpoints_emu.pjsua.accounts import Account
from endpoints_emu.pjsua.call import AgentCall
from endpoints_emu.pjsua.settings import RECEIVED, SOCKET, AgentSettings

_LINE_BUFFERED = 1
_POLL_MS = 20
_HEADER_BYTES = 44
"""RIFF, format and the head of the data chunk."""
_FILE_S = 1.0
"""How long to wait for the end of a recording."""
_LOOK_S = 0.5
"""How often connections are looked at."""
_FAREWELL_S = 1.5
"""How long to wait at the end for the answers to BYE and to the last REGISTER."""


Message = dict[str, Any]


def is_complete(wav: Path) -> bool:
    """Whether a recording's header tells its whole length (PJSIP writes that last), or there is none."""
    if not wav.exists():
        return True
    with wav.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size
    return len(header) == _HEADER_BYTES and _HEADER_BYTES + int.from_bytes(header[-4:], "little") == size


class Agent:
    """All of one softclient."""

    def __init__(self, settings: AgentSettings, folder: Path) -> None:
        self.settings = settings
        self.received = folder / RECEIVED
        self.received.mkdir(exist_ok=True)
        self.calls: dict[str, AgentCall] = {}
        self._ended: list[AgentCall] = []
        self._finished: list[tuple[Path | None, float, Message]] = []
        self._expected: list[AgentCall] = []
        self._numbers: dict[str, int] = {}
        self._tls_failure: tuple[Refusal, str] | None = None
        self._look_at = 0.0
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
        self.accounts = [Account(self, number) for number in range(len(settings.proxy_uris))]
        for account, proxy in zip(self.accounts, settings.proxy_uris, strict=True):
            account.create(stack.account(settings, proxy))
        self._listener.bind(SOCKET)
        self._listener.listen(1)

    def run(self) -> None:
        """Serve until told to quit."""
        while self._leaving_at is None or (self._busy() and time.monotonic() < self._leaving_at):
            self.endpoint.libHandleEvents(_POLL_MS)
            self._ended.clear()
            self._tell_finished()
            self._serve_socket()
            self._watch_connections()

    def adopt(self, call: AgentCall) -> None:
        """Keep a call alive until it has ended."""
        if call in self._expected:
            self._expected.remove(call)
        self.calls[call.sip_call_id] = call

    def finish(self, call: AgentCall, recording: Path | None, event: Message) -> None:
        """A call has ended. Its object must outlive the callback that said so, and the event waits for the
        recording: PJSIP closes the file some moments after its recorder was given up."""
        self.calls.pop(call.sip_call_id, None)
        self._ended.append(call)
        self._finished.append((recording, time.monotonic() + _FILE_S, event | call.names()))

    def _tell_finished(self) -> None:
        """Tell of the ended calls whose recordings are complete, or will never be."""
        for entry in tuple(self._finished):
            recording, deadline, event = entry
            if recording is None or is_complete(recording) or time.monotonic() > deadline:
                self._finished.remove(entry)
                self._send(event)

    def expect(self, call: AgentCall) -> None:
        """Keep a call alive whose Call-ID is not known yet (the new call of a transfer)."""
        self._expected.append(call)

    def number(self, call: AgentCall) -> int:
        """A number for the call's files: its Call-ID may hold any character."""
        return self._numbers.setdefault(call.sip_call_id, len(self._numbers) + 1)

    def tell_recording(self, call: AgentCall, path: Path) -> None:
        """Say that what the call receives goes to another file from now on."""
        self._send({"recording": path.name, **call.names()})

    def tell(
        self, kind: PhoneEventKind, call: AgentCall | None = None, detail: str = "", **more: Any
    ) -> None:
        """Send an event."""
        self._send({"event": kind.value, "detail": detail, **more, **(call.names() if call else {})})

    def on_tls_failure(self, refusal: Refusal, detail: str, far_end: str) -> None:
        """The transport tells more than the registration that fails with it, and alone that one is lost."""
        self._tls_failure = (refusal, detail)
        for account in self.accounts:
            account.on_connection_lost(far_end, refusal, detail)

    def _watch_connections(self) -> None:
        """PJSIP opens connections as it needs them: each comes under watch within half a second."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_S
            connections.watch(self.settings.keepalive_s, self.settings.probe_s, self.settings.lost_s)

    def tls_failure(self) -> tuple[Refusal, str] | None:
        """Why the last connection failed, told once."""
        failure, self._tls_failure = self._tls_failure, None
        return failure

    def _busy(self) -> bool:
        return bool(self.calls) or bool(self._finished) or any(a.registered for a in self.accounts)

    def _send(self, message: Message) -> None:
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

    def _handle(self, request: Message) -> None:
        answer: Message = {"id": request.get("id"), "ok": True}
        try:
            answer |= getattr(self, f"_do_{request['command']}")(request) or {}
        except pj.Error as error:
            answer |= {"ok": False, "error": error.reason or error.info()}
        except KeyError as error:
            answer |= {"ok": False, "error": f"no call {error}"}
        self._send(answer)

    def _do_register(self, request: Message) -> None:
        self.accounts[request["registrar"]].setRegistration(True)

    def _do_unregister(self, request: Message) -> None:
        self.accounts[request["registrar"]].setRegistration(False)

    def _do_call(self, request: Message) -> Message:
        call = AgentCall(self, self.accounts[request.get("registrar", 0)])
        call.makeCall(request["uri"], stack.one_audio_stream())
        call.identify()
        self.adopt(call)
        return call.names()

    def _do_answer(self, request: Message) -> None:
        accept = stack.one_audio_stream()
        accept.statusCode = 200
        self.calls[request["leg"]].answer(accept)

    def _do_hold(self, request: Message) -> None:
        self.calls[request["leg"]].setHold(pj.CallOpParam(True))

    def _do_resume(self, request: Message) -> None:
        again = stack.one_audio_stream()
        again.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.calls[request["leg"]].reinvite(again)

    def _do_transfer(self, request: Message) -> None:
        self.calls[request["leg"]].xfer(request["uri"], pj.CallOpParam(True))

    def _do_dtmf(self, request: Message) -> None:
        self.calls[request["leg"]].dialDtmf(request["digits"])

    def _do_hang_up(self, request: Message) -> None:
        if request["leg"] in self.calls:
            self.calls[request["leg"]].hangup(pj.CallOpParam(True))

    def _do_statistics(self, request: Message) -> Message:
        return {"statistics": self.calls[request["leg"]].counters()}

    def _do_quit(self, _: Message) -> None:
        self._leaving_at = time.monotonic() + _FAREWELL_S
        self.endpoint.hangupAllCalls()
        for account in self.accounts:
            if account.registered:
                account.setRegistration(False)


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
