"""One call leg of a softclient: its states become events, its media is the tone out and a recording in."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, Protocol

import pjsua2 as pj

from endpoints_emu.events import PhoneEventKind, Refusal
from endpoints_emu.pjsua.callback import guarded

_HELD_BY_US = pj.PJSUA_CALL_MEDIA_LOCAL_HOLD
_HELD_BY_PEER = pj.PJSUA_CALL_MEDIA_REMOTE_HOLD


class AgentEvents(Protocol):
    """Who hears what becomes of calls and registrations, and keeps calls alive."""

    received: Path
    """Folder of what calls receive."""
    tone: Any
    """The player of what calls send."""

    def adopt(self, call: AgentCall) -> None:
        """Keep a call alive until it has ended."""

    def expect(self, call: AgentCall) -> None:
        """Keep a call alive whose Call-ID is not known yet."""

    def finish(self, call: AgentCall, recording: Path | None, event: dict[str, Any]) -> None:
        """A call has ended."""

    def number(self, call: AgentCall) -> int:
        """A number for the call's files."""

    def tell(
        self, kind: PhoneEventKind, call: AgentCall | None = None, detail: str = "", **more: Any
    ) -> None:
        """Send an event."""

    def tell_recording(self, call: AgentCall, path: Path) -> None:
        """What the call receives goes to another file from now on."""

    def tls_failure(self) -> tuple[Refusal, str] | None:
        """Why the last connection failed, told once."""


class AgentCall(pj.Call):  # type: ignore[misc]  # PJSIP has no types
    """A leg, named by its SIP Call-ID. Methods with PJSIP's names are called by PJSIP."""

    def __init__(self, agent: AgentEvents, account: pj.Account, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, call_id)
        self._agent = agent
        self._account = account
        self._began = time.monotonic()
        self._recorder: pj.AudioMediaRecorder | None = None
        self._recording: Path | None = None
        self._parts = 0
        self._media_status = pj.PJSUA_CALL_MEDIA_NONE
        self._last_counters: dict[str, Any] = {}
        self.sip_call_id = ""
        self.peer = ""
        self.direction = "outgoing" if call_id == pj.PJSUA_INVALID_ID else "incoming"
        if call_id != pj.PJSUA_INVALID_ID:
            self.identify()

    def identify(self) -> None:
        """Learn the leg's names from PJSIP."""
        info = self.getInfo()
        self.sip_call_id = info.callIdString
        uri = re.search(r"<([^>]+)>", info.remoteUri)
        self.peer = uri[1] if uri else info.remoteUri

    def names(self) -> dict[str, Any]:
        """What every message about the call carries."""
        return {"leg": self.sip_call_id, "peer": self.peer, "direction": self.direction}

    @guarded
    def onCallState(self, prm: pj.OnCallStateParam) -> None:  # noqa: N802
        info = self.getInfo()
        if not self.sip_call_id:  # the new call of a transfer
            self.identify()
            self._agent.adopt(self)
        if info.state == pj.PJSIP_INV_STATE_EARLY and self.direction == "outgoing":
            self._agent.tell(PhoneEventKind.RINGING, self, f"{info.lastStatusCode} {info.lastReason}")
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            setup_ms = 1000 * (time.monotonic() - self._began) if self.direction == "outgoing" else None
            self._agent.tell(PhoneEventKind.ESTABLISHED, self, self.peer, setup_ms=setup_ms)
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            recording = self._recording if self._recorder else None
            self._stop_recording()
            detail, more = f"{info.lastStatusCode} {info.lastReason}", {}
            failure = self._agent.tls_failure() if info.lastStatusCode >= 500 else None
            if failure and failure[0] is Refusal.CERTIFICATE:
                detail = f"server's certificate refused: {failure[1]}"
                more = {"refusal": failure[0].value}
            event = {
                "event": PhoneEventKind.CLOSED.value,
                "detail": detail,
                "statistics": self._last_counters,
            }
            self._agent.finish(self, recording, event | more)

    @guarded
    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:  # noqa: N802
        info = self.getInfo()  # kept: its parts do not live longer than it does
        status = info.media[0].status if len(info.media) else pj.PJSUA_CALL_MEDIA_NONE
        before, self._media_status = self._media_status, status
        if status == pj.PJSUA_CALL_MEDIA_ACTIVE:
            audio = self.getAudioMedia(-1)
            self._agent.tone.startTransmit(audio)
            if self._recorder is None:
                self._start_recording(audio)
            if before == _HELD_BY_US:
                self._agent.tell(PhoneEventKind.RESUMED, self)
            elif before == _HELD_BY_PEER:
                self._agent.tell(PhoneEventKind.RESUMED_BY_PEER, self)
            return
        self._stop_recording()
        if status == _HELD_BY_US and before != status:
            self._agent.tell(PhoneEventKind.HELD, self)
        elif status == _HELD_BY_PEER and before != status:
            self._agent.tell(PhoneEventKind.HELD_BY_PEER, self)

    @guarded
    def onDtmfDigit(self, prm: pj.OnDtmfDigitParam) -> None:  # noqa: N802
        self._agent.tell(PhoneEventKind.DTMF, self, prm.digit)

    @guarded
    def onCallTransferRequest(self, prm: pj.OnCallTransferRequestParam) -> None:  # noqa: N802
        """The other side sends us elsewhere: PJSIP makes the new call, with this object to carry it."""
        successor = AgentCall(self._agent, self._account)
        self._agent.expect(successor)
        prm.newCall = successor

    @guarded
    def onCallTransferStatus(self, prm: pj.OnCallTransferStatusParam) -> None:  # noqa: N802
        if not prm.finalNotify:
            return
        detail = f"{prm.statusCode} {prm.reason}"
        prm.cont = False
        if prm.statusCode // 100 == 2:
            self._agent.tell(PhoneEventKind.TRANSFERRED, self, detail)
            self.hangup(pj.CallOpParam(True))
        else:
            self._agent.tell(PhoneEventKind.TRANSFER_FAILED, self, detail)

    @guarded
    def onStreamDestroyed(self, prm: pj.OnStreamDestroyedParam) -> None:  # noqa: N802
        self.counters()

    def counters(self) -> dict[str, Any]:
        """Fields of `endpoints_emu.phone.Statistics`, as they are now; the last known where media has
        ended."""
        try:
            info, statistics = self.getStreamInfo(0), self.getStreamStat(0)
            suite = re.search(r"Crypto-suite: (\S+)", self.dump(True, ""))
        except pj.Error:
            return self._last_counters
        rtcp = statistics.rtcp
        reported = rtcp.txStat.updateCount > 0
        self._last_counters = {
            "codec": info.codecName,
            "srtp_suite": suite[1] if suite else None,
            "sent_packets": rtcp.txStat.pkt,
            "received_packets": rtcp.rxStat.pkt,
            "received_lost": rtcp.rxStat.loss,
            "received_jitter_ms": rtcp.rxStat.jitterUsec.mean / 1000,
            "sent_lost": rtcp.txStat.loss if reported else None,
            "sent_jitter_ms": rtcp.txStat.jitterUsec.mean / 1000 if reported else None,
            "round_trip_ms": rtcp.rttUsec.mean / 1000 if rtcp.rttUsec.n else None,
        }
        return self._last_counters

    def _start_recording(self, audio: pj.AudioMedia) -> None:
        self._parts += 1
        path = self._agent.received / f"{self._agent.number(self)}-{self._parts}.wav"
        self._recording = path
        self._recorder = pj.AudioMediaRecorder()
        self._recorder.createRecorder(str(path))
        audio.startTransmit(self._recorder)
        self._agent.tell_recording(self, path)

    def _stop_recording(self) -> None:
        """Give the recorder up; PJSIP completes the file some moments later."""
        self._recorder = None
