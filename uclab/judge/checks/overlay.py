"""Overlays (W6): the outer header carries the inner one's class (`qos.overlay`, Q1), nothing leaves a site
but in a tunnel (`sdwan.sealed`), and voice goes where its limits are kept (`sdwan.steering`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uclab.capture.headers import IPV4, UDP
from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.wanted import NO_CALL, asked_for
from uclab.judge.evidence.network import dscp_name, mac_number, number, text
from uclab.judge.measure.flows import Flow
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.overlay import Overlay, Tunnel, TunnelEnd
from uclab.records.overlay import PathRecord

ICMP = 1
OWN_PACKETS = 100
"""A tunnel's handshake and keep-alives in a run: they have no inner packet."""
OWN_SHARE = 0.01
REACTION_S = 2.0
"""On top of the policy's time: a report and a decision are 0.3 s apart at most, seconds are counted whole."""


def check_overlays(evidence: RunEvidence) -> Iterator[Finding]:
    """All findings of all overlays; none where a plan has none."""
    for overlay in evidence.network.plan.overlays:
        for tunnel in overlay.tunnels:
            yield _marking(evidence, tunnel, tunnel.near, tunnel.far)
            yield _marking(evidence, tunnel, tunnel.far, tunnel.near)
        yield _sealed(evidence, overlay)
        yield _steering(evidence, overlay)


def _inside(evidence: RunEvidence, end: TunnelEnd) -> list[Flow]:
    """What an end sends into its tunnel."""
    tap, mac = f"{end.device}:{end.interface}", mac_number(end.mac)
    return [f for f in evidence.flows if f.key.tap == tap and f.key.src_mac == mac]


def _outside(evidence: RunEvidence, tunnel: Tunnel, end: TunnelEnd, other: TunnelEnd) -> list[Flow]:
    """The encrypted packets in which it leaves."""
    return [
        f
        for f in evidence.flows
        if f.key.tap == f"{end.device}:{end.underlay}"
        and f.key.src == number(end.underlay_address)
        and _is_tunnel(f, tunnel, other)
    ]


def _is_tunnel(flow: Flow, tunnel: Tunnel, other: TunnelEnd) -> bool:
    key = flow.key
    to = (key.dst, key.proto, key.sport, key.dport)
    return to == (number(other.underlay_address), UDP, tunnel.port, tunnel.port)


def _marking(evidence: RunEvidence, tunnel: Tunnel, end: TunnelEnd, other: TunnelEnd) -> Finding:
    """By counts: at each code point no more packets outside than inside, but for the tunnel's own. (Fewer
    there may be: a queue drops.)"""
    subject = f"{end.device}:{tunnel.path}"
    claim = Claim("qos.overlay", ("Q1", "W6"), subject, "the outer header carries the inner packet's DSCP")
    inside, outside = _inside(evidence, end), _outside(evidence, tunnel, end, other)
    inner, outer = _by_dscp(inside), _by_dscp(outside)
    marked = sum(count for dscp, count in inner.items() if dscp > 0)
    if not (marked and outer) and not asked_for(evidence.run).calls:
        return claim.not_applicable(NO_CALL)
    if not marked or not outer:
        return claim.not_shown(f"{marked} marked packets inside, {outer.total()} packets outside")
    frames = sum(f.packets for f in inside if f.key.ethertype != IPV4)
    allowed = OWN_PACKETS + frames + OWN_SHARE * inner.total()
    surplus = Counter({dscp: outer[dscp] - inner[dscp] for dscp in outer if outer[dscp] > inner[dscp]})
    if surplus.total() > allowed:
        dscp, count = surplus.most_common(1)[0]
        wrong = next(f for f in outside if f.key.dscp == dscp)
        observed = f"{count} packets more with {dscp_name(dscp)} outside than inside"
        tap = f"{end.device}:{end.underlay}"
        return claim.failed(observed, Evidence(tap, tuple(wrong.samples)), end.device)
    classes = ", ".join(f"{dscp_name(d)} {n}" for d, n in sorted(inner.items(), reverse=True))
    return claim.passed(f"packets inside: {classes}; none marked otherwise outside")


def _by_dscp(flows: Sequence[Flow]) -> Counter[int]:
    found: Counter[int] = Counter()
    for flow in flows:
        if flow.key.ethertype == IPV4:
            found[flow.key.dscp] += flow.packets
    return found


def _sealed(evidence: RunEvidence, overlay: Overlay) -> Finding:
    """Every IPv4 packet that the site's router sends or is sent over a line is its tunnel's, or an ICMP error
    between the tunnel's ends (one of them may not listen yet)."""
    claim = Claim("sdwan.sealed", ("W6", "C9"), overlay.edge, "nothing on its lines but its tunnels' packets")
    packets = 0
    for tunnel in overlay.tunnels:
        tap = f"{overlay.edge}:{tunnel.near.underlay}"
        for flow in evidence.flows:
            if flow.key.tap != tap or flow.key.ethertype != IPV4:
                continue
            ends = {number(tunnel.near.underlay_address), number(tunnel.far.underlay_address)}
            error = flow.key.proto == ICMP and {flow.key.src, flow.key.dst} == ends
            encrypted = _is_tunnel(flow, tunnel, tunnel.far) or _is_tunnel(flow, tunnel, tunnel.near)
            if not (encrypted or error):
                observed = f"{text(flow.key.src)} to {text(flow.key.dst)} outside any tunnel"
                return claim.failed(observed, Evidence(tap, tuple(flow.samples)), overlay.edge)
            packets += flow.packets
    return (
        claim.passed(f"{packets} packets, all of tunnels")
        if packets
        else claim.not_shown("no packet was seen")
    )


@dataclass(frozen=True)
class Spell:
    """A time, in seconds since the epoch, for which a path was beyond the limits without a break."""

    begin: float
    end: float


def spells(records: Sequence[PathRecord], limits: tuple[float, float, float]) -> list[Spell]:
    """When a path was beyond delay, jitter and loss; `records` are one path's in order of time."""
    found: list[Spell] = []
    begin: float | None = None
    for record in records:
        beyond = any(
            value > limit
            for value, limit in zip((record.delay_ms, record.jitter_ms, record.loss_pct), limits, strict=True)
        )
        if beyond and begin is None:
            begin = record.time
        elif not beyond and begin is not None:
            found.append(Spell(begin, record.time))
            begin = None
    if begin is not None:
        found.append(Spell(begin, records[-1].time))
    return found


def _steering(evidence: RunEvidence, overlay: Overlay) -> Finding:
    """Voice leaves a path that is beyond its limits in time, if another one kept them all the while."""
    voice = evidence.network.policy.voice_dscp
    name = overlay.class_of(voice)
    traffic_class = next(c for c in overlay.rules.classes if c.name == name)
    allowed = overlay.rules.leave_after_s
    expected = f"{name} leaves a path that is beyond its limits for {allowed:g} s while another keeps them"
    claim = Claim("sdwan.steering", ("W6", "V2"), overlay.site, expected)
    records = [r for r in evidence.run.paths if r.site == overlay.site]
    used = {t.path: _voice_seconds(evidence, t) for t in overlay.tunnels}
    if not any(used.values()) and not asked_for(evidence.run).calls:
        return claim.not_applicable(NO_CALL)
    if not records or not any(used.values()):
        return claim.not_shown(
            f"{len(records)} measurements, media in {sum(map(len, used.values()))} seconds"
        )
    limits = (traffic_class.max_delay_ms, traffic_class.max_jitter_ms, traffic_class.max_loss_pct)
    bad = {path: spells([r for r in records if r.path == path], limits) for path in used}
    for path, seconds in used.items():
        others = [other for other in used if other != path and _known(records, other)]
        for second in sorted(seconds):
            since = Spell(second - allowed - REACTION_S, second + 1)
            spell = next((s for s in bad[path] if s.begin <= since.begin and since.end <= s.end), None)
            better = next((other for other in others if not _touches(bad[other], since)), None)
            if spell is not None and better is not None:
                observed = (
                    f"{name} still on {path} {second - spell.begin:.1f} s after it was beyond its limits, "
                    f"while {better} kept them"
                )
                tap = f"{overlay.edge}:{next(t for t in overlay.tunnels if t.path == path).near.interface}"
                return claim.failed(observed, Evidence(tap), "sdwan-controller")
    shares = ", ".join(f"{path} {len(seconds)} s" for path, seconds in used.items())
    beyond = sum(len(b) for b in bad.values())
    return claim.passed(f"media on {shares}; paths were beyond the limits {beyond} times")


def _voice_seconds(evidence: RunEvidence, tunnel: Tunnel) -> set[int]:
    """The seconds in which media passed a tunnel."""
    tap = f"{tunnel.near.device}:{tunnel.near.interface}"
    hops = [hop for hop in evidence.seen.media.hops.values() if hop.tap == tap]
    return {second for hop in hops for second in hop.seconds}


def _touches(some: Sequence[Spell], spell: Spell) -> bool:
    return any(other.begin < spell.end and spell.begin < other.end for other in some)


def _known(records: Sequence[PathRecord], path: str) -> bool:
    return any(record.path == path for record in records)


CHECKS.declare(
    "overlay",
    Check(
        WITH_CALLS,
        lambda run: check_overlays(run.evidence),
        (
            FindingKind(
                "qos.overlay",
                ("Q1", "W6"),
                "the outer header of an [SD-WAN](sd-wan.md)'s tunnel carries the inner packet's DSCP, "
                "counted at each end of each tunnel; else that end is named",
            ),
            FindingKind(
                "sdwan.sealed",
                ("W6", "C9"),
                "nothing leaves a site with an overlay outside its tunnels",
            ),
            FindingKind(
                "sdwan.steering",
                ("W6", "V2"),
                "voice leaves a path that is beyond the policy's limits in time, if another keeps them",
            ),
        ),
    ),
)
