"""Judging a run from its files: captures, key log, events, calls in; findings out (`judging.judge_run`)."""
