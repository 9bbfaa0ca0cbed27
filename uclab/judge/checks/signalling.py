"""Signalling: over TLS only (`signalling.tls`), to the right server (`signalling.certificate`), registered
(C9, C1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from uclab.capture.headers import TCP, UDP
from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.registrations import (
    Gap,
    Presence,
    allowed_s,
    explained,
    presences,
    troubles,
    watched,
)
from uclab.judge.checks.server_certificates import (
    check_certificate,
    check_server_certificates,
    foreign_server,
    handshakes_of,
)
from uclab.judge.evidence.network import text
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import Endpoint

SIP_PLAIN_PORTS = (5060,)
"""Where SIP without TLS would be (RFC 3261 section 19.1.2)."""
TLS_ORDER = ("SSL 3.0", "1.0", "1.1", "1.2", "1.3")


def check_signalling(evidence: RunEvidence) -> Iterator[Finding]:
    """All findings of signalling, per site endpoint."""
    yield from check_plain_sip(evidence)
    registered = presences(evidence)
    for endpoint in evidence.network.site_endpoints:
        if endpoint.registers:
            yield check_tls(evidence, endpoint)
            yield check_certificate(evidence, endpoint)
            yield check_registered(evidence, endpoint, registered)
    yield from check_server_certificates(evidence)


def check_tls(evidence: RunEvidence, endpoint: Endpoint) -> Finding:
    """Every connection of the endpoint with the session controller is TLS of at least the policy's
    version."""
    policy = evidence.network.policy
    expected = f"SIP only over TLS {policy.min_tls_version} or newer"
    claim = Claim("signalling.tls", ("C9",), endpoint.name, expected)
    flows = [f for leg, f in evidence.signalling_flows.get(endpoint.name, []) if leg == "up" and f.key.loaded]
    shakes = handshakes_of(evidence, endpoint)
    if not flows:
        return claim.not_shown("no SIP connection was seen")
    if not shakes:
        return claim.not_shown(evidence.signalling_gap or "no TLS handshake was seen")
    old = [s for s in shakes if _older(s.version, policy.min_tls_version)]
    proof = Evidence(evidence.network.controller_taps[0], tuple(s.at.packet for s in (old or shakes)[:3]))
    ports = sorted({flow.key.dport for flow in flows})
    elsewhere = [port for port in ports if port not in policy.sips_ports]
    if old:
        return claim.failed(f"TLS {old[0].version}", proof, endpoint.name)
    if elsewhere:
        observed = f"TCP to port {elsewhere[0]} of the session controller"
        return claim.failed(observed, proof, endpoint.name)
    versions = ", ".join(sorted({s.version for s in shakes}))
    return claim.passed(f"TLS {versions} to port {', '.join(map(str, ports))}", proof)


def check_plain_sip(evidence: RunEvidence) -> Iterator[Finding]:
    """Nobody talks to a session controller's unencrypted SIP port."""
    controllers = evidence.network.signalling_addresses
    for flow in evidence.flows:
        key = flow.key
        plain = (
            key.dport in SIP_PLAIN_PORTS and key.dst in controllers and key.proto in (TCP, UDP) and key.loaded
        )
        if plain and key.tap in evidence.network.controller_taps:
            protocol = "TCP" if key.proto == TCP else "UDP"
            claim = Claim("signalling.tls", ("C9",), f"port {key.dport}", "SIP only over TLS")
            observed = f"{protocol} from {text(key.src)} to port {key.dport}"
            yield claim.failed(observed, Evidence(key.tap, tuple(flow.samples)))


def _older(version: str, minimum: str) -> bool:
    return version not in TLS_ORDER or TLS_ORDER.index(version) < TLS_ORDER.index(minimum)


def check_registered(
    evidence: RunEvidence, endpoint: Endpoint, registered: Mapping[str, Presence]
) -> Finding:
    """Registered from the lab's `up` to its end, but for gaps that something broken on purpose explains."""
    registrars = " or ".join(endpoint.registrars)
    claim = Claim("signalling.registered", ("C1",), endpoint.name, f"registered at {registrars} throughout")
    found = registered[endpoint.name]
    if found.first is None:
        return _never_registered(evidence, endpoint, claim)
    since = f"since {clock(found.first)}"
    if found.answers:
        packets = tuple(m.at.packet for m in found.answers[:3])
        proof = Evidence(evidence.network.controller_taps[0], packets, "200 OK (REGISTER), decrypted")
        observed = f"200 OK to REGISTER, {since}"
    else:
        said = next(event for event in found.told if event.kind == "registered")
        proof = Evidence(text=f"event `registered`: {said.detail}")
        observed = f"reported by the endpoint, {since}"
    if found.disagreement:
        observed += f" ({found.disagreement})"
    known, end = troubles(evidence), watched(evidence)[1]
    allowed = allowed_s(evidence, endpoint)
    # also what goes back to a restored line leaves its connection behind, after the line was found to be good
    detected = max(float(endpoint.registration.lost_s), allowed)
    bad = [gap for gap in found.gaps if explained(gap, known, allowed, detected, end) is None]
    listed_gaps = "; ".join(_in_words(gap, end) for gap in bad or found.gaps)
    if bad:
        proof = Evidence(proof.tap, proof.packets, listed_gaps)
        return claim.failed(
            f"{observed}; {listed_gaps}", proof, _who_lost_it(evidence, endpoint, bad, registered)
        )
    if found.gaps:
        observed += f"; {listed_gaps}: within {allowed:g} s of a deliberate failure"
    return claim.passed(observed, proof)


def clock(at: float) -> str:
    """A time of day (UTC) for people."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-5]


def _in_words(gap: Gap, end: float) -> str:
    if gap.end is not None:
        back = f"back after {gap.end - gap.begin:.1f} s"
    else:
        back = "never back" + (f", for the last {end - gap.begin:.1f} s" if end < float("inf") else "")
    return f"lost at {clock(gap.begin)} ({gap.why}), {back}"


def _who_lost_it(
    evidence: RunEvidence, endpoint: Endpoint, gaps: Sequence[Gap], registered: Mapping[str, Presence]
) -> str | None:
    """The endpoint, where others at its site kept theirs meanwhile; else this alone names nobody."""
    sites = evidence.network.ways.site_of
    others = [
        registered[other.name]
        for other in evidence.network.site_endpoints
        if other.name in registered
        and other.name != endpoint.name
        and sites.get(other.node) == sites.get(endpoint.node)
    ]
    end = watched(evidence)[1]

    def kept(other: Presence) -> bool:
        mine = [(gap.begin, gap.lasts_until(end)) for gap in gaps]
        theirs = [(gap.begin, gap.lasts_until(end)) for gap in other.gaps]
        return other.first is not None and not any(a < d and c < b for a, b in mine for c, d in theirs)

    return endpoint.name if any(map(kept, others)) else None


def _never_registered(evidence: RunEvidence, endpoint: Endpoint, claim: Claim) -> Finding:
    events = [event for event in evidence.run.events if event.source == endpoint.name]
    refusals = [event for event in events if event.kind in ("registration-failed", "tls-refused")]
    observed = f"{refusals[-1].kind}: {refusals[-1].detail}" if refusals else "no registration was seen"
    servers_fault = any(event.kind == "tls-refused" for event in refusals) or foreign_server(
        evidence, endpoint
    )
    blame = evidence.network.plan.session_controllers[0].name if servers_fault else endpoint.name
    return claim.failed(observed, Evidence(text=observed), blame)


CHECKS.declare(
    "signalling",
    Check(
        WITH_CALLS,
        lambda run: check_signalling(run.evidence),
        (
            FindingKind(
                "signalling.tls",
                ("C9",),
                "every connection with the session controller is TLS of at least the policy's "
                "version, on the policy's ports; nothing goes to port 5060",
            ),
            FindingKind(
                "signalling.certificate",
                ("C9",),
                "the server's chain ends at the lab's authority and carries the registrar's name; an "
                "endpoint that sends SIP to any other server is named. One that refuses such a server "
                "passes",
            ),
            FindingKind(
                "signalling.registered",
                ("C1",),
                "the endpoint was registered from the lab's `up` to its end: a state with its gaps, "
                "from two sources (the 200 OKs to REGISTER in decrypted signalling with the time that "
                "they hold, and the endpoint's own events); disagreement is reported. A gap that a "
                "deliberate failure explains, and that ended within the policy's time, is reported "
                "and passes; any other names who lost the registration, when, and when it was back. "
                "The endpoint is blamed where others at its site kept theirs",
            ),
        ),
    ),
)
