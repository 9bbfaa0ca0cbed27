"""What was heard (`audio.heard`, D3) and whether calls were established (`call.established`): as the parties
experienced it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from uclab.judge.check import CHECKS, REFERENCE, Check, FindingKind
from uclab.judge.checks.registrations import Presence, presences
from uclab.judge.checks.wanted import NO_CALL, asked_for
from uclab.judge.evidence.network import PlannedNetwork
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.tap_windows import call_time
from uclab.judge.quality.figures import MEDIA_SHARE, media_seconds
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Evidence, Finding
from uclab.judge.result.media import HopRecord, Walk
from uclab.records.run import CallRecord, Direction, HeardAudio

REQUIREMENT = ("D3", "C2")


def check_calls(evidence: RunEvidence, walks: Sequence[Walk]) -> Iterator[Finding]:
    """For every call: was it established as expected, and did each side hear the other's known signal?"""
    registered = presences(evidence)
    for call in evidence.run.calls:
        yield _established(evidence, call, registered)
        if call.expected == "established":
            yield _heard(evidence, call, walks)
    if not evidence.run.calls:
        claim = Claim("call.established", REQUIREMENT, "calls", "calls are placed")
        asked = asked_for(evidence.run).calls
        yield claim.not_shown("no call was recorded") if asked else claim.not_applicable(NO_CALL)


def _established(evidence: RunEvidence, call: CallRecord, registered: Mapping[str, Presence]) -> Finding:
    wanted = call.expected == "established"
    expected = f"{call.caller} calls {call.callee}: {call.expected}"
    observed = "established" if call.established else f"not established: {call.error or 'no reason given'}"
    if call.established and call.setup_ms is not None:
        observed += f" after {call.setup_ms:.0f} ms"
    claim = Claim("call.established", ("C1", "D3"), call.id, expected)
    parties = (evidence.network.endpoint_called(name) for name in (call.caller, call.callee))
    absent = [
        name for name in parties if name in registered and not registered[name].there_at(call.started_at)
    ]
    if wanted and not call.established and absent:
        return claim.not_shown(f"{observed}; {absent[0]} was not registered")
    return claim.passed(observed) if call.established == wanted else claim.failed(observed)


def _heard(evidence: RunEvidence, call: CallRecord, walks: Sequence[Walk]) -> Finding:
    """Both sides must hear each other; silence one way is named as one-way audio, with the device where the
    media ended."""
    claim = Claim("audio.heard", REQUIREMENT, call.id, "both sides hear the other's signal")
    if not call.established:
        return claim.not_shown("the call was not established")
    parts: dict[Direction, HeardAudio | None] = {
        "caller_to_callee": call.caller_to_callee,
        "callee_to_caller": call.callee_to_caller,
    }
    missing = [
        direction
        for direction, heard in parts.items()
        if heard is None or (heard.level_db is None and not heard.heard)
    ]
    deaf: list[Direction] = [d for d, heard in parts.items() if heard is not None and not heard.heard]
    text = "; ".join(_describe(call, direction, heard) for direction, heard in parts.items())
    if deaf:
        ends = [(d, *_end_shown(evidence, call, d, walks)) for d in deaf]
        where = "".join(f"; {d} media {text_}" for d, _, text_ in ends if text_)
        kind = f"one-way: {_one_way(call, deaf[0])}" if len(deaf) == 1 else "no audio either way"
        blame = next((blame for _, blame, _ in ends if blame), None)
        return claim.failed(kind + where, Evidence(text=text), blame)
    if missing:
        return claim.not_shown(f"no recording {missing[0]}", Evidence(text=text))
    return claim.passed(text, Evidence(text=text))


def _one_way(call: CallRecord, deaf: Direction) -> str:
    if deaf == "caller_to_callee":
        return "caller hears callee, callee hears nothing"
    return "callee hears caller, caller hears nothing"


def _describe(call: CallRecord, direction: Direction, heard: HeardAudio | None) -> str:
    listener = call.callee if direction == "caller_to_callee" else call.caller
    if heard is None:
        return f"{listener}: no measurement"
    level = "" if heard.level_db is None else f" at {heard.level_db:.1f} dB"
    share = "" if heard.share is None else f" in {heard.share:.0%} of the time"
    return f"{listener} {'hears' if heard.heard else 'does not hear'} {heard.expected_hz} Hz{level}{share}"


def _end_shown(
    evidence: RunEvidence, call: CallRecord, direction: Direction, walks: Sequence[Walk]
) -> tuple[str | None, str]:
    """Where the media of a direction ended, as far as the taps on its way saw the call."""
    blame, where = _end(evidence, call, direction, walks)
    parties = [evidence.network.endpoint_called(name) for name in (call.caller, call.callee)]
    paths = [evidence.network.path_of[name] for name in parties if name in evidence.network.path_of]
    gap = evidence.windows.first_gap((hop.tap for path in paths for hop in path.hops), *call_time(call))
    return (None, f"{where}; but {gap}") if gap else (blame, where)


def _end(
    evidence: RunEvidence, call: CallRecord, direction: Direction, walks: Sequence[Walk]
) -> tuple[str | None, str]:
    """Where the media of a direction ended: (device to blame, words)."""
    walk = next((w for w in walks if w.call == call.id and w.direction == direction), None)
    taken = evidence.taken(call, direction)
    if taken is not None and taken.diverted:
        return taken.intruder.blame, f"was lost in the relay: {taken.words}"
    if walk is None or not walk.hops:
        speaker = call.caller if direction == "caller_to_callee" else call.callee
        return evidence.network.endpoint_called(speaker), "was never sent"
    stream = evidence.stream(call, direction)
    spoken = media_seconds(stream) if stream else 0.0
    lasted = (call.ended_at or 0.0) - (call.answered_at or 0.0)
    if stream and lasted > 0 and spoken < MEDIA_SHARE * lasted:
        return evidence.endpoint_name(stream.sender), f"was sent for only {spoken:.1f} s of {lasted:.1f} s"
    listener = evidence.network.endpoint_called(
        call.callee if direction == "caller_to_callee" else call.caller
    )
    last = _last_with_media(walk)
    if last.tap == evidence.network.first_tap.get(listener) and last.leg != "up":
        return listener, f"reached {listener}"
    following = _next_tap(
        evidence.network,
        last,
        listener,
        evidence.network.endpoint_called(call.caller if direction == "caller_to_callee" else call.callee),
    )
    device = evidence.network.owner(evidence.network.device(last.tap))
    if following is not None and evidence.network.device(following) != evidence.network.device(last.tap):
        return device, f"was last seen at {last.tap} ({last.leg} leg), never at {following}"
    return device, f"was last seen at {last.tap} ({last.leg} leg)"


def _last_with_media(walk: Walk) -> HopRecord:
    """The last tap that still had most of what was sent; stragglers before a rule took hold do not count."""
    most = max(hop.packets for hop in walk.hops)
    return [hop for hop in walk.hops if hop.packets * 2 >= most][-1]


def _next_tap(network: PlannedNetwork, last: HopRecord, listener: str, speaker: str) -> str | None:
    """The tap that the packet should have reached next, by the plan's paths."""
    path = network.path_of.get(listener if last.leg == "down" else speaker)
    taps = [hop.tap for hop in path.hops] if path else []
    if last.leg == "down":
        taps.reverse()
    if last.tap not in taps:
        return None
    index = taps.index(last.tap) + 1
    return taps[index] if index < len(taps) else None


CHECKS.declare(
    "calls",
    Check(
        REFERENCE,
        lambda run: check_calls(run.evidence, run.walks),
        (
            FindingKind(
                "call.established",
                ("C1", "D3"),
                "the call was established, or was refused, as expected. Not shown if a party was not "
                "registered then",
            ),
            FindingKind(
                "audio.heard",
                ("C2", "D3"),
                "both sides heard the other's tone. Otherwise one-way or no audio is named, with the "
                "device where the media ended",
            ),
        ),
    ),
)
