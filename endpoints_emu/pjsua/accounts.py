"""A softclient's accounts: the same subscriber once for each registrar, so that it can be registered at one
while it tries another, and calls stay with the one that they came by."""

from __future__ import annotations

import pjsua2 as pj

from endpoints_emu.events import PhoneEventKind, Refusal
from endpoints_emu.pjsua import stack
from endpoints_emu.pjsua.call import AgentCall, AgentEvents
from endpoints_emu.pjsua.callback import guarded


class Account(pj.Account):  # type: ignore[misc]  # PJSIP has no types
    """The subscriber at one registrar. Methods with PJSIP's names are called by PJSIP."""

    def __init__(self, agent: AgentEvents, registrar: int) -> None:
        """`registrar` is its place in the settings."""
        super().__init__()
        self._agent = agent
        self.registrar = registrar
        self.registered = False
        self.far_end = ""
        """`address:port` of the registrar, as far as it has answered."""

    @guarded
    def onRegState(self, prm: pj.OnRegStateParam) -> None:  # noqa: N802 (PJSIP's name)
        self.registered = prm.code // 100 == 2 and prm.expiration > 0
        if self.registered:
            self.far_end = prm.rdata.srcAddress
            self._agent.tls_failure()
            self._tell(PhoneEventKind.REGISTERED, f"{prm.code} {prm.reason}")
        elif prm.code // 100 != 2:
            refusal, detail = stack.refusal(prm.code, prm.reason)
            if prm.code >= 500:
                refusal, detail = self._agent.tls_failure() or (refusal, detail)
            self._tell(PhoneEventKind.REGISTRATION_FAILED, detail, refusal)

    @guarded
    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:  # noqa: N802
        call = AgentCall(self._agent, self, prm.callId)
        self._agent.adopt(call)
        ring = pj.CallOpParam()
        ring.statusCode = 180
        call.answer(ring)
        self._agent.tell(PhoneEventKind.INCOMING, call, call.peer)

    def on_connection_lost(self, far_end: str, refusal: Refusal, detail: str) -> None:
        """A connection has ended: it may have been the one of this registration. PJSIP tells of a lost
        registration by no other means."""
        if self.registered and far_end == self.far_end:
            self.registered = False
            lost = refusal if refusal is Refusal.TIMEOUT else Refusal.UNREACHABLE
            self._tell(PhoneEventKind.REGISTRATION_FAILED, detail, lost)

    def _tell(self, kind: PhoneEventKind, detail: str, refusal: Refusal | None = None) -> None:
        ground = refusal.value if refusal else None
        self._agent.tell(kind, detail=detail, registrar=self.registrar, refusal=ground)
