"""A call (RFC 3261 sections 12 to 15, RFC 3264, RFC 3515): placed or taken, held, transferred, ended.

What waits, waits in the greenlet that asked, with an end; what is received is dealt with at once in the
greenlet that reads.
"""

from __future__ import annotations

import time

import gevent
from gevent.event import AsyncResult

from endpoints_emu.load import digest, in_dialog, sdp
from endpoints_emu.load.answer import Answer
from endpoints_emu.load.call_timings import NoAnswerTimer
from endpoints_emu.load.dialog import routes_of
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.fields import address_in
from endpoints_emu.load.message import MalformedMessage, Request, Response
from endpoints_emu.load.request import ALLOW, fresh
from endpoints_emu.load.session import Session


class Call(Session):
    """One side of a call."""

    def dial(self, uri: str, ring_s: float, direction: sdp.Direction = "sendrecv") -> None:
        """Place the call and wait until it is answered. Raises `CallFailed`."""
        self._direction = direction
        self.call_id = fresh()
        self.target, self.remote = uri, f"<{uri}>"
        self.stack.calls[self.tag] = self
        self.state = "calling"
        self.course.began = time.monotonic()
        try:
            body = self.description().render()
        except OSError as error:
            self.end(0, str(error))
            raise CallFailed(0, str(error)) from None
        final = self._invite("", body, ring_s)
        if final is not None and final.status in (401, 407):
            try:
                final = self._invite(self.agent.authorization(final, "INVITE", uri), body, ring_s)
            except digest.NoAnswer as error:
                self.why = str(error)
        if self.course.status < 200 or self.course.status >= 300:
            status = final.status if final else 0
            self.end(status, final.reason if final else "no answer")
            raise CallFailed(status, self.why)

    def _invite(self, authorization: str, body: str, ring_s: float) -> Response | None:
        """Send INVITE, and wait for its final response; after `ring_s` it is cancelled."""
        self.cseq += 1
        request = self.request("INVITE")
        outcome: AsyncResult = AsyncResult()
        self.course.sent, self.course.indicated = time.monotonic(), None

        def answered(response: Response | None) -> None:
            self._invite_answered(response, outcome)

        data = request.render(f"{self.fields()}{authorization}Content-Type: application/sdp\r\n", body)
        transaction = self.stack.start(self.connection, self.peer, request, data, answered)
        patience = NoAnswerTimer(self, transaction, ring_s)
        self.stack.wheel.at(self.course.sent + ring_s, patience)
        final: Response | None = outcome.get()
        self.stack.wheel.forget(patience)
        if patience.over and self.state == "established":  # answered in the same moment
            self.hang_up()
            self.course.status = 487
        return final

    def invited(self, answer: Answer) -> bool:
        """Begin as the called side; whether the call stands to be answered."""
        request = answer.request
        self.course.began = time.monotonic()
        self.tag = answer.tag
        self.call_id = request.first("call-id")
        to = request.first("to")
        self.local = f"{to};tag={self.tag}"
        self.remote = request.first("from")
        self.asserted = address_in(request.first("p-asserted-identity"))
        self.routes = routes_of(request)
        self.remote_cseq = request.cseq
        self._answer, self.invite = answer, answer.transaction
        self.invite.on_cancel = self._cancelled
        self.invite.on_no_ack = self._unacknowledged
        try:
            self.take_contact(request)
            if request.body:
                self.description().answering(sdp.parse(request.body))
        except (sdp.WrongDescription, MalformedMessage) as error:
            self.state = "ended"
            answer.send(488, "Not Acceptable Here", f'Warning: 399 {self.agent.local_address} "{error}"\r\n')
            return False
        except OSError as error:
            self.state = "ended"
            answer.send(503, "Service Unavailable", f'Warning: 399 {self.agent.local_address} "{error}"\r\n')
            return False
        self.state = "ringing"
        self.stack.calls[self.tag] = self
        return True

    def ring(self) -> None:
        """Tell the caller that it rings (180)."""
        if self._answer is not None and self.state == "ringing":
            self._answer.send(180, "Ringing", f"Contact: {self.agent.contact}\r\n")

    def answer(self) -> None:
        """Take the call (200)."""
        answer = self._answer
        if answer is None or self.state != "ringing":
            return
        own = self.description()
        body = answer.request.body
        if body:
            remote = sdp.parse(body)
            own = own.answering(remote)
            self.start_media(remote)
        else:
            self.offer_here = True
        self.state = "established"
        self.course.answered = time.monotonic()
        self.course.status = 200
        answer.send(200, "OK", self.fields() + "Content-Type: application/sdp\r\n", own.render())

    def transfer(self, target: str, deadline_s: float = 32.0) -> None:
        """Put the other side through to `target` and leave (blind, RFC 5589). Raises `CallFailed`."""
        in_dialog.transfer(self, target, deadline_s)

    def acknowledged(self, request: Request, now: float) -> None:
        """An ACK for our 200."""
        if self.invite is not None:
            self.invite.acknowledged(now)
        if self.offer_here and request.body:
            self.offer_here = False
            try:
                self.start_media(sdp.parse(request.body))
            except sdp.WrongDescription as error:
                self.why = str(error)
                gevent.spawn(self.hang_up)

    def requested(self, answer: Answer) -> None:
        """A request within the call."""
        request = answer.request
        if self.state not in ("established", "ended") and request.method != "BYE":
            answer.send(491, "Request Pending")
            return
        if request.cseq <= self.remote_cseq:
            answer.send(500, "Out Of Order", "Retry-After: 1\r\n")
            return
        self.remote_cseq = request.cseq
        handle = in_dialog.HANDLERS.get(request.method)
        if handle is None:
            answer.send(405, "Method Not Allowed", f"Allow: {ALLOW}\r\n")
        else:
            handle(self, answer)

    def _invite_answered(self, response: Response | None, outcome: AsyncResult) -> None:
        if response is not None and response.status < 200:
            if response.status > 100 and self.course.indicated is None:
                self.course.indicated = time.monotonic()
            return
        if response is not None and response.status not in (401, 407):
            now = time.monotonic()
            self.course.indicated = self.course.indicated or now
            if response.status < 300:
                self._accepted(response, now)
        outcome.set(response)

    def _accepted(self, response: Response, now: float) -> None:
        self.remote = response.first("to")
        self.routes = routes_of(response, reverse=True)
        self.course.status, self.course.answered, self.state = response.status, now, "established"
        try:
            self.take_contact(response)
            self.acknowledge(response.cseq)
            if self.media is not None:
                self.start_media(sdp.parse(response.body))
        except (sdp.WrongDescription, MalformedMessage) as error:
            self.why = str(error)
            self.acknowledge(response.cseq)
            gevent.spawn(self.hang_up)

    def _cancelled(self) -> None:
        if self._answer is not None and self.state == "ringing":
            self._answer.send(487, "Request Terminated")
            self.end(487, "cancelled by the caller")

    def _unacknowledged(self) -> None:
        if self.state == "established" and not self.ended.is_set():
            self.why = "never acknowledged"
            gevent.spawn(self.hang_up)
