"""A network that never was: packets at the taps of the reference plan, computed tap by tap.

Every packet is sent along the plan's paths as a right network would carry it, through
`MadeUpNetwork.alter`, where a test breaks something: it gets each packet at each tap and returns it, changed,
or None when it never gets there.
"""

from __future__ import annotations

import base64
import random
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pylibsrtp import Policy, Session

from testbed.frames import TCP, Packet
from testbed.plans import shipped_plan
from testbed.tls import Issued, TlsSession, issue, pem, tls_session
from uclab.plan.schema.plan import Endpoint, PathHop, Plan, PortMode
from uclab.records.run import CallRecord, Event

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
    """`enterprise-hq` with only these endpoints, those groups that they all are in, and its upward bulk
    traffic."""
    plan = shipped_plan("enterprise-hq")
    endpoints = tuple(e for e in plan.endpoints if e.name in names)
    controllers = tuple(
        replace(c, groups=tuple(group for group in c.groups if {*group.members} <= {*names}))
        for c in plan.session_controllers
    )
    fewer = replace(plan, endpoints=endpoints, session_controllers=controllers, bulk=plan.bulk[:1])
    return for_short_calls(fewer)


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
class MadeUpNetwork:
    """Frames at the taps of a plan, as its devices would have sent them. `alter` breaks them."""

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


def message(start: str, head: str, cseq: str, body: str = "") -> str:
    via = "Via: SIP/2.0/TLS 10.10.110.11:40000;branch=z9hG4bK1;rport\r\n"
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return f"{start}\r\n{via}{head}CSeq: {cseq}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"


def sdp(address: str, port: int, key: bytes | None) -> str:
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
