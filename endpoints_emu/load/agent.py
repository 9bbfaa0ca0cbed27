"""One subscriber, trunk or telephone number: an account, its connection, its registration, its calls."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from endpoints_emu.load import digest
from endpoints_emu.load.answer import Answer
from endpoints_emu.load.call import Call
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.fields import address_in, split
from endpoints_emu.load.measures import RegistrationAttempt
from endpoints_emu.load.message import Response
from endpoints_emu.load.request import Outgoing, fresh
from endpoints_emu.load.sdp import Direction
from endpoints_emu.load.stack import Stack
from endpoints_emu.load.transactions import Peer
from endpoints_emu.load.transport import ConnectFailed, Server, Stream, Udp
from uclab.plan.schema.telephony import Account

REFRESH_SHARE = 0.9
"""Of its time, after which a registration is made again."""
RETRY_S, RETRY_MOST_S = 5.0, 60.0
"""Wait after a failed registration, doubled each time."""


class UserAgent:
    """An agent of one account. Its methods wait in the greenlet that calls them, always with an end."""

    def __init__(
        self,
        stack: Stack,
        account: Account,
        server: Server,
        *,
        local_address: str,
        udp: Udp | None = None,
        encrypted: bool = True,
        media: bool = True,
        tone_hz: float = 440.0,
        speaker: int | None = None,
    ) -> None:
        """`udp`: the socket for a server by UDP; `speaker`: who its signal says that it is (24 bits)."""
        self.stack = stack
        self.account = account
        self.server = server
        self.local_address = local_address
        self.encrypted = encrypted
        self.media = media
        """Whether calls have media, or only say so."""
        self.tone_hz = tone_hz
        self.speaker = speaker if speaker is not None else speaker_of(account.user)
        self.on_call: Callable[[Call], None] = Call.answer
        """What to do with a call that comes in; called from the greenlet that reads, and must not wait."""
        self.on_transferred: Callable[[Call, Call], None] = lambda old, new: None
        self.lost = Event()
        """The connection has been lost since it was last made."""
        self.granted_s = 0
        """For how long the server keeps the registration; 0: not registered."""
        self.via = self.contact = ""
        self._udp = udp
        self._connection: Udp | Stream | None = None
        self._call_id = fresh()
        self._tag = fresh()
        self._cseq = 0
        self._keeper: Any = None

    @property
    def registered(self) -> bool:
        return self.granted_s > 0

    @property
    def peer(self) -> Peer:
        """Where datagrams to the server go."""
        return (self.server.address, self.server.port)

    def connection(self) -> Udp | Stream:
        """The connection to the server, made where there is none. Raises `ConnectFailed`."""
        held = self._connection
        if held is None or held.closed:
            if self.server.transport == "udp":
                held = self._udp = self._udp or self.stack.udp(self.local_address)
            else:
                held = self.stack.connect(self.server, self.local_address, self._connection_lost)
            self.use(held)
        return held

    def use(self, held: Udp | Stream) -> None:
        """Speak by this connection."""
        self._connection = held
        self.lost.clear()
        held.users[self.account.user] = self
        host, port = held.local
        self.via = f"SIP/2.0/{held.transport} {host}:{port};rport"
        transport = "" if held.transport == "UDP" else f";transport={held.transport.lower()}"
        self.contact = f"<sip:{self.account.user}@{host}:{port}{transport}>"

    def register(self, expires_s: int = 270) -> RegistrationAttempt:
        """Register once, or with 0 take the registration back."""
        began = time.monotonic()
        try:
            held = self.connection()
        except ConnectFailed as error:
            return RegistrationAttempt(0, 0.0, time.monotonic() - began, str(error))
        aor = f"<{self.account.aor}>"
        uri = f"sip:{self.account.domain}"
        authorization, challenged = "", False
        request = Outgoing("REGISTER", uri, self.via, f"{aor};tag={self._tag}", aor, self._call_id, 0)
        while True:
            request.cseq = self._cseq = self._cseq + 1
            rest = f"Contact: {self.contact};expires={expires_s}\r\nExpires: {expires_s}\r\n{authorization}"
            sent = time.monotonic()
            final = self.stack.exchange(held, self.peer, request, request.render(rest))
            ended = time.monotonic()
            if final is None:
                return self._registered(0, ended - sent, ended - began, "no answer")
            if final.status == 423 and final.first("min-expires").isdigit():
                least = int(final.first("min-expires"))
                if expires_s and least > expires_s:
                    expires_s = least
                    continue
            if final.status in (401, 407) and (not challenged or _stale(final)):
                try:
                    authorization = self.authorization(final, "REGISTER", uri)
                except digest.NoAnswer as error:
                    return self._registered(final.status, ended - sent, ended - began, str(error))
                challenged = True
                continue
            self.granted_s = self._granted(final, expires_s) if final.status < 300 else 0
            return self._registered(final.status, ended - sent, ended - began, final.reason)

    def unregister(self) -> RegistrationAttempt:
        """Take the registration back and keep it no longer."""
        if self._keeper is not None and self._keeper is not gevent.getcurrent():
            self._keeper.kill(block=False)
        self._keeper = None
        return self.register(0)

    def keep_registered(
        self, expires_s: int = 270, on_attempt: Callable[[RegistrationAttempt], None] = lambda attempt: None
    ) -> None:
        """Refresh the registration in time, and make it again when the connection is lost; `told` hears of
        each."""
        if self._keeper is None or self._keeper.dead:
            self._keeper = gevent.spawn(self._keep, expires_s, on_attempt)

    def call(
        self,
        target: str,
        *,
        media: bool | None = None,
        ring_s: float = 60.0,
        direction: Direction = "sendrecv",
    ) -> Call:
        """Call an extension, a number or a URI; returns when it is answered. Raises `CallFailed`.

        `direction`: `sendonly` or `recvonly` for a call that only one side speaks in.
        """
        uri = target if target.startswith(("sip:", "sips:")) else f"sip:{target}@{self.account.domain}"
        try:
            held = self.connection()
        except ConnectFailed as error:
            raise CallFailed(0, str(error)) from None
        call = Call(self, held, self.peer, media=self.media if media is None else media)
        call.dial(uri, ring_s, direction)
        return call

    def called(self, answer: Answer, held: Any, peer: Peer) -> None:
        """An INVITE for this agent."""
        if not self.via:
            self.use(held)
        call = Call(self, held, peer, media=self.media)
        if call.invited(answer):
            self.on_call(call)

    def close(self) -> None:
        """End the connection at once, without a word; calls and the registration are left as they are."""
        if self._keeper is not None:
            self._keeper.kill(block=False)
            self._keeper = None
        held, self._connection = self._connection, None
        self.granted_s = 0
        if held is not None:
            held.users.pop(self.account.user, None)
            if isinstance(held, Stream):
                held.close()

    def authorization(self, challenge: Response, method: str, uri: str) -> str:
        """The field that answers a challenge. Raises `NoAnswer`."""
        www = challenge.status == 401
        chosen = digest.choose(challenge.all("www-authenticate" if www else "proxy-authenticate"))
        value = digest.credentials(chosen, self.account.user, self.account.password, method, uri, fresh())
        return f"{'Authorization' if www else 'Proxy-Authorization'}: {value}\r\n"

    def _registered(self, status: int, delay_s: float, whole_s: float, why: str) -> RegistrationAttempt:
        if not 200 <= status < 300:
            self.granted_s = 0
        return RegistrationAttempt(status, delay_s, whole_s, why)

    def _granted(self, final: Response, asked_s: int) -> int:
        """For how long: the contact's own time, or that of all, or what was asked for (section 10.2.4)."""
        if not asked_s:
            return 0
        own = address_in(self.contact).partition(";")[0]
        for value in final.all("contact"):
            for contact in split(value, ","):
                if address_in(contact).startswith(own):
                    text = (
                        contact.rpartition(">")[2].lower().partition("expires=")[2].partition(";")[0].strip()
                    )
                    if text.isdigit():
                        return int(text)
        text = final.first("expires")
        return int(text) if text.isdigit() else asked_s

    def _keep(self, expires_s: int, on_attempt: Callable[[RegistrationAttempt], None]) -> None:
        failed = 0
        while True:
            if self.registered:
                self.lost.wait(timeout=self.granted_s * REFRESH_SHARE)
            elif failed:
                gevent.sleep(min(RETRY_S * 2 ** (failed - 1), RETRY_MOST_S))
            attempt = self.register(expires_s)
            failed = 0 if attempt.succeeded else failed + 1
            on_attempt(attempt)

    def _connection_lost(self, why: str) -> None:
        self.granted_s = 0
        self.lost.set()


def _stale(final: Response) -> bool:
    try:
        return digest.choose(final.all("www-authenticate") or final.all("proxy-authenticate")).stale
    except digest.NoAnswer:
        return False


def speaker_of(user: str) -> int:
    """The speaker that an account's signal names: the same in every process."""
    return zlib.crc32(user.encode()) & 0xFFFFFF
