"""Requests within a call: what is done with the other side's, and putting through (RFC 3515, RFC 5589)."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
from gevent.event import AsyncResult

from endpoints_emu.load import sdp
from endpoints_emu.load.answer import Answer
from endpoints_emu.load.failure import CallFailed
from endpoints_emu.load.fields import address_in
from endpoints_emu.load.message import MalformedMessage
from endpoints_emu.load.request import ALLOW
from endpoints_emu.load.session import Session


def transfer(call: Session, target: str, deadline_s: float) -> None:
    """Ask the other side to call `target`, wait for what comes of it, and leave. Raises `CallFailed`."""
    uri = target if target.startswith("sip") else f"sip:{target}@{call.agent.account.domain}"
    call.progress = AsyncResult()
    rest = (
        f"Refer-To: <{uri}>\r\nReferred-By: <{call.agent.account.aor}>\r\nContact: {call.agent.contact}\r\n"
    )
    accepted = call.ask("REFER", rest)
    if accepted is None or accepted.status >= 300:
        raise CallFailed(accepted.status if accepted else 0, "transfer refused")
    try:
        status = call.progress.get(timeout=deadline_s)
    except gevent.Timeout:
        raise CallFailed(0, f"transfer without outcome in {deadline_s:g} s") from None
    if status >= 300:
        raise CallFailed(status, "transfer failed")
    call.hang_up()


def _bye(call: Session, answer: Answer) -> None:
    answer.send(200, "OK")
    if not call.course.finished:
        call.course.finished = time.monotonic()
        call.by_peer = True
        call.end(200, "hung up by the other side")


def _offered(call: Session, answer: Answer) -> None:
    """A new offer: answered in its kind."""
    request = answer.request
    if call.state == "ended":
        answer.send(481, "Call Does Not Exist")
        return
    call.offers += 1
    if request.method == "INVITE":
        call.invite = answer.transaction
    body = ""
    try:
        call.take_contact(request)
        if request.body:
            remote = sdp.parse(request.body)
            body = call.description().answering(remote).render()
            call.start_media(remote)
        elif request.method == "INVITE":
            call.offer_here = True
            body = call.description().render()
    except (sdp.WrongDescription, MalformedMessage) as error:
        answer.send(488, "Not Acceptable Here", f'Warning: 399 {call.agent.local_address} "{error}"\r\n')
        return
    kind = "Content-Type: application/sdp\r\n" if body else ""
    answer.send(200, "OK", call.fields() + kind, body)


def _referred(call: Session, answer: Answer) -> None:
    """To be transferred: the new call is placed, and the other side told what came of it."""
    uri = address_in(answer.request.first("refer-to"))
    if not uri.startswith(("sip:", "sips:")) or "?" in uri:
        answer.send(603, "Decline")
        return
    answer.send(202, "Accepted", f"Contact: {call.agent.contact}\r\n")
    gevent.spawn(_follow, call, uri)


def _follow(call: Session, uri: str) -> None:
    _notify(call, "100 Trying", "active;expires=60")
    try:
        new = call.agent.call(uri, media=call.with_media)
    except CallFailed as error:
        _notify(call, f"{error.status or 408} Failed", "terminated;reason=noresource")
        return
    call.replaced_by = new
    call.agent.on_transferred(call, new)
    _notify(call, "200 OK", "terminated;reason=noresource")


def _notify(call: Session, line: str, subscription: str) -> None:
    if call.state == "established":
        rest = f"Event: refer\r\nSubscription-State: {subscription}\r\nContact: {call.agent.contact}\r\n"
        call.ask("NOTIFY", f"{rest}Content-Type: message/sipfrag\r\n", f"SIP/2.0 {line}\r\n")


def _notified(call: Session, answer: Answer) -> None:
    answer.send(200, "OK")
    words = answer.request.body.decode(errors="replace").split(None, 2)
    if call.progress is not None and len(words) > 1 and words[1].isdigit() and int(words[1]) >= 200:
        call.progress.set(int(words[1]))


def _options(call: Session, answer: Answer) -> None:
    answer.send(200, "OK", f"Allow: {ALLOW}\r\nAccept: application/sdp\r\n")


HANDLERS: dict[str, Callable[[Session, Answer], None]] = {
    "BYE": _bye,
    "INVITE": _offered,
    "UPDATE": _offered,
    "REFER": _referred,
    "NOTIFY": _notified,
    "OPTIONS": _options,
}
"""What is done with each request within a call."""
