"""Judging a run from its files: captures, key log, events and calls in, findings out."""

from uclab.judge.judging import judge, judge_run
from uclab.judge.run import Run, RunError, load_run
from uclab.judge.types import Evidence, Finding, Judgement

__all__ = ["Evidence", "Finding", "Judgement", "Run", "RunError", "judge", "judge_run", "load_run"]
