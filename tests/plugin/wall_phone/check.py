"""Whether a wall phone speaks A-law (RTP payload type 8, RFC 3551 section 6), as its analogue line asks."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.judge.check import CHECKS, WITH_CALLS, Check, Examined, FindingKind
from uclab.judge.result.claim import Claim
from uclab.judge.result.judgement import Finding

PCMA = 8


def check_codec(run: Examined) -> Iterator[Finding]:
    """One finding for each wall phone that was in a call."""
    phones = [one for one in run.evidence.network.endpoints if one.kind == "wall-phone"]
    for phone in phones:
        claim = Claim("wall-phone.codec", ("E1",), phone.name, "speaks A-law")
        spoken = {
            stream.payload_type
            for stream in run.evidence.seen.media.streams
            if run.evidence.endpoint_name(stream.sender) == phone.name and stream.counted
        }
        if not spoken:
            yield claim.not_shown("it was in no call")
        elif spoken == {PCMA}:
            yield claim.passed("payload type 8 alone")
        else:
            yield claim.failed(f"payload types {sorted(spoken)}", blame=phone.name)


CHECKS.declare(
    "wall-phone",
    Check(WITH_CALLS, check_codec, (FindingKind("wall-phone.codec", ("E1",), "a wall phone speaks A-law"),)),
)
