"""Judges one call while its lab still runs, from the captures so far."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from uclab.judge.evidence.run import load_run
from uclab.judge.judging import build_evidence
from uclab.judge.quality.figures import judged_calls
from uclab.judge.result.media import JudgedCall
from uclab.records.run import CallRecord


def judge_call(run_dir: Path, record: CallRecord) -> JudgedCall:
    """The quality of one call. Only this call is looked for; the captures may still grow."""
    run = replace(load_run(run_dir), calls=(record,))
    (judged,) = judged_calls(build_evidence(run), running=True)
    return judged
