"""A run that never was: the reference plan, calls and signalling computed tap by tap, written as captures.

Every packet is sent along the plan's paths as a right network would carry it, through `World.alter`, where a
test breaks something: it gets each packet at each tap and returns it, changed, or None when it never gets
there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pylibsrtp import Session

from testbed.frames import Packet, rtcp, rtp
from testbed.made_up_network import NAT, TAP_NS, MadeUpNetwork, Talker, message, protector, sdp
from uclab.access.record_files import write_record
from uclab.capture.writer import PcapngWriter
from uclab.lab.order_log import write_lab_end
from uclab.plan.schema.codec import plan_to_json, to_data
from uclab.records.run import CallRecord, Checks, Event, HeardAudio
from uclab.records.scenario import (
    SCENARIO,
    SCENARIO_END,
    Asked,
    AskedCall,
    AskedIncident,
    ScenarioEnd,
    ScenarioRecord,
)


@dataclass
class World(MadeUpNetwork):
    """Builds a run directory. `alter` breaks it; `foreign_server` shows another authority's certificate."""

    def register(self, name: str) -> None:
        """REGISTER, answered by 200 OK."""
        user = self.talker(name).endpoint.account.user
        head = f"From: <sip:{user}@ucaas.test>;tag=1\r\nTo: <sip:{user}@ucaas.test>\r\nCall-ID: r-{name}\r\n"
        self.sip(name, True, message("REGISTER sip:ucaas.test SIP/2.0", head, "1 REGISTER"))
        self.sip(name, False, message("SIP/2.0 200 OK", head, "1 REGISTER"))
        self.events.append(Event(self.now / 1e9, name, "registered"))

    # -- calls
    # ------------------------------------------------------------------------------------------------------

    def call(
        self,
        caller: str,
        callee: str,
        seconds: float = 1.2,
        kind: str = "desk-desk",
        heard: tuple[bool, bool] = (True, True),
    ) -> CallRecord:
        """A call with media both ways; keys are agreed by SDP inside TLS on both legs."""
        number = len(self.calls) + 1
        call_id, began = f"call-{number}@lab", self.now
        legs = {}
        users = [self.talker(name).endpoint.account.user for name in (caller, callee)]
        head = f"From: <sip:{users[0]}@ucaas.test>;tag=1\r\nTo: <sip:{users[1]}@ucaas.test>\r\n"
        head += f"Call-ID: {call_id}\r\n"
        for index, name in enumerate((caller, callee)):
            own, hub = self.random.randbytes(30), self.random.randbytes(30)
            legs[name] = (own, hub, 20000 + number * 100 + index * 2)
        body = {
            n: (
                sdp(self.talker(n).address, 16384, None if n in self.plain else legs[n][0]),
                sdp(self.controller.media_address, legs[n][2], None if n in self.plain else legs[n][1]),
            )
            for n in (caller, callee)
        }
        invite, answer = f"INVITE sip:{users[1]}@ucaas.test SIP/2.0", "SIP/2.0 200 OK"
        self.sip(caller, True, message(invite, head, "1 INVITE", body[caller][0]))
        self.sip(callee, False, message(invite, head, "1 INVITE", body[callee][1]))
        self.sip(callee, True, message(answer, head, "1 INVITE", body[callee][0]))
        self.sip(caller, False, message(answer, head, "1 INVITE", body[caller][1]))
        answered = self.now
        for speaker, listener in ((caller, callee), (callee, caller)):
            self._media(speaker, listener, legs, answered + 5_000_000, int(seconds * 50))
        self.now = answered + int(seconds * 1e9) + 200_000_000
        ended = self.now
        self.sip(caller, True, message(f"BYE sip:{users[1]}@ucaas.test SIP/2.0", head, "2 BYE"))
        tones = [self.talker(name).endpoint.tone_hz for name in (caller, callee)]
        audio = [
            HeardAudio(tone, ok, -12.0 if ok else -80.0, 1.0 if ok else 0.0)
            for tone, ok in zip(tones, heard, strict=True)
        ]
        record = CallRecord(
            f"c{number}",
            caller,
            callee,
            kind,
            True,
            began / 1e9,
            answered / 1e9,
            ended / 1e9,
            (answered - began) / 1e6,
            call_id,
            audio[0],
            audio[1],
        )
        self.calls.append(record)
        return record

    def _media(
        self, speaker: str, listener: str, legs: dict[str, tuple[bytes, bytes, int]], at_ns: int, count: int
    ) -> None:
        up, down = (self.talker(name) for name in (speaker, listener))
        ssrc, first = self.random.randrange(1 << 32), self.random.randrange(1 << 16)
        protect_up, protect_down = protector(legs[speaker][0]), protector(legs[listener][1])
        tone = bytes(range(0x80, 0xA8)) * 4
        for index in range(count):
            plain = rtp(ssrc, first + index, index * 160, tone)
            wire = plain if speaker in self.plain else protect_up.protect(plain)
            sent = at_ns + index * 20_000_000
            packet = Packet(
                "",
                "",
                up.address,
                self.controller.media_address,
                16384,
                legs[speaker][2],
                wire,
                self.plan.policy.voice_dscp,
            )
            arrives = self._arrival(packet, up, sent)
            if arrives is None:
                continue
            wire = plain if listener in self.plain else protect_down.protect(plain)
            packet = Packet(
                "",
                "",
                self.controller.media_address,
                down.address,
                legs[listener][2],
                16384,
                wire,
                self.plan.policy.voice_dscp,
            )
            self.carry(packet, down, "down", arrives + 100_000)

        self._report(speaker, listener, legs, ssrc, (protect_up, protect_down), at_ns + count * 10_000_000)

    def _report(
        self,
        speaker: str,
        listener: str,
        legs: dict[str, tuple[bytes, bytes, int]],
        ssrc: int,
        sessions: tuple[Session, Session],
        at_ns: int,
    ) -> None:
        """A sender's report in the middle of the media, on the ports beside it."""
        up, down, voice = self.talker(speaker), self.talker(listener), self.plan.policy.voice_dscp
        wires = [
            rtcp(ssrc) if name in self.plain else session.protect_rtcp(rtcp(ssrc))
            for name, session in zip((speaker, listener), sessions, strict=True)
        ]
        hub, ports = self.controller.media_address, [legs[name][2] + 1 for name in (speaker, listener)]
        packet = Packet("", "", up.address, hub, 16385, ports[0], wires[0], voice)
        arrives = self._arrival(packet, up, at_ns)
        if arrives is not None:
            packet = Packet("", "", hub, down.address, ports[1], 16385, wires[1], voice)
            self.carry(packet, down, "down", arrives + 100_000)

    def _arrival(self, packet: Packet, talker: Talker, at_ns: int) -> int | None:
        """Sends upwards; when it is at the session controller, or None."""
        tap = self.plan.session_controllers[0].node + ":eth0"
        before = len(self.frames.get(self._namespace[tap], []))
        self.carry(packet, talker, "up", at_ns)
        after = self.frames.get(self._namespace[tap], [])
        return after[-1][0] if len(after) > before else None

    def bulk(self, packets: int = 100, lost: float = 0.3) -> None:
        """Bulk traffic from its source towards the public server, of which the site router drops a share."""
        bulk = self.plan.bulk[0]
        pc = self.plan.node(bulk.source_node)
        phone = bulk.source_node.replace("pc", "desk")
        desk = next(path for path in self.plan.paths if path.endpoint == phone)
        address, voice = pc.interfaces[0].addresses[0].split("/")[0], desk.hops[2].vlan
        data = next(vlan.id for vlan in self.plan.vlans if vlan.role == "data")
        taps = [f"{pc.name}:eth0", f"{phone}-sw:3"]
        taps += [hop.tap for hop in desk.hops[2:10]] + ["fw-sw:2", "fw:data", "fw:wan", "edge:lan"]
        for index in range(packets):
            out = (
                []
                if index % 100 < lost * 100
                else ["edge:wan1", "isp1:edge", "isp1:inet", "inet:isp1", "inet:web", "web:eth0"]
            )
            for number, tap in enumerate(taps + out):
                vlan = data if voice and tap.startswith(("acc", "dist", "core", "fw-sw:6")) else None
                if vlan and tap == desk.hops[3].tap:
                    vlan = None  # untagged on the phone's port
                packet = Packet(
                    pc.interfaces[0].mac,
                    self.plan.node("fw").interface("data").mac,
                    NAT if tap in out else address,
                    bulk.target_address,
                    9,
                    9,
                    b"\0" * 1000,
                    vlan=vlan,
                )
                changed = self.alter(packet, tap, "up")
                if changed is None:
                    break
                self.put(tap, self.now + index * 1_000_000 + number * TAP_NS, bytes(changed))
        self.now += packets * 1_000_000

    # -- the run directory
    # ------------------------------------------------------------------------------------------

    def write(self) -> Path:
        """Everything as `uclab.records.run` says."""
        (self.folder / "plan.json").write_text(plan_to_json(self.plan))
        (self.folder / "calls.json").write_text(json.dumps([to_data(call) for call in self.calls]))
        events = [Event(0.0, "lab", "up"), *self.events, Event(self.now / 1e9, "lab", "down")]
        lines = [json.dumps(to_data(event)) for event in events]
        (self.folder / "events.jsonl").write_text("\n".join(lines) + "\n")
        if not (self.folder / SCENARIO).exists():
            self.write_scenario("test", "reference")
        for namespace in {tap.namespace for tap in self.plan.taps}:
            taps = [tap.label for tap in self.plan.taps if tap.namespace == namespace]
            with PcapngWriter(self.folder / "captures" / f"{namespace}.pcapng", taps) as writer:
                for at_ns, tap, frame in sorted(self.frames.get(namespace, []), key=lambda item: item[0]):
                    writer.write(taps.index(tap), at_ns, frame[: self.cut.get(tap)], len(frame))
                writer.statistics([self.drops.get(tap, 0) for tap in taps])
        return self.folder

    def write_scenario(self, name: str, checks: Checks, incidents: tuple[AskedIncident, ...] = ()) -> None:
        """What was to happen: the calls that did, and these incidents. And that it ended as planned."""
        calls = [
            AskedCall(c.id, c.caller, c.callee, c.kind, (c.ended_at or 0.0) - (c.answered_at or 0.0))
            for c in self.calls
        ]
        write_record(
            self.folder / SCENARIO, ScenarioRecord(name, checks, 1.0, Asked(tuple(calls), incidents))
        )
        write_record(self.folder / SCENARIO_END, ScenarioEnd(self.now / 1e9, "whole"))
        write_lab_end(self.folder)
