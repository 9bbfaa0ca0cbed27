"""What all tests share."""

from __future__ import annotations

import gc
import os
import sys

# Containers and CI often forbid bytecode files. Then each worker of pytest would rewrite the assertions of
# every test again, and each program that a test starts compile all that it imports: half the time of a run.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_finish() -> None:
    """What is there when all tests are collected stays: garbage need not be looked for in it."""
    gc.collect()
    gc.freeze()
