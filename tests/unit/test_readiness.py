"""Deadlines, and machines that need longer ones."""

from __future__ import annotations

import asyncio
import time

import pytest

from uclab.runtime.node import NotReady
from uclab.runtime.readiness import PATIENCE_VARIABLE, block_until, patient, wait_until


@pytest.mark.parametrize(
    ("said", "deadline_s"),
    [
        ("1", 2.0),
        ("10", 20.0),
        ("2.5", 5.0),
        ("0.1", 2.0),
        ("1000", 2.0),
        ("nan", 2.0),
        ("much", 2.0),
        ("", 2.0),
    ],
)
def test_a_slow_machine_has_longer_deadlines(
    monkeypatch: pytest.MonkeyPatch, said: str, deadline_s: float
) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, said)
    assert patient(2.0) == deadline_s


def test_without_a_word_deadlines_are_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PATIENCE_VARIABLE, raising=False)
    assert patient(2.0) == 2.0


def test_a_wait_is_as_patient_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a machine three times as slow, and something that never comes about
    monkeypatch.setenv(PATIENCE_VARIABLE, "3")

    async def never() -> None:
        return None

    # when it is waited for, then three times as long
    began = time.monotonic()
    with pytest.raises(NotReady, match=r"never: not ready after 0.15 s"):
        asyncio.run(wait_until(never, what="never", deadline_s=0.05, every_s=0.01))
    assert time.monotonic() - began >= 0.15


def test_a_thread_waits_as_patiently_and_says_what_it_last_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    # given something that comes about at the third look, and something that never does
    monkeypatch.setenv(PATIENCE_VARIABLE, "3")
    looks = iter((None, None, "there"))
    assert block_until(lambda: next(looks), what="third", deadline_s=5, every_s=0) == "there"

    def never() -> None:
        raise OSError("no carrier at edge:wan1")

    # when it is waited for, then until the deadline
    with pytest.raises(NotReady, match=r"never: not ready after 0.15 s .*no carrier at edge:wan1"):
        block_until(never, what="never", deadline_s=0.05, every_s=0.01)
