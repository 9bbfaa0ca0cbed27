"""A run that never was: the reference plan, calls and signalling computed tap by tap, written as captures.

Every packet is sent along the plan's paths as a right network would carry it, through `World.alter`, where a
test breaks something: it gets each packet at each tap and returns it, changed, or None when it never gets
there.
"""

from __future__ import annotations

import base64
import json
import random
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pylibsrtp import Policy, Session

from testbed.frames import TCP, UDP, Packet, rtcp, rtp
from testbed.plans import shipped_plan
from testbed.tls import Issued, TlsSession, issue, pem, tls_session
from uclab.access.record_files import write_record
from uclab.capture.writer import PcapngWriter
from uclab.lab.order_log import write_lab_end
from uclab.plan.schema.codec import plan_to_json, to_data
from uclab.plan.schema.plan import Endpoint, PathHop, Plan, PortMode
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

START_NS = 1_800_000_000_000_000_000
NAT = "203.0.113.2"
"""The site's one public address."""
TAP_NS = 20_000
"""From tap to tap."""
LINE_NS = 15_000_000
"""Over the line to the provider."""

Leg = Literal["up", "down"]
Alter = Callable[[Packet, str, Leg], Packet | None]


@cache
def reference_plan(*names: str) -> Plan:
    """`enterprise-hq` with only these endpoints, and its upward bulk traffic."""
    plan = shipped_plan("enterprise-hq")
    endpoints = tuple(e for e in plan.endpoints if e.name in names)
    return for_short_calls(replace(plan, endpoints=endpoints, bulk=plan.bulk[:1]))


def for_short_calls(plan: Plan) -> Plan:
    """A plan whose limits calls of 30 packets can show to be kept; those of the shipped one they cannot."""
    sure = replace(plan.policy.confidence, assumed_design_effect=1.0)
    return replace(plan, policy=replace(plan.policy, max_loss_pct=6.0, min_mos=3.0, confidence=sure))


@dataclass
class Talker:
    """An endpoint's connection with the session controller, and its keys."""

    endpoint: Endpoint
    address: str
    mac: str
    gateway_mac: str
    hops: tuple[PathHop, ...]
    port: int
    pipe: TlsSession | None = None
    seq: dict[bool, int] = field(default_factory=dict)
    cseq: int = 1


@dataclass
class World:
    """Builds a run directory. `alter` breaks it; `certificate` is what the session controller shows."""

    folder: Path
    plan: Plan
    alter: Alter = lambda packet, tap, leg: packet
    plain: frozenset[str] = frozenset()
    """Endpoints that send plain RTP."""
    foreign_server: bool = False
    tls_version: str = "1.3"
    drops: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    """Tap -> bytes that its capture keeps of each packet."""
    calls: list[CallRecord] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    frames: dict[str, list[tuple[int, str, bytes]]] = field(default_factory=dict)
    now: int = START_NS
    _talkers: dict[str, Talker] = field(default_factory=dict)
    _connections: int = 0
    _dress: dict[tuple[str, int | None, str, Leg, int], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in ("captures", "keys"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self._namespace = {tap.label: tap.namespace for tap in self.plan.taps}
        self._wire = {tap.label: tap for tap in self.plan.taps}
        self.keylog = self.folder / "keys" / "tls.keylog"
        self.keylog.touch()
        authority, foreign = issue("uclab lab CA"), issue("Foreign CA")
        (self.folder / "keys" / "ca.pem").write_bytes(pem(authority))
        issuer: Issued = foreign if self.foreign_server else authority
        self._certificate = self.folder / "keys" / "server.pem"
        self._certificate.write_bytes(pem(issue("sip.ucaas.test", issuer), with_key=True))
        self.controller = self.plan.session_controllers[0]
        self.random = random.Random(7)

    def talker(self, name: str) -> Talker:
        """The endpoint's connection, made when first asked for."""
        if name not in self._talkers:
            endpoints = {
                e.name: e for e in (*self.plan.endpoints, *(p.endpoint for p in self.plan.pstn_peers))
            }
            endpoint = endpoints[name]
            interface = self.plan.node(endpoint.node).interfaces[0]
            path = next(path for path in self.plan.paths if path.endpoint == name)
            zone = next((hop.tap.split(":")[1] for hop in path.hops if hop.tap.startswith("fw:")), None)
            gateway = self.plan.node("fw").interface(zone).mac if zone else "02:00:00:00:00:01"
            if zone is None:
                gateway = self.plan.node("fra1-sbc").interfaces[0].mac
            address = interface.addresses[0].split("/")[0]
            port = 40000 + len(self._talkers)
            self._talkers[name] = Talker(endpoint, address, interface.mac, gateway, path.hops, port)
        return self._talkers[name]

    # -- the network
    # ------------------------------------------------------------------------------------------------

    def carry(self, packet: Packet, talker: Talker, leg: Leg, at_ns: int) -> None:
        """Sends a packet between an endpoint and the session controller, past every tap on the way."""
        hops = talker.hops if leg == "up" else tuple(reversed(talker.hops))
        moving: Packet | None = packet
        for hop in hops:
            if hop.tap == ("isp1:edge" if leg == "up" else "edge:wan1"):
                at_ns += LINE_NS
            assert moving is not None
            moving = self.alter(self.dressed(moving, hop, talker, leg), hop.tap, leg)
            if moving is None:
                return
            self.put(hop.tap, at_ns, bytes(moving))
            at_ns += TAP_NS

    def put(self, tap: str, at_ns: int, frame: bytes) -> None:
        """A frame at a tap."""
        self.frames.setdefault(self._namespace[tap], []).append((at_ns, tap, frame))

    def dressed(self, packet: Packet, hop: PathHop, talker: Talker, leg: Leg) -> Packet:
        """The packet as it looks at a hop: tag, priority, MACs, address translation."""
        key = (hop.tap, hop.vlan, talker.endpoint.name, leg, packet.dscp)
        if key not in self._dress:
            self._dress[key] = self._dress_at(hop, talker, leg, packet.dscp)
        return packet.but(self._dress[key])

    def _dress_at(self, hop: PathHop, talker: Talker, leg: Leg, dscp: int) -> dict[str, Any]:
        outside = hop.tap.startswith(("edge:wan", "isp", "inet", "fra1")) and talker.endpoint.name != "pstn"
        inside = not hop.tap.startswith(("edge", "isp", "inet", "fra1", "fw:wan"))
        near = NAT if outside else talker.address
        pcp = self.plan.policy.pcp(dscp) if hop.vlan is not None else 0
        here, there = (
            (talker.mac, talker.gateway_mac)
            if inside
            else (self.plan.node("edge").interfaces[0].mac, self.plan.node("fra1-sbc").interfaces[0].mac)
        )
        if leg == "up":
            return {"src": near, "src_mac": here, "dst_mac": there, "vlan": hop.vlan, "pcp": pcp}
        return {"dst": near, "src_mac": there, "dst_mac": here, "vlan": hop.vlan, "pcp": pcp}

    # -- signalling
    # -------------------------------------------------------------------------------------------------

    def connect(self, name: str, refuses: bool = False) -> None:
        """TCP and TLS from an endpoint to the session controller; one that refuses the certificate hangs
        up."""
        talker = self.talker(name)
        version = {
            "1.3": ssl.TLSVersion.TLSv1_3,
            "1.2": ssl.TLSVersion.TLSv1_2,
            "1.1": ssl.TLSVersion.TLSv1_1,
        }
        self._connections += 1
        talker.pipe = tls_session(
            self._certificate, self.keylog, version[self.tls_version], self._connections
        )
        talker.seq = {True: self.random.randrange(1 << 31), False: self.random.randrange(1 << 31)}
        for from_client, flags in ((True, 0x02), (False, 0x12), (True, 0x10)):
            self._segment(talker, from_client, b"", flags)
        wire = talker.pipe.handshake()
        for from_client, data in wire[:2] if refuses else wire:
            self._segments(talker, from_client, data)
        if refuses:
            self._segments(talker, True, b"\x15\x03\x03\x00\x02\x02\x30")  # alert: unknown CA
            self.events.append(Event(self.now / 1e9, name, "tls-refused", "unknown CA"))

    def sip(self, name: str, from_client: bool, text: str) -> None:
        """A SIP message over the endpoint's connection."""
        talker = self.talker(name)
        assert talker.pipe is not None
        for sender, data in talker.pipe.send(from_client, text.encode()):
            self._segments(talker, sender, data)

    def _segments(self, talker: Talker, from_client: bool, data: bytes) -> None:
        for start in range(0, len(data), 1400):
            self._segment(talker, from_client, data[start : start + 1400], 0x18)

    def _segment(self, talker: Talker, from_client: bool, data: bytes, flags: int) -> None:
        here, there = (talker.address, talker.port), (self.controller.address, talker.endpoint.registrar_port)
        src, dst = (here, there) if from_client else (there, here)
        dscp = self.plan.policy.signalling_dscp
        packet = Packet(
            "",
            "",
            src[0],
            dst[0],
            src[1],
            dst[1],
            data,
            dscp,
            TCP,
            seq=talker.seq[from_client],
            ack=talker.seq[not from_client] if flags & 0x10 else 0,
            flags=flags,
        )
        talker.seq[from_client] += len(data) + (flags & 0x02) // 2
        self.now += 40_000_000
        self.carry(packet, talker, "up" if from_client else "down", self.now)

    def register(self, name: str) -> None:
        """REGISTER, answered by 200 OK."""
        user = self.talker(name).endpoint.account.user
        head = f"From: <sip:{user}@ucaas.test>;tag=1\r\nTo: <sip:{user}@ucaas.test>\r\nCall-ID: r-{name}\r\n"
        self.sip(name, True, _message("REGISTER sip:ucaas.test SIP/2.0", head, "1 REGISTER"))
        self.sip(name, False, _message("SIP/2.0 200 OK", head, "1 REGISTER"))
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
                _sdp(self.talker(n).address, 16384, None if n in self.plain else legs[n][0]),
                _sdp(self.controller.media_address, legs[n][2], None if n in self.plain else legs[n][1]),
            )
            for n in (caller, callee)
        }
        invite, answer = f"INVITE sip:{users[1]}@ucaas.test SIP/2.0", "SIP/2.0 200 OK"
        self.sip(caller, True, _message(invite, head, "1 INVITE", body[caller][0]))
        self.sip(callee, False, _message(invite, head, "1 INVITE", body[callee][1]))
        self.sip(callee, True, _message(answer, head, "1 INVITE", body[callee][0]))
        self.sip(caller, False, _message(answer, head, "1 INVITE", body[caller][1]))
        answered = self.now
        for speaker, listener in ((caller, callee), (callee, caller)):
            self._media(speaker, listener, legs, answered + 5_000_000, int(seconds * 50))
        self.now = answered + int(seconds * 1e9) + 200_000_000
        ended = self.now
        self.sip(caller, True, _message(f"BYE sip:{users[1]}@ucaas.test SIP/2.0", head, "2 BYE"))
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


def _message(start: str, head: str, cseq: str, body: str = "") -> str:
    via = "Via: SIP/2.0/TLS 10.10.110.11:40000;branch=z9hG4bK1;rport\r\n"
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return f"{start}\r\n{via}{head}CSeq: {cseq}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"


def _sdp(address: str, port: int, key: bytes | None) -> str:
    lines = ["v=0", f"o=- 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0"]
    lines.append(f"m=audio {port} {'RTP/SAVP' if key else 'RTP/AVP'} 0")
    if key:
        lines.append(f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(key).decode()}")
    return "\r\n".join([*lines, "a=rtpmap:0 PCMU/8000", ""])


def protector(key: bytes) -> Session:
    policy = Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND)
    return Session(policy)


def phone_port(plan: Plan, phone: str) -> Iterator[str]:
    """The access port's tap of a phone."""
    for switch in plan.switches:
        for port in switch.ports:
            if port.mode is PortMode.PHONE and port.peer == f"{phone}-sw":
                yield f"{switch.name}:{port.number}"


__all__ = ["UDP", "World", "phone_port", "reference_plan"]
