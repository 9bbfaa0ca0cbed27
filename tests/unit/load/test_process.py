"""What a process that carries calls is told once: tried in processes of their own, since it is for good."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.req("D11")


def said_by(code: str) -> str:
    """What a process of its own printed."""
    code = f"from endpoints_emu.load import process\n{code}"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_what_is_loaded_by_then_is_not_looked_at_again() -> None:
    assert int(said_by("import gc; process.prepare(); print(gc.get_freeze_count())")) > 1000


def test_a_preferred_process_runs_before_others_where_the_machine_allows_and_its_children_do_not() -> None:
    policy = "import os; print(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK)"
    own, child = said_by(
        "import os, subprocess, sys\n"
        "allowed = process.prefer()\n"
        "print(allowed, os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, flush=True)\n"
        f"subprocess.run([sys.executable, '-c', {policy!r}])"
    ).splitlines()
    assert own in (f"True {os.SCHED_RR}", f"False {os.SCHED_OTHER}")
    assert int(child) == os.SCHED_OTHER
