"""Media encryption: the negotiated keys authenticate the packets (`media.srtp`, `media.keys`), nothing is
readable (`privacy.readable`); C9."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.judge.case import Case
from uclab.judge.media import Stream
from uclab.judge.network import Leg, text
from uclab.judge.srtp import Authentication, Spread
from uclab.judge.types import Evidence, Finding
from uclab.plan.records import CallRecord, Direction
from uclab.plan.types import Endpoint

REQUIREMENT = ("C9",)


def check_media_encryption(case: Case) -> Iterator[Finding]:
    """Both findings for each direction of each established call."""
    for call, direction, sender, receiver in case.call_directions():
        if call.established:
            yield check_srtp(case, call, direction, sender)
            yield check_keys(case, call, direction, sender, receiver)


def _authentications(case: Case, stream: Stream) -> list[Authentication]:
    found = case.seen.secrecy.authentications.values()
    return [a for a in found if a.ssrc == stream.ssrc and a.packets]


def _spreads(case: Case, stream: Stream) -> list[Spread]:
    return [s for s in case.seen.secrecy.spreads.values() if s.ssrc == stream.ssrc]


def check_srtp(case: Case, call: CallRecord, direction: Direction, sender: Endpoint) -> Finding:
    """No packet of the direction is plain RTP, by negotiation and by its bytes, and all packets
    authenticate."""
    subject, expected = (
        f"{call.id}:{direction}",
        "SRTP on every leg: each packet authenticates with the negotiated key",
    )
    stream = case.stream(call, direction)
    if stream is None:
        return Finding("media.srtp", REQUIREMENT, subject, expected, "no media was seen", "not-shown")
    plain = [s for s in _spreads(case, stream) if s.readable]
    if plain:
        first = next((s for s in plain if s.leg in ("up", "direct")), plain[0])
        blame = sender.name if first.leg != "down" else case.network.plan.session_controllers[0].name
        observed = f"plain RTP from {blame}: payload readable at {len(plain)} taps"
        return Finding(
            "media.srtp",
            REQUIREMENT,
            subject,
            expected,
            observed,
            "fail",
            Evidence(first.tap, tuple(first.sample)),
            blame,
        )
    authentications = _authentications(case, stream)
    for leg, port in sorted({(a.leg, a.port) for a in authentications}):
        avp = [p for p in case.seen.secrecy.ring.profiles.get((leg, port), ()) if "SAVP" not in p]
        if avp:
            blame = sender.name if leg == "up" else case.network.plan.session_controllers[0].name
            return Finding(
                "media.srtp",
                REQUIREMENT,
                subject,
                expected,
                f"{blame} negotiated {avp[0]}",
                "fail",
                Evidence(authentications[0].tap, (), f"m=audio {port} {avp[0]}"),
                blame,
            )
    return _authenticated(case, subject, expected, authentications, sender)


def _authenticated(
    case: Case, subject: str, expected: str, found: list[Authentication], sender: Endpoint
) -> Finding:
    keyless = [a for a in found if a.key is None and not case.seen.secrecy.ring.of(a.leg, a.port)]
    if not found or keyless:
        why = case.signalling_gap or (
            f"no key was seen for {keyless[0].leg} leg at {keyless[0].tap}"
            if keyless
            else "no media at the endpoints' or the session controller's taps"
        )
        return Finding("media.srtp", REQUIREMENT, subject, expected, why, "not-shown")
    unsupported = [a for a in found if a.unsupported]
    if unsupported:
        why = f"suite {unsupported[0].unsupported} cannot be checked by libsrtp's Python binding"
        return Finding("media.srtp", REQUIREMENT, subject, expected, why, "not-shown")
    for a in found:
        if a.authenticated < a.tried:
            blame = sender.name if a.leg == "up" else case.network.plan.session_controllers[0].name
            observed = f"{a.tried - a.authenticated} of {a.tried} packets at {a.tap} do not authenticate"
            return Finding(
                "media.srtp",
                REQUIREMENT,
                subject,
                expected,
                observed,
                "fail",
                Evidence(a.tap, tuple(a.failed_sample)),
                blame,
            )
    missing = {"up", "down"} - {a.leg for a in found}
    if missing:
        observed = f"no media was seen on the {sorted(missing)[0]} leg"
        return Finding("media.srtp", REQUIREMENT, subject, expected, observed, "not-shown")
    total = sum(a.authenticated for a in found)
    observed = f"{total} packets authenticate at {', '.join(sorted({a.tap for a in found}))}"
    return Finding(
        "media.srtp",
        REQUIREMENT,
        subject,
        expected,
        observed,
        "pass",
        Evidence(found[0].tap, tuple(found[0].sample)),
    )


def check_keys(
    case: Case, call: CallRecord, direction: Direction, sender: Endpoint, receiver: Endpoint
) -> Finding:
    """The keys came from decrypted signalling, and a key that differs in one bit is refused (so the check
    can fail)."""
    subject = f"{call.id}:{direction}"
    expected = (
        "SDES key from decrypted signalling opens the packets; the same key with one bit changed does not"
    )
    stream = case.stream(call, direction)
    found = _authentications(case, stream) if stream else []
    opened = [a for a in found if a.key is not None]
    if not opened:
        why = case.signalling_gap or "no key from signalling opened a packet"
        return Finding("media.keys", REQUIREMENT, subject, expected, why, "not-shown")
    weak = [a for a in opened if a.wrong_key_refused < a.wrong_key_tried or not a.wrong_key_tried]
    if weak:
        observed = f"a wrong key was not refused at {weak[0].tap}"
        return Finding(
            "media.keys", REQUIREMENT, subject, expected, observed, "not-shown", Evidence(weak[0].tap)
        )
    legs: dict[Leg, Authentication] = {a.leg: a for a in opened}
    suites = ", ".join(f"{leg} {a.key.suite}" for leg, a in sorted(legs.items(), reverse=True) if a.key)
    refused = sum(a.wrong_key_refused for a in opened)
    tap = case.network.controller_taps[0] if case.network.controller_taps else None
    packets = tuple(sorted({a.key.packet for a in opened if a.key}))
    observed = f"{suites}; changed key refused {refused} of {refused} times"
    return Finding(
        "media.keys", REQUIREMENT, subject, expected, observed, "pass", Evidence(tap, packets, "a=crypto")
    )


def check_privacy(case: Case) -> Iterator[Finding]:
    """No tap on the way shows readable SIP, keys, RTP payload or credentials."""
    expected = "no readable SIP, SDP, key, credential or voice at any tap"
    leaks = sorted(case.seen.readable.leaks.values(), key=lambda leak: (leak.src, leak.what, leak.tap))
    by_source: dict[tuple[int, str], list[str]] = {}
    for leak in leaks:
        by_source.setdefault((leak.src, leak.what), []).append(leak.tap)
    for (source, what), taps in by_source.items():
        leak = next(leak for leak in leaks if leak.src == source and leak.what == what)
        blame = case.network.node_of_address.get(source)
        observed = f"{what} readable from {blame or text(source)} at {', '.join(taps[:4])}"
        observed += f" and {len(taps) - 4} more taps" if len(taps) > 4 else ""
        yield Finding(
            "privacy.readable",
            REQUIREMENT,
            what,
            expected,
            observed,
            "fail",
            Evidence(leak.tap, tuple(leak.samples), leak.text),
            blame,
        )
    voices = [s for s in case.seen.secrecy.spreads.values() if s.readable]
    for ssrc in sorted({s.ssrc for s in voices}):
        yield _readable_voice(case, expected, ssrc, [s for s in voices if s.ssrc == ssrc])
    if not leaks and not voices:
        searched = set(case.seen.readable.searched) | {s.tap for s in case.seen.secrecy.spreads.values()}
        texts = sum(case.seen.readable.searched.values())
        streams = len({s.ssrc for s in case.seen.secrecy.spreads.values() if s.chi_squared is not None})
        observed = f"{texts} packets searched and {streams} media streams tested at {len(searched)} taps"
        shown = texts and streams
        yield Finding(
            "privacy.readable", REQUIREMENT, "all taps", expected, observed, "pass" if shown else "not-shown"
        )


def _readable_voice(case: Case, expected: str, ssrc: int, voices: list[Spread]) -> Finding:
    stream = next((s for s in case.seen.media.streams if s.ssrc == ssrc), None)
    sender = case.endpoint_name(stream.sender) if stream else None
    cloud_only = all(s.leg == "down" for s in voices)
    blame = case.network.plan.session_controllers[0].name if cloud_only else sender
    chi = max(s.chi_squared or 0 for s in voices)
    observed = f"RTP payload readable from {blame or f'SSRC {ssrc:#010x}'} at {len(voices)} taps"
    return Finding(
        "privacy.readable",
        REQUIREMENT,
        f"voice of {sender or f'SSRC {ssrc:#010x}'}",
        expected,
        observed,
        "fail",
        Evidence(
            voices[0].tap,
            tuple(voices[0].sample),
            f"chi-squared of payload bytes {chi:.0f}; encrypted: 255 +- 23",
        ),
        blame,
    )
