"""What a run leaves on disk for the judge: written by lab and scenarios, read by judge and report.

Layout of a run directory:
```
plan.json             the clean plan (what should be)
plan.applied.json     the plan as brought up (differs only in a drill)
host.json             the machine and the variants that the lab ran on
pressure.jsonl        how the machine served the lab's programs (`uclab.records.host_pressure`)
captures/<namespace>.pcapng   one a namespace, interfaces named `device:port` (tap labels)
captures/times.jsonl  when each capture was running (`uclab.records.captures`)
keys/tls.keylog       NSS key log of the lab's own TLS sessions
endpoints/<name>/     logs and received audio (`<call id>.wav`)
services/<name>/      logs of the cloud's containers
events.jsonl          one `Event` a line
sdwan/paths.jsonl     what an SD-WAN's paths were like (`uclab.records.overlay`)
calls.json            list of `CallRecord`
messages.json         list of `MessageRecord`; what came in is an `Event` of its recipient
campaign/             of a campaign (`uclab.plan.load.record`)
scenario.json         what is to happen, and what it is judged as; how it ended: `uclab.records.scenario`
incidents.json        list of `Incident`, where the scenario broke something
results.json report.html junit.xml
```
Times are seconds since the epoch on the machine's one clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["caller_to_callee", "callee_to_caller"]
"""Of the media of a call: who sends, and to whom."""
Checks = Literal["reference", "failover", "load", "capacity"]
"""A set of checks: `reference` judges everything; `failover` what still makes sense while things are broken
on purpose, and what failures did to calls; `load` what many users met in a campaign."""
How = Literal["cut", "black-hole", "brown-out", "kill"]
"""How something fails: no carrier; everything dropped, link up; loss and delay, link up; a dead router: its
programs ended, it stops forwarding, its links up."""


FAULT, FAILED, HEALED, BY_HAND = "fault", "failed-on-purpose", "healed", "command-by-hand"
"""Kinds of events: the lab came up with this fault; somebody failed a link or device, or healed it; somebody
ran a command in a device."""
MESSAGE_RECEIVED, MESSAGE_RECEIPT = "message-received", "message-receipt"
"""Kind of event: a text message came in at the event's source; the detail is its text, and it is about the
sender's URI."""
LINE_CHANGED, BY_TIMETABLE = "line-changed", "timetable"
"""Kind of event: a line does something else from now on; and what it is about where its timetable did it."""


@dataclass(frozen=True)
class Event:
    """Something that happened: a registration, a refusal, a link down, a device that died."""

    time: float
    source: str
    """Endpoint, service, switch or `lab`."""
    kind: str
    """E.g. `registered`, `registration-failed`, `tls-refused`, `call-established`, `port-security-drop`,
    `process-died`."""
    detail: str = ""
    """For people."""
    about: str = ""
    """What it is about beside its source, where that is one thing: the Call-ID of a call, the host name of a
    registrar, the MAC address of a dropped frame's sender, why a line changed."""
    links: tuple[str, ...] = ()
    """The links that were failed, or healed."""


@dataclass(frozen=True)
class Incident:
    """Something that was broken on purpose during live calls, and restored (V2)."""

    name: str
    """What kind: `circuit-down`, `isp-lost`, ..."""
    subject: str
    """What failed: a link, a device, a data centre."""
    parts: tuple[str, ...]
    """Links or devices that were failed."""
    how: How
    survivable: bool
    """By the plan an alternate path leads to the cloud meanwhile; or it is not on the path of calls."""
    round: int
    """1 for the first time, 2 for its first repetition..."""
    failed_at: float
    healed_at: float
    ended_at: float
    """Until when calls were watched after restoration."""
    calls: tuple[str, ...]
    """Ids of the calls that were live when it failed."""
    asked: int
    """How many calls were placed."""
    wanted: int
    """How many were wanted; the endpoints may allow fewer."""
    flaps: int = 0
    """How often it went away again after restoration, before it stayed."""


@dataclass(frozen=True)
class HeardAudio:
    """Whether the known signal of the other side arrived: measured on the recording of what was received."""

    expected_hz: int
    heard: bool
    level_db: float | None = None
    """Of the expected tone relative to full scale; None without a recording."""
    share: float | None = None
    """Share (0..1) of 100 ms windows during the call in which the tone was there."""


@dataclass(frozen=True)
class CallRecord:
    """One call as its parties experienced it."""

    id: str
    caller: str
    callee: str
    kind: str
    established: bool
    started_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    setup_ms: float | None = None
    """From sending INVITE to 200 OK at the caller (RFC 6076: session request delay is to 180; this is to
    answer)."""
    sip_call_id: str | None = None
    """Call-ID at the caller's leg, where the endpoint tells it."""
    caller_to_callee: HeardAudio | None = None
    callee_to_caller: HeardAudio | None = None
    error: str | None = None
    expected: Literal["established", "refused"] = "established"


@dataclass(frozen=True)
class MessageRecord:
    """A text message as its sender experienced it (RFC 3428)."""

    id: str
    sender: str
    recipient: str
    text: str
    sent_at: float
    answered_at: float | None = None
    status: int | None = None
    """Of the final response."""
    error: str | None = None
    """Why there was none."""
    call_id: str | None = None
    """By which a receipt names it."""

    @property
    def accepted(self) -> bool:
        """Whether the recipient, or the cloud for it, took the message."""
        return self.status is not None and 200 <= self.status < 300
