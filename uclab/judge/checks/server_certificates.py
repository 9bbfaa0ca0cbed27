"""Certificates of session controllers: the lab's authority, the name that was asked for, in time (C9)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from uclab.capture.dissect import Handshake
from uclab.capture.headers import TCP
from uclab.judge.checks.certificates import BadCertificate, Certificate, read_der, read_pem
from uclab.judge.evidence.network import number
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import Endpoint, SessionController


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
    foreign = foreign_server(evidence, endpoint)
    observed = f"refused: {foreign}" if foreign else f"met {_describe(shakes[0])} in {len(shakes)} handshakes"
    return claim.passed(observed, Evidence(tap, tuple(s.at.packet for s in shakes[:3])))


def foreign_server(evidence: RunEvidence, endpoint: Endpoint) -> str | None:
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


def handshakes_of(evidence: RunEvidence, endpoint: Endpoint) -> list[Handshake]:
    """What the session controller answered this endpoint's TLS connections."""
    return [
        shake
        for shake in evidence.signalling.handshakes
        if evidence.endpoint_at_controller(shake.at.dst, shake.at.dport) == endpoint.name
    ]
