"""A site with two lines that never was: one call through one incident, carried as a test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from testbed.frames import TCP, Packet
from testbed.made_up_network import Leg, Talker, message
from testbed.plans import shipped_plan
from testbed.world import World
from uclab.judge.judging import judge_run
from uclab.judge.result.incidents import JudgedIncident
from uclab.judge.result.judgement import Finding, Judgement
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import PathHop, Plan
from uclab.plan.traffic.incidents import HELD_CALL
from uclab.records.run import CallRecord, Event, Incident
from uclab.records.scenario import AskedIncident

FAILED_S, HEALED_S, ENDED_S, LASTS_S = 1.6, 5.2, 8.0, 8.6
"""Seconds since the first media packet."""
SECOND_NAT = "203.0.113.66"
"""The site's address on the second line."""

Carrier = Callable[[float, Leg], str | None]
"""By which line (`wan1`, `wan2`) a packet goes, by seconds since the first media packet; None: by none."""


def wanted(at: float, leg: Leg) -> str | None:
    """As it should be: a short silence, the second line, and back without one."""
    if FAILED_S <= at < FAILED_S + 0.3:
        return None
    return "wan2" if FAILED_S <= at < HEALED_S else "wan1"


def dual_plan(*names: str) -> Plan:
    """`smb-dual-wan` with only these endpoints and no bulk traffic."""
    plan = shipped_plan("smb-dual-wan")
    return replace(plan, endpoints=tuple(e for e in plan.endpoints if e.name in names), bulk=())


@dataclass
class TwoLines(World):
    """Carries media by the line that `carrier` names, signalling as it should be."""

    carrier: Carrier = wanted
    zero_ns: int = 0
    clock_ns: int = 0
    """When the packet that is carried now was sent."""
    line: str | None = None
    """By which line it goes."""
    incidents: list[Incident] = field(default_factory=list)

    def carry(self, packet: Packet, talker: Talker, leg: Leg, at_ns: int) -> None:
        self.clock_ns = at_ns
        line: str | None = "wan1"
        if self.zero_ns and talker.endpoint.name != "pstn":
            carrier = wanted if packet.proto == TCP else self.carrier
            line = carrier((at_ns - self.zero_ns) / 1e9, leg)
        self.line = line
        super().carry(packet, replace(talker, hops=rerouted(talker.hops, line, leg)), leg, at_ns)

    def dressed(self, packet: Packet, hop: PathHop, talker: Talker, leg: Leg) -> Packet:
        dressed = super().dressed(packet, _of_first(hop), talker, leg)
        if self.line == "wan2" and hop.tap.startswith(("edge:wan2", "isp2", "inet", "fra1")):
            return dressed.but({"src" if leg == "up" else "dst": SECOND_NAT})
        return dressed

    def _media(
        self, speaker: str, listener: str, legs: dict[str, tuple[bytes, bytes, int]], at_ns: int, count: int
    ) -> None:
        self.zero_ns = self.zero_ns or at_ns
        super()._media(speaker, listener, legs, at_ns, count)

    def through(self, caller: str = "desk1", callee: str = "pstn", kind: str = "failover") -> CallRecord:
        """Register, call through an incident, and record it."""
        for name in ("desk1", "pstn"):
            self.connect(name)
        self.register("desk1")
        call = self.call(caller, callee, seconds=LASTS_S, kind=kind)
        self.incidents.append(self.incident(call))
        return call

    def incident(self, *calls: CallRecord) -> Incident:
        """The first line is cut, and restored."""
        failed, healed, ended = (self.at(t) for t in (FAILED_S, HEALED_S, ENDED_S))
        ids = tuple(call.id for call in calls)
        return Incident(
            "circuit-down", "edge-isp1", ("edge-isp1",), "cut", True, 1, failed, healed, ended, ids, 1, 10
        )

    def at(self, seconds: float) -> float:
        """Seconds since the first media packet as time."""
        return self.zero_ns / 1e9 + seconds

    def register_anew(self, phone: str, at: float) -> None:
        """A new connection and a registration on it, answered about at that time."""
        before, self.now = self.now, int(self.at(at - 0.5) * 1e9)
        self.talker(phone).port += 1000
        self.connect(phone)
        self.register(phone)
        self.now = before

    def invites_again(self, call: CallRecord, at: float) -> None:
        """A re-INVITE of the caller's phone within the call, answered about at that time."""
        before, self.now = self.now, int(self.at(at - 0.1) * 1e9)
        head = "From: <sip:301@ucaas.test>;tag=1\r\nTo: <sip:x@ucaas.test>;tag=2\r\n"
        head += f"Call-ID: {call.sip_call_id}\r\n"
        self.sip(call.caller, True, message("INVITE sip:x@ucaas.test SIP/2.0", head, "7 INVITE"))
        self.sip(call.caller, False, message("SIP/2.0 200 OK", head, "7 INVITE"))
        self.now = before

    def closes(self, call: CallRecord, at: float, reason: str) -> None:
        """The caller's phone says that the call ended."""
        call_id = call.sip_call_id or ""
        closed = Event(self.at(at), call.caller, "call-closed", f"{call_id} {reason}", about=call_id)
        self.events.append(closed)

    def write(self) -> Path:
        folder = super().write()
        (folder / "incidents.json").write_text(json.dumps([to_data(i) for i in self.incidents]))
        played = tuple(AskedIncident(one.name, one.subject, one.round) for one in self.incidents)
        self.write_scenario("failover", "failover", played)
        return folder

    def judged(self) -> Outcome:
        """What the judge says."""
        return Outcome(judge_run(self.write()))


@cache
def rerouted(hops: tuple[PathHop, ...], line: str | None, leg: Leg) -> tuple[PathHop, ...]:
    """A path as planned over `wan1`, over another line; without one it ends at the router, or before it."""
    if line is None:
        at = next(number for number, hop in enumerate(hops) if hop.tap == "edge:wan1")
        return hops[:at] if leg == "up" else hops[at + 3 :]
    if line == "wan1":
        return hops
    names = {"edge:wan1": "edge:wan2", "inet:isp1": "inet:isp2"}
    return tuple(replace(hop, tap=names.get(hop.tap, hop.tap.replace("isp1:", "isp2:"))) for hop in hops)


@cache
def _of_first(hop: PathHop) -> PathHop:
    """The same place on the first line: there it is dressed alike."""
    names = {"edge:wan2": "edge:wan1", "inet:isp2": "inet:isp1"}
    return replace(hop, tap=names.get(hop.tap, hop.tap.replace("isp2:", "isp1:")))


@dataclass(frozen=True)
class Outcome:
    """A judgement with questions that tests ask."""

    judgement: Judgement

    @property
    def incident(self) -> JudgedIncident:
        (judged,) = self.judgement.incidents
        return judged

    def finding(self, name: str, subject: str = "") -> Finding:
        """The one finding of that id whose subject ends so."""
        (found,) = (f for f in self.judgement.findings if f.id == name and f.subject.endswith(subject))
        return found

    @property
    def failed(self) -> set[str]:
        """Ids of the findings of failover that failed."""
        return {f.id for f in self.judgement.findings if f.id.startswith("failover.") and f.verdict == "fail"}


__all__ = ["HELD_CALL", "Outcome", "TwoLines", "dual_plan", "wanted"]
