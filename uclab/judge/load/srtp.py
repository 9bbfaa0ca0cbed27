"""Proof that the media of a campaign is encrypted (`load.srtp`; C9, D11).

Of a sample of calls packets are authenticated at every tap with the keys of their decrypted signalling,
as `media.srtp` does it for all calls of an ordinary run. Of all other media the bytes are told to be evenly
distributed, for which no key is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uclab.judge.evidence.load_files import Leg
from uclab.judge.evidence.network import Leg as Way
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.srtp import Authentication
from uclab.judge.path.hop_trace import blame_between, media_walk
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.judge.result.media import HopRecord

WAYS: tuple[Way, ...] = ("up", "down")
LATE_S = 1.0
"""A stream of a leg may begin this long after its end, as its party saw it."""


@dataclass(frozen=True)
class Sampled:
    """One direction of a sampled leg, at all taps of its way between user and session controller."""

    leg: Leg
    way: Way
    tried: tuple[Authentication, ...]
    control: tuple[Authentication, ...]
    """Its RTCP."""

    @property
    def wrong(self) -> dict[str, Authentication]:
        """Tap -> what does not authenticate there; media before RTCP."""
        broken = [a for a in (*self.control, *self.tried) if a.authenticated < a.tried]
        return {a.tap: a for a in broken}


def check_load_srtp(evidence: RunEvidence) -> Iterator[Finding]:
    """One finding for each load generator: its users' media, there and back."""
    for generator in sorted({record.node for record in evidence.run.load.generators}):
        expected = (
            "SRTP: packets of sampled calls authenticate with the keys of their signalling, and not with"
            " a bit of the key changed; no other media is readable"
        )
        yield _generator(
            evidence, Claim("load.srtp", ("C9", "D11"), f"media of {generator}", expected), generator
        )


def _generator(evidence: RunEvidence, claim: Claim, generator: str) -> Finding:
    tested, readable = _readable(evidence, generator)
    if readable:
        first = readable[0]
        observed = f"the payload of {len(readable)} of {tested} streams is readable, first SSRC {first:#010x}"
        taps = [s for s in evidence.seen.secrecy.spreads.values() if s.ssrc == first and s.readable]
        by_relay = all(s.leg == "down" for s in taps)
        blame = evidence.network.plan.session_controllers[0].name if by_relay else generator
        return claim.failed(observed, Evidence(taps[0].tap, tuple(taps[0].sample)), blame)
    legs = [leg for leg in evidence.sample.legs if leg.generator == generator]
    plain = _plain(evidence, legs)
    if plain is not None:
        return claim.failed(f"{plain} was negotiated in a sampled call", blame=generator)
    tap = evidence.network.first_tap.get(generator, "")
    by_leg = [list(_directions(evidence, leg, tap)) for leg in legs]
    directions = [direction for directions_of_leg in by_leg for direction in directions_of_leg]
    opened = [a for direction in directions for a in direction.tried]
    unsupported = next((a.unsupported for a in opened if a.unsupported), None)
    if unsupported is not None:
        return claim.not_shown(f"suite {unsupported} cannot be checked by libsrtp's Python binding")
    broken = [direction for direction in directions if direction.wrong]
    if broken:
        return _unauthentic(evidence, claim, broken[0], len(broken), len(directions))
    calls = sum(len(directions_of_leg) == len(WAYS) for directions_of_leg in by_leg)
    if not calls:
        return claim.not_shown(
            evidence.sample.gaps.get(
                generator, "no sampled call had media both ways with a key of its signalling"
            )
        )
    weak = next((a for a in opened if a.wrong_key_refused < a.wrong_key_tried or not a.wrong_key_tried), None)
    if weak is not None:
        return claim.not_shown(f"a wrong key was not refused at {weak.tap}", Evidence(weak.tap))
    kinds = ", ".join(sorted({direction.leg.record.kind for direction in directions}))
    packets = sum(a.authenticated for a in opened if a.tap == tap)
    refused = sum(a.wrong_key_refused for a in opened)
    reports = sum(a.authenticated for direction in directions for a in direction.control if a.tap == tap)
    more = f" and {reports} of SRTCP" if reports else ""
    observed = (
        f"{calls} sampled calls ({kinds}): {packets} packets{more} at {tap} and the same at all"
        f" {len({a.tap for a in opened})} taps of their way authenticate; a changed key was refused {refused}"
        f" of {refused} times; payload of all {tested} streams that are long enough"
        f" to tell is evenly distributed"
    )
    return claim.passed(observed, Evidence(tap, tuple(opened[0].sample)))


def _readable(evidence: RunEvidence, generator: str) -> tuple[int, list[int]]:
    """How many streams of the generator's users were long enough to tell, and those that are readable."""
    own = {s.ssrc for s in evidence.seen.media.streams if evidence.endpoint_name(s.sender) == generator}
    spreads = [s for s in evidence.seen.secrecy.spreads.values() if s.ssrc in own]
    tested = {s.ssrc for s in spreads if s.chi_squared is not None}
    return len(tested), sorted({s.ssrc for s in spreads if s.readable})


def _plain(evidence: RunEvidence, legs: Sequence[Leg]) -> str | None:
    """A profile without encryption that a sampled leg's descriptions name."""
    profiles = evidence.seen.secrecy.ring.profiles
    named = Counter(
        profile
        for leg in legs
        for way in WAYS
        for profile in profiles.get((way, leg.record.media_port or 0), ())
    )
    return next((profile for profile in named if "SAVP" not in profile), None)


def _directions(evidence: RunEvidence, leg: Leg, tap: str) -> Iterator[Sampled]:
    """What passed between the leg's user and its port of the session controller while it lasted: told by the
    generator's own tap, then followed by SSRC. Ports are used again by later calls."""
    record = leg.record
    began, ended = record.started_at, (record.ended_at or record.started_at) + LATE_S
    known = evidence.seen.secrecy.authentications.values()
    for way in WAYS:
        ssrcs = {
            a.ssrc
            for a in known
            if (a.tap, a.leg, a.port) == (tap, way, record.media_port) and began <= a.first_ns / 1e9 <= ended
        }
        tried = tuple(
            a for a in known if a.ssrc in ssrcs and (a.leg, a.port) == (way, record.media_port) and a.tried
        )
        control = tuple(
            a
            for a in evidence.seen.control.authentications.values()
            if (a.leg, a.port) == (way, record.media_port) and began <= a.first_ns / 1e9 <= ended and a.tried
        )
        if tried:
            yield Sampled(leg, way, tried, control)


def _unauthentic(
    evidence: RunEvidence, claim: Claim, first: Sampled, broken: int, directions: int
) -> Finding:
    """The device behind which the first packet does not authenticate any more."""
    wrong = first.wrong
    before: HopRecord | None = None
    at: Authentication | None = None
    for hop in _hops(evidence, next(iter(wrong.values()))):
        if hop.leg == first.way and hop.tap in wrong:
            at = wrong[hop.tap]
            break
        before = hop
    at = at or next(iter(wrong.values()))
    right = f"correct up to {before.tap}, " if before is not None else ""
    observed = (
        f"{'SRTCP ' if at.control else ''}packets in {broken} of {directions} directions of sampled calls"
        f" do not authenticate: {right}"
        f"{at.tried - at.authenticated} of {at.tried} wrong at {at.tap}"
    )
    blame = blame_between(evidence.network, before.tap if before else None, at.tap)
    return claim.failed(observed, Evidence(at.tap, tuple(at.failed_sample), leg=first.way), blame)


def _hops(evidence: RunEvidence, of: Authentication) -> Sequence[HopRecord]:
    """The way of a stream, tap by tap."""
    stream = next((s for s in evidence.seen.media.streams if s.ssrc == of.ssrc), None)
    if stream is None:
        return ()
    receiver = evidence.network.endpoints[stream.receiver if stream.receiver >= 0 else stream.sender]
    return media_walk(evidence, "", "caller_to_callee", stream, receiver).hops
