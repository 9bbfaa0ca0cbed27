"""Exit statuses of all verbs."""

from __future__ import annotations

from collections.abc import Iterable

from uclab.judge.result.judgement import RunVerdict, worst

HELD, VERDICT_FAILED, WRONG_INPUT, NOT_UP, NOT_SHOWN, CRASHED, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130
"""All passed; a verdict failed; the input is wrong; the lab could not be brought up; something was not shown;
uclab itself is at fault (EX_SOFTWARE of sysexits.h); interrupted."""

STATUS: dict[RunVerdict, int] = {"pass": HELD, "fail": VERDICT_FAILED, "not-shown": NOT_SHOWN}


def status_of(verdicts: Iterable[RunVerdict]) -> int:
    """The exit status that stands for several runs."""
    verdict = worst(verdicts)
    return STATUS["not-shown" if verdict == "not-applicable" else verdict]
