"""What all tests share."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator

import pytest

# Containers and CI often forbid bytecode files. Then each worker of pytest would rewrite the assertions of
# every test again, and each program that a test starts compile all that it imports: half the time of a run.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_finish() -> None:
    """What is there when all tests are collected stays: garbage need not be looked for in it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def signals_as_before() -> Generator[None]:
    """What a test blocks or ignores, programs of later tests would inherit: it is taken back, and said."""
    before = _signals()
    yield
    if (after := _signals()) != before:
        signal.pthread_sigmask(signal.SIG_SETMASK, before[0])
        pytest.fail(f"the test leaves signals otherwise: {before} before, {after} after")


def _signals() -> tuple[set[signal.Signals], ...]:
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
    ignored = {one for one in handled if signal.getsignal(one) == signal.SIG_IGN}
    return set(map(signal.Signals, signal.pthread_sigmask(signal.SIG_BLOCK, []))), ignored
