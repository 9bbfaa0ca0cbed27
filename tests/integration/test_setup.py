"""Set-up on a machine that is set up."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.mark.root
def test_second_set_up_does_nothing_and_takes_no_time() -> None:
    subprocess.run(["ci/setup.sh"], cwd=PROJECT, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    began = time.monotonic()
    again = subprocess.run(["ci/setup.sh"], cwd=PROJECT, check=True, capture_output=True, text=True)

    assert again.stdout + again.stderr == ""
    assert time.monotonic() - began < 5  # half a second on an idle machine
