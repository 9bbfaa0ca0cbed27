"""`uclab` within the test's own process: to start Python and load everything takes longer than most verbs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from uclab.cli.main import main
from uclab.lab.directory import LABS_VARIABLE


def uclab(*arguments: str, state: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a command line prints and how it ends; `state` is the folder of the labs that there are."""
    argv = ["uclab", *arguments]
    labs = {LABS_VARIABLE: str(state)} if state else {}
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", argv),
        patch.dict(os.environ, labs),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = _status()
    return subprocess.CompletedProcess(argv, status, out.getvalue(), err.getvalue())


def _status() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
