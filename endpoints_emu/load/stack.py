"""What all agents of a process share: timers, transactions, media, and who gets which message."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Collection
from typing import Any
from weakref import WeakSet

import gevent
from gevent.hub import Waiter

from endpoints_emu.load.answer import Answer
from endpoints_emu.load.codec import G711, Codec
from endpoints_emu.load.fields import address_in, branch_of, tag_of
from endpoints_emu.load.message import MalformedMessage, Request, Response, parse
from endpoints_emu.load.pacer import DSCP_MEDIA, MediaEngine
from endpoints_emu.load.request import ALLOW, COOKIE, Outgoing
from endpoints_emu.load.request_validation import answer_malformed, refusal
from endpoints_emu.load.sinks import CalledUser, DialogSink
from endpoints_emu.load.timing_wheel import TICK_S, Wheel
from endpoints_emu.load.transactions import ClientTransaction, Connection, Peer, ServerTransaction, Timing
from endpoints_emu.load.transport import DSCP_SIGNALLING, Listener, Server, Stream, Udp, connect


class Stack:
    """One a process. Not thread-safe: greenlets of one thread use it."""

    def __init__(
        self,
        *,
        timing: Timing = Timing(),  # noqa: B008
        dscp_signalling: int = DSCP_SIGNALLING,
        dscp_media: int = DSCP_MEDIA,
        media_ports: tuple[int, int] = (20000, 64998),
        codec: Codec = G711,
    ) -> None:
        self.timing = timing
        self.codec = codec
        self.wheel = Wheel(time.monotonic())
        self.media = MediaEngine(self.wheel, dscp=dscp_media, ports=media_ports)
        self.calls: dict[str, DialogSink] = {}
        """By the tag of this side."""
        self.malformed = 0
        """Messages that were none."""
        self.strays = 0
        """Responses to nothing that we asked."""
        self._dscp = dscp_signalling
        self._clients: dict[str, ClientTransaction] = {}
        self._servers: dict[str, ServerTransaction] = {}
        self._connections: list[Udp | Stream | Listener] = []
        self._streams: WeakSet[Stream] = WeakSet()
        self._loop = gevent.get_hub().loop
        self._turner = gevent.spawn(self._turn)
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # two sockets a call, one an account
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def udp(self, address: str, port: int = 0) -> Udp:
        """A UDP socket, to be shared by agents."""
        udp = Udp(address, port, self.received, self._dscp)
        self._connections.append(udp)
        return udp

    def connect(
        self, server: Server, local_address: str, on_lost: Callable[[str], None], deadline_s: float = 10.0
    ) -> Stream:
        """A connection of an agent's own. Raises `ConnectFailed`."""

        def lost(stream: Stream, why: str) -> None:
            self._lost(stream, why)
            on_lost(why)

        stream = connect(
            server,
            self.received,
            lost,
            local_address=local_address,
            dscp=self._dscp,
            deadline_s=deadline_s,
        )
        self._streams.add(stream)
        return stream

    def listen(
        self,
        address: str,
        port: int,
        agent: CalledUser | dict[str, Any],
        tls: Any = None,
        names: Collection[str] = (),
    ) -> Listener:
        """Take calls for an agent, or those of a trunk by number, over TCP, or TLS with these settings;
        `names`: whom connections are taken from."""
        agents = agent if isinstance(agent, dict) else {agent.account.user: agent}

        def accepted(stream: Stream) -> None:
            stream.users = agents

        listener = Listener(
            address,
            port,
            self.received,
            self._lost,
            tls=tls,
            dscp=self._dscp,
            on_connection=accepted,
            names=names,
        )
        self._connections.append(listener)
        return listener

    def close(self) -> None:
        """End everything at once; what still waits is told that nobody answered."""
        self._turner.kill(block=False)
        for call in tuple(self.calls.values()):
            call.abandon("closed")
        for transaction in tuple(self._clients.values()):
            transaction.give_up()
        for held in (*self._connections, *self._streams):
            held.close()
        self.media.close()

    def start(
        self,
        connection: Connection,
        peer: Peer,
        request: Outgoing,
        data: bytes,
        on_response: Callable[[Response | None], None],
    ) -> ClientTransaction:
        """Begin a transaction; `on_response` is called from the greenlet that reads, and must not wait."""
        now, forget = time.monotonic(), self._forget_client
        transaction = ClientTransaction(
            self.wheel, self.timing, connection, peer, request, data, now, on_response, forget
        )
        self._clients[transaction.key] = transaction
        return transaction

    def exchange(self, connection: Connection, peer: Peer, request: Outgoing, data: bytes) -> Response | None:
        """Send a request and wait for its final response; None: nobody answered."""
        waiter = Waiter()  # half the cost of an `AsyncResult`, and one greenlet waits, once
        wake = self._loop.run_callback

        def answered(final: Response | None) -> None:
            if final is None or final.status >= 200:
                wake(waiter.switch, final)

        self.start(connection, peer, request, data, answered)
        result: Response | None = waiter.get()
        return result

    def cancel(self, invite: ClientTransaction, peer: Peer) -> None:
        """Send CANCEL for an INVITE (RFC 3261 section 9.1); its own response is of no interest."""
        if not invite.final:
            base = invite.request
            request = Outgoing(
                "CANCEL", base.uri, base.via, base.sender, base.to, base.call_id, base.cseq, base.routes
            )
            request.branch = base.branch
            self.start(invite.connection, peer, request, base.cancel(), lambda _: None)

    def received(self, data: bytes, connection: Any, peer: Peer) -> None:
        """What a connection received. Never raises."""
        message: Request | Response | None = None
        try:
            message = parse(data, stream=connection.reliable)
            if isinstance(message, Response):
                self._response(message)
            else:
                self._request(message, connection, peer)
        except MalformedMessage as error:
            self.malformed += 1
            answer_malformed(error, message or error.message, connection, peer)

    def _response(self, message: Response) -> None:
        branch = branch_of(message.fields["via"][0])
        transaction = self._clients.get(ClientTransaction.key_of(branch, message.cseq_method))
        if transaction is not None:
            transaction.received(message, time.monotonic())
            return
        call = self.calls.get(tag_of(message.fields["from"][0]))
        if call is not None and message.cseq_method == "INVITE" and 200 <= message.status < 300:
            call.acknowledge_again()
        else:
            self.strays += 1

    def _request(self, request: Request, connection: Any, peer: Peer) -> None:
        now = time.monotonic()
        method = request.method
        key = _server_key(request)
        known = self._servers.get(key if method != "CANCEL" else f"{key} C")
        tag = tag_of(request.fields["to"][0])
        if method == "ACK":
            if known is not None and known.status >= 300:
                known.acknowledged(now)
            elif (call := self.calls.get(tag)) is not None:
                call.acknowledged(request, now)
            return
        if known is not None:
            known.repeated()
            return
        transaction = ServerTransaction(
            self.wheel,
            self.timing,
            connection,
            peer,
            key if method != "CANCEL" else f"{key} C",
            method == "INVITE",
            self._forget_server,
        )
        self._servers[transaction.key] = transaction
        answer = Answer(request, transaction, None if connection.reliable else peer)
        if method == "CANCEL":
            self._cancelled(answer, key)
        elif tag:
            call = self.calls.get(tag)
            if call is None:
                answer.send(481, "Call Does Not Exist")
            else:
                call.requested(answer)
        else:
            self._begun(answer, connection, peer)

    def _begun(self, answer: Answer, connection: Any, peer: Peer) -> None:
        """A request that begins something."""
        request = answer.request
        refused = refusal(request)
        if refused:
            answer.send(refused.status, refused.reason, refused.rest)
            return
        if request.method == "OPTIONS":
            answer.send(200, "OK", f"Allow: {ALLOW}\r\nAccept: application/sdp\r\n")
            return
        if request.method != "INVITE":
            answer.send(481, "Call Does Not Exist")
            return
        user = address_in(request.uri).partition(":")[2].partition("@")[0]
        agent = connection.users.get(user)
        if agent is None:
            answer.send(404, "Not Found")
        else:
            agent.called(answer, connection, peer)

    def _cancelled(self, answer: Answer, invite_key: str) -> None:
        invite = self._servers.get(invite_key)
        if invite is None:
            answer.send(481, "Call Does Not Exist")
            return
        answer.send(200, "OK")
        if invite.status < 200 and invite.on_cancel:
            invite.on_cancel()

    def _forget_client(self, transaction: ClientTransaction) -> None:
        self._clients.pop(transaction.key, None)

    def _forget_server(self, transaction: ServerTransaction) -> None:
        self._servers.pop(transaction.key, None)

    def _lost(self, stream: Stream, why: str) -> None:
        """A connection is gone: nothing on it will be answered."""
        for transaction in tuple(self._clients.values()):
            if transaction.connection is stream:
                transaction.give_up()

    def _turn(self) -> None:
        while True:
            gevent.sleep(TICK_S)
            self.wheel.turn(time.monotonic())


def _server_key(request: Request) -> str:
    """What repetitions, CANCEL and the ACK of a refusal share with their request: the topmost hop. One
    without a branch of RFC 3261 is told apart as RFC 2543 has it."""
    via = request.fields["via"][0]
    if COOKIE in via:
        return via
    return f"{via} {request.first('call-id')} {request.cseq} {request.first('from')}"
