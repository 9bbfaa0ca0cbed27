"""Media encryption (C9): the negotiated keys authenticate the packets, RTCP's too (`media.srtp`,
`media.keys`)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.judge.check import CHECKS, WITH_CALLS, Check, FindingKind
from uclab.judge.evidence.network import LEGS, Leg
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.srtp import Authentication
from uclab.judge.measure.streams import Stream
from uclab.judge.path.payload_trace import changer, way_of
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.plan.schema.plan import Endpoint
from uclab.records.run import CallRecord, Direction

LATE_NS = 1_000_000_000
"""SRTCP may come that long after a call's media: each side takes its leave by a last report (BYE)."""


def check_media_encryption(evidence: RunEvidence) -> Iterator[Finding]:
    """Both findings for each direction of each established call."""
    for call, direction, sender, receiver in evidence.call_directions():
        if call.established:
            yield check_srtp(evidence, call, direction, sender, receiver)
            yield check_keys(evidence, call, direction)


def _authentications(evidence: RunEvidence, stream: Stream) -> list[Authentication]:
    found = evidence.seen.secrecy.authentications.values()
    return [a for a in found if a.ssrc == stream.ssrc and a.packets]


def _of_control(evidence: RunEvidence, stream: Stream, media: list[Authentication]) -> list[Authentication]:
    """SRTCP on the way of a stream's media: on the same legs and ports, while it lasted."""
    window = stream.window
    if window is None:
        return []
    ways = {(a.leg, a.port) for a in media}
    return [
        a
        for a in evidence.seen.control.authentications.values()
        if (a.leg, a.port) in ways and window.begin_ns <= a.first_ns <= window.end_ns + LATE_NS
    ]


def check_srtp(
    evidence: RunEvidence, call: CallRecord, direction: Direction, sender: Endpoint, receiver: Endpoint
) -> Finding:
    """No packet of the direction is plain RTP, by negotiation and by its bytes, and all packets
    authenticate."""
    expected = "SRTP on every leg: each packet and each RTCP report authenticates with the negotiated key"
    claim = Claim("media.srtp", ("C9",), f"{call.id}:{direction}", expected)
    stream = evidence.stream(call, direction)
    if stream is None:
        return claim.not_shown("no media was seen")
    found = _authentications(evidence, stream)
    party: dict[Leg, str] = {
        "up": sender.name,
        "direct": sender.name,
        "down": _unencrypted_end(evidence, found, receiver),
    }
    plain = [s for s in evidence.seen.secrecy.spreads.values() if s.ssrc == stream.ssrc and s.readable]
    if plain:
        first = next((s for s in plain if s.leg != "down"), plain[0])
        blame = party[first.leg]
        observed = f"plain RTP, agreed with {blame}: payload readable at {len(plain)} taps"
        return claim.failed(observed, Evidence(first.tap, tuple(first.sample)), blame)
    for a in found:
        profiles = evidence.seen.secrecy.ring.profiles.get((a.leg, a.port), set())
        unencrypted = sorted(profile for profile in profiles if "SAVP" not in profile)
        if unencrypted:
            observed = f"{unencrypted[0]} was negotiated on the {a.leg} leg"
            return claim.failed(
                observed, Evidence(a.tap, (), f"m=audio {a.port} {unencrypted[0]}"), party[a.leg]
            )
    ways = {leg: way_of(evidence, leg, sender.name, receiver.name) for leg in LEGS}
    return _authenticated(evidence, claim, found, _of_control(evidence, stream, found), party, ways)


def _unencrypted_end(evidence: RunEvidence, found: list[Authentication], receiver: Endpoint) -> str:
    """Who is to blame for plain media from the controller: the receiver where it offered plain RTP itself."""
    profiles = evidence.seen.secrecy.ring.profiles
    ports = {a.port for a in found if a.leg == "down"}
    if any("SAVP" not in profile for port in ports for profile in profiles.get(("up", port), ())):
        return receiver.name
    return evidence.network.plan.session_controllers[0].name


def _authenticated(
    evidence: RunEvidence,
    claim: Claim,
    found: list[Authentication],
    control: list[Authentication],
    party: dict[Leg, str],
    ways: dict[Leg, list[str]],
) -> Finding:
    ring = evidence.seen.secrecy.ring
    if not found:
        return claim.not_shown("no media at the endpoints' or the session controller's taps")
    keyless = [a for a in found if not ring.of(a.leg, a.port)]
    if keyless:
        return claim.not_shown(evidence.signalling_gap or f"no key was seen for the {keyless[0].leg} leg")
    unsupported = [a.unsupported for a in found if a.unsupported]
    if unsupported:
        return claim.not_shown(f"suite {unsupported[0]} cannot be checked by libsrtp's Python binding")
    for a in (*found, *control):
        if a.authenticated < a.tried:
            kind = "SRTCP packets" if a.control else "packets"
            observed = f"{a.tried - a.authenticated} of {a.tried} {kind} at {a.tap} do not authenticate"
            forger = evidence.intruders.sender_of(a.ssrc, a.port)
            if forger is not None:
                observed += f"; {forger.name} sends with the same SSRC"
            blame = party[a.leg] if forger is None else forger.blame
            if forger is None and (found_out := changer(evidence, a, ways[a.leg])) is not None:
                blame, where = found_out
                observed += f"; {where}"
            return claim.failed(observed, Evidence(a.tap, tuple(a.failed_sample)), blame)
    missing = {"up", "down"} - {a.leg for a in found}
    if missing:
        return claim.not_shown(f"no media was seen on the {min(missing)} leg")
    total, tried = sum(a.authenticated for a in found), sum(a.packets for a in found)
    share = "" if total == tried else f" (of {tried}, every sixteenth of long streams)"
    reports = sum(a.authenticated for a in control)
    more = f" and {reports} of SRTCP" if reports else ""
    clear = evidence.seen.control.in_clear(control)
    apart = f"; without a report and in clear: {clear} of RTCP" if clear else ""
    taps = ", ".join(sorted({a.tap for a in found}))
    observed = f"{total} packets{share}{more} authenticate at {taps}{apart}"
    return claim.passed(observed, Evidence(found[0].tap, tuple(found[0].sample)))


def check_keys(evidence: RunEvidence, call: CallRecord, direction: Direction) -> Finding:
    """The keys came from decrypted signalling, and a key that differs in one bit is refused (so the check
    can fail)."""
    expected = (
        "the SDES key from decrypted signalling authenticates the packets; "
        "the same key with one bit changed does not"
    )
    claim = Claim("media.keys", ("C9",), f"{call.id}:{direction}", expected)
    stream = evidence.stream(call, direction)
    opened = [a for a in _authentications(evidence, stream) if a.key is not None] if stream else []
    if not opened:
        return claim.not_shown(evidence.signalling_gap or "no key from signalling authenticated a packet")
    weak = [a for a in opened if a.wrong_key_refused < a.wrong_key_tried or not a.wrong_key_tried]
    if weak:
        return claim.not_shown(f"a wrong key was not refused at {weak[0].tap}", Evidence(weak[0].tap))
    suites = {a.leg: a.key.suite for a in opened if a.key}
    legs = ", ".join(f"{leg} {suites[leg]}" for leg in ("up", "down") if leg in suites)
    refused = sum(a.wrong_key_refused for a in opened)
    packets = tuple(sorted({a.key.packet for a in opened if a.key}))
    tap = next(iter(evidence.network.controller_taps), None)
    observed = f"{legs}; a changed key was refused {refused} of {refused} times"
    return claim.passed(observed, Evidence(tap, packets, "a=crypto"))


CHECKS.declare(
    "media-encryption",
    Check(
        WITH_CALLS,
        lambda run: check_media_encryption(run.evidence),
        (
            FindingKind(
                "media.srtp",
                ("C9",),
                "every packet (of each stream and tap the first 2000, then every sixteenth) at the "
                "endpoints' and the controller's taps authenticates with the key that its sender put "
                "into SDP, and so does every RTCP report (SRTCP); where one does not, the device is "
                "named between the last tap that had it as it was sent and the first that had it "
                "otherwise; no RTP/AVP; payload bytes evenly distributed. RTCP without a report that "
                "an endpoint sends in clear is counted apart",
            ),
            FindingKind(
                "media.keys",
                ("C9",),
                "the keys came from decrypted signalling, and with one bit changed libsrtp rejects "
                "the packets: the check can fail",
            ),
        ),
    ),
)
