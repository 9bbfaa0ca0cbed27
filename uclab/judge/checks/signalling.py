"""Signalling: over TLS only (`signalling.tls`), to the right server (`signalling.certificate`), registered
(C9, C1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from uclab.capture.dissect import Handshake
from uclab.capture.headers import TCP, UDP
from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.checks.certificates import BadCertificate, Certificate, read_der, read_pem
from uclab.judge.checks.registrations import (
    Gap,
    Presence,
    allowed_s,
    explained,
    presences,
    troubles,
    watched,
)
from uclab.judge.evidence.network import number, text
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import Endpoint, SessionController

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


def handshakes_of(evidence: RunEvidence, endpoint: Endpoint) -> list[Handshake]:
    """What the session controller answered this endpoint's TLS connections."""
    return [
        shake
        for shake in evidence.signalling.handshakes
        if evidence.endpoint_at_controller(shake.at.dst, shake.at.dport) == endpoint.name
    ]


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
    words = "; ".join(_in_words(gap, end) for gap in bad or found.gaps)
    if bad:
        proof = Evidence(proof.tap, proof.packets, words)
        return claim.failed(f"{observed}; {words}", proof, _who_lost_it(evidence, endpoint, bad, registered))
    if found.gaps:
        observed += f"; {words}: within {allowed:g} s of a deliberate failure"
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
    servers_fault = any(event.kind == "tls-refused" for event in refusals) or _foreign(evidence, endpoint)
    blame = evidence.network.plan.session_controllers[0].name if servers_fault else endpoint.name
    return claim.failed(observed, Evidence(text=observed), blame)


def check_server_certificates(evidence: RunEvidence) -> Iterator[Finding]:
    """Each session controller shows a certificate of the lab's authority that carries its name."""
    for controller in evidence.network.plan.session_controllers:
        expected = f"certificate of the lab's authority for {controller.host_name}"
        claim = Claim("signalling.certificate", ("C9",), controller.name, expected)
        own = number(controller.address)
        shakes = [s for s in evidence.signalling.handshakes if number(s.at.src) == own and s.certificates]
        wrong = [(s, fault) for s in shakes if (fault := _wrong(evidence, s, controller.host_name))]
        authority = _authority(evidence)
        if not isinstance(authority, Certificate):
            yield claim.not_shown(authority)
        elif not shakes and not _called(evidence, controller):
            continue  # a second data centre's, which nobody needed
        elif not shakes:
            yield claim.not_shown(evidence.signalling_gap or "no certificate was seen")
        elif wrong:
            proof = Evidence(evidence.network.controller_taps[0], (wrong[0][0].at.packet,))
            yield claim.failed(wrong[0][1], proof, controller.name)
        else:
            packets = tuple(s.at.packet for s in shakes[:3])
            observed = f"{_describe(shakes[0])}, in {len(shakes)} handshakes"
            yield claim.passed(observed, Evidence(evidence.network.controller_taps[0], packets))


def _called(evidence: RunEvidence, controller: SessionController) -> bool:
    """Whether somebody is to register there first, or was seen to connect there."""
    if any(endpoint.registrar == controller.host_name for endpoint in evidence.network.site_endpoints):
        return True
    own = number(controller.address)
    return any(f.key.proto == TCP and f.key.dst == own and f.key.loaded for f in evidence.flows)


def _name_of(evidence: RunEvidence, shake: Handshake, endpoint: Endpoint) -> str:
    """The name that the server of a handshake must show: its own, if the endpoint may register there."""
    controllers = evidence.network.plan.session_controllers
    own = (c.host_name for c in controllers if number(c.address) == number(shake.at.src))
    return next((name for name in own if name in endpoint.registrars), endpoint.registrar)


def check_certificate(evidence: RunEvidence, endpoint: Endpoint) -> Finding:
    """The endpoint speaks only to a server whose chain and name are right; one that accepts another is
    named."""
    expected = "speaks SIP only to a server with a certificate of the lab's authority for " + " or ".join(
        endpoint.registrars
    )
    claim = Claim("signalling.certificate", ("C9",), endpoint.name, expected)
    shakes = [s for s in handshakes_of(evidence, endpoint) if s.certificates]
    if not shakes:
        return claim.not_shown(evidence.signalling_gap or "no certificate was seen in its handshakes")
    if not isinstance(authority := _authority(evidence), Certificate):
        return claim.not_shown(authority)
    tap = evidence.network.controller_taps[0]
    for shake in shakes:
        fault = _wrong(evidence, shake, _name_of(evidence, shake, endpoint))
        client = (shake.at.dst, shake.at.dport)
        spoken = [m for m in evidence.signalling.messages if (m.at.src, m.at.sport) == client]
        if fault and spoken:
            observed = f"accepted a foreign certificate ({fault}) and sent {spoken[0].start_line.split()[0]}"
            return claim.failed(
                observed, Evidence(tap, (shake.at.packet, spoken[0].at.packet)), endpoint.name
            )
    foreign = _foreign(evidence, endpoint)
    observed = f"refused: {foreign}" if foreign else f"met {_describe(shakes[0])} in {len(shakes)} handshakes"
    return claim.passed(observed, Evidence(tap, tuple(s.at.packet for s in shakes[:3])))


def _foreign(evidence: RunEvidence, endpoint: Endpoint) -> str | None:
    for shake in handshakes_of(evidence, endpoint):
        if shake.certificates and (why := _wrong(evidence, shake, _name_of(evidence, shake, endpoint))):
            return why
    return None


def _wrong(evidence: RunEvidence, shake: Handshake, name: str) -> str | None:
    """What is wrong with the certificate of a handshake; None when chain, name and dates are right."""
    authority = _authority(evidence)
    if not isinstance(authority, Certificate):
        return None
    try:
        chain = [read_der(der) for der in shake.certificates]
    except BadCertificate as error:
        return f"certificate cannot be read: {error}"
    server = chain[0]
    if name not in server.names:
        shown = ", ".join(server.names) or server.subject
        return f"certificate is for {shown}, not for {name}"
    now = datetime.fromtimestamp(shake.at.time, UTC)
    if not server.begins <= now <= server.ends:
        return f"certificate was valid until {server.ends:%Y-%m-%d}"
    for certificate, issuer in zip(chain, [*chain[1:], authority], strict=True):
        if certificate.loaded == authority.loaded or certificate.signed_by(authority):
            return None
        if not certificate.signed_by(issuer):
            break
    return f"issued by {chain[-1].issuer}, not by the lab's authority"


def _authority(evidence: RunEvidence) -> Certificate | str:
    """The lab's own authority, or why there is none."""
    if evidence.run.authority is None:
        return "the lab authority's certificate is not among the run's files"
    try:
        return read_pem(evidence.run.authority)
    except BadCertificate as error:
        return f"the lab authority's certificate cannot be read: {error}"


def _describe(shake: Handshake) -> str:
    try:
        certificate = read_der(shake.certificates[0])
    except BadCertificate as error:
        return f"a certificate that cannot be read ({error})"
    return f"{', '.join(certificate.names)} by {certificate.issuer}"


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
