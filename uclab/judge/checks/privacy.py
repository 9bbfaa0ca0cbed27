"""Nothing readable on the way (`privacy.readable`, C9): no SIP, SDP, key, credential or voice at any tap."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.judge.check import CHECKS, WITH_MEDIA, Check, FindingKind
from uclab.judge.checks.wanted import asked_for
from uclab.judge.evidence.network import PlannedNetwork, mac_text, text
from uclab.judge.measure.cleartext_search import Leak
from uclab.judge.measure.payload_entropy import PayloadEntropy
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding

EXPECTED = "no readable SIP, SDP, key, credential or voice at any tap"


def check_privacy(evidence: RunEvidence) -> Iterator[Finding]:
    """One finding for each thing that somebody leaks, or one for all taps."""
    leaks: dict[str, list[Leak]] = {}
    for leak in sorted(evidence.seen.readable.leaks.values(), key=lambda leak: leak.tap):
        leaks.setdefault(leak.what, []).append(leak)
    for what, found in leaks.items():
        yield _readable_text(evidence, what, found)
    voices: dict[int, list[PayloadEntropy]] = {}
    own = {stream.ssrc for stream in evidence.seen.media.streams}
    for spread in evidence.seen.secrecy.spreads.values():
        # What an intruder makes up is nobody's voice.
        if spread.readable and (spread.ssrc in own or spread.ssrc not in evidence.intruders.ssrcs):
            voices.setdefault(spread.ssrc, []).append(spread)
    for ssrc, spreads in voices.items():
        yield _readable_voice(evidence, ssrc, spreads)
    if not leaks and not voices:
        yield _nothing_readable(evidence)


def _readable_text(evidence: RunEvidence, what: str, leaks: list[Leak]) -> Finding:
    """Blames the host inside a site that sent it: behind address translation it is the router's address."""
    taps = list(dict.fromkeys(leak.tap for leak in leaks))
    hosts = {endpoint.node for endpoint in evidence.network.endpoints}
    sources = {sender_of(evidence.network, leak): leak for leak in leaks}
    inside = {name: leak for name, leak in sources.items() if name in hosts} or sources
    blame, first = next(iter(inside.items()))
    more = f" and {len(taps) - 4} more taps" if len(taps) > 4 else ""
    observed = f"{what} readable from {', '.join(inside)} at {', '.join(taps[:4])}{more}"
    proof = Evidence(first.tap, tuple(first.samples), first.text)
    return Claim("privacy.readable", ("C9",), what, EXPECTED).failed(observed, proof, blame)


def sender_of(network: PlannedNetwork, leak: Leak) -> str:
    """Who sent what was found, by address; where it stood in no IPv4 packet that was read, by the MAC address
    of who sent the frame."""
    if leak.src:
        return network.node_of_address.get(leak.src, text(leak.src))
    return network.node_of_mac.get(leak.src_mac, mac_text(leak.src_mac))


def _readable_voice(evidence: RunEvidence, ssrc: int, spreads: list[PayloadEntropy]) -> Finding:
    stream = next((s for s in evidence.seen.media.streams if s.ssrc == ssrc), None)
    sender = evidence.endpoint_name(stream.sender) if stream else f"SSRC {ssrc:#010x}"
    blame = sender if stream else None
    if all(spread.leg == "down" for spread in spreads):
        blame = evidence.network.plan.session_controllers[0].name
    chi = max(spread.chi_squared or 0.0 for spread in spreads)
    observed = f"RTP payload readable from {blame or sender} at {len(spreads)} taps"
    figures = f"chi-squared of payload bytes {chi:.0f}; encrypted: 255 +- 23"
    proof = Evidence(spreads[0].tap, tuple(spreads[0].sample), figures)
    return Claim("privacy.readable", ("C9",), f"voice of {sender}", EXPECTED).failed(observed, proof, blame)


def _nothing_readable(evidence: RunEvidence) -> Finding:
    """A search through nothing proves nothing."""
    claim = Claim("privacy.readable", ("C9",), "all taps", EXPECTED)
    tested = [s for s in evidence.seen.secrecy.spreads.values() if s.chi_squared is not None]
    taps = set(evidence.seen.readable.searched) | {s.tap for s in tested}
    texts = sum(evidence.seen.readable.searched.values())
    streams = len({s.ssrc for s in tested})
    observed = f"{texts} frames searched and {streams} media streams tested at {len(taps)} taps"
    enough = texts and (tested or not asked_for(evidence.run).calls)
    return claim.passed(observed) if enough else claim.not_shown(observed)


def _may_have_media(evidence: RunEvidence) -> bool:
    """A campaign without calls has nothing that could be readable."""
    return evidence.run.checks != "load" or evidence.run.load.has_calls


CHECKS.declare(
    "privacy",
    Check(
        WITH_MEDIA,
        lambda run: check_privacy(run.evidence) if _may_have_media(run.evidence) else (),
        (
            FindingKind(
                "privacy.readable",
                ("C9",),
                "no SIP, SDP, SDES key, digest response or password in any byte of any frame at any "
                "tap, whatever carries it, also where TCP splits it between segments; no voice in any "
                "media (chi-squared of its bytes: 255 +- 23 when encrypted, thousands for a codec)",
            ),
        ),
    ),
)
