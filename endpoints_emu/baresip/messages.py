"""What baresip 1.1.0 says, in words of the lab: pure functions on its texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from endpoints_emu.phone import Refusal, Statistics

_ERRNO_REFUSALS = {
    "Connection timed out": Refusal.TIMEOUT,
    "Destination address required": Refusal.NAME,
    "No such file or directory": Refusal.NAME,
    "Protocol error": Refusal.TLS,
}


@dataclass(frozen=True)
class RegistrationOutcome:
    """What the lab's module `flow` tells of a registration."""

    registrar: int
    """Number of the account, which is the place of its registrar."""
    accepted: bool
    text: str
    """`200 OK`, another status, or an error: also that the connection was lost."""


def registration_outcome(parameter: str) -> RegistrationOutcome | None:
    """The outcome in the parameter of a `MODULE` event; None for events of other modules."""
    found = re.fullmatch(r"flow,(accepted|failed),(\d+) (.*)", parameter, re.DOTALL)
    return RegistrationOutcome(int(found[2]), found[1] == "accepted", found[3]) if found else None


def registration_refusal(parameter: str, tls_log: str) -> Refusal:
    """Why a registration failed: from the event's parameter (`403 Forbidden`, or an error text) and the log
    since.

    A refused certificate is a mere protocol error in the event; the reason is only in the log.
    """
    status = re.match(r"(\d{3}) ", parameter)
    if status:
        return Refusal.CREDENTIALS if status[1] in ("401", "403", "407") else Refusal.REJECTED
    if certificate_error(tls_log):
        return Refusal.CERTIFICATE
    for text, refusal in _ERRNO_REFUSALS.items():
        if text in parameter:
            return refusal
    return Refusal.UNREACHABLE


def is_protocol_error(parameter: str) -> bool:
    """Whether the end of a call may be a failed TLS handshake."""
    return "Protocol error" in parameter


def certificate_error(log: str) -> str | None:
    """The reason that OpenSSL gave for not trusting a certificate, the last in the log."""
    found = re.findall(r"error_string\s*=\s*(.+)", log)
    if found:
        return str(found[-1]).strip()
    return "certificate verify failed" if "certificate verify failed" in log else None


def call_id(answer: str) -> str | None:
    """The leg's id (its SIP Call-ID) in the answer to `dial`."""
    found = re.search(r"call id: (\S+)", answer)
    return found[1] if found else None


def statistics(audio_debug: str, srtp_suite: str | None, rtcp: Mapping[str, Any] | None) -> Statistics:
    """Counters in the answer to `audio_debug`, and in the last `CALL_RTCP` event.

    RTCP comes every 5 s: before the first, loss and jitter are unknown. Times in the event are microseconds.
    """
    codec = re.search(r"encode: ([^\s/]+)", audio_debug)
    sent = re.search(r"TX: packets=(\d+)", audio_debug)
    received = re.search(r"psent=\d+ rcvd=(\d+)", audio_debug)
    known = Statistics(
        codec=codec[1] if codec else None,
        srtp_suite=srtp_suite,
        sent_packets=int(sent[1]) if sent else None,
        received_packets=int(received[1]) if received else None,
    )
    if not rtcp or not rtcp["tx"]["sent"]:
        return known
    return replace(
        known,
        received_lost=rtcp["rx"]["lost"],
        sent_lost=rtcp["tx"]["lost"],
        received_jitter_ms=rtcp["rx"]["jit"] / 1000,
        sent_jitter_ms=rtcp["tx"]["jit"] / 1000,
        round_trip_ms=rtcp["rtt"] / 1000 or None,
    )
