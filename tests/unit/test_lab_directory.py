"""Where labs live: names, locks, sockets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uclab.lab.directory import (
    LABS_VARIABLE,
    LabDirectory,
    LabExists,
    NoSuchLab,
    find_lab,
    running_labs,
)


@pytest.fixture(autouse=True)
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(LABS_VARIABLE, str(tmp_path / "labs"))
    return tmp_path / "labs"


def test_lab_is_alive_while_its_lock_is_held() -> None:
    # given a prepared lab, whose lock its supervisor would hold
    lab = LabDirectory("a")
    lock = lab.prepare({})
    assert lab.is_alive()
    assert [one.name for one in running_labs()] == ["a"]
    # when the holder is gone, then the lab is dead and its folder goes at the next look
    os.close(lock)
    assert not lab.is_alive()
    assert running_labs() == ()
    assert not lab.path.exists()


def test_second_lab_of_a_name_is_refused() -> None:
    lock = LabDirectory("a").prepare({})
    with pytest.raises(LabExists, match="already running"):
        LabDirectory("a").prepare({})
    os.close(lock)


def test_the_only_lab_needs_no_name() -> None:
    with pytest.raises(NoSuchLab, match="no lab is running"):
        find_lab(None)
    locks = [LabDirectory("a").prepare({})]
    assert find_lab(None).name == "a"
    locks.append(LabDirectory("b").prepare({}))
    with pytest.raises(NoSuchLab, match="`a`, `b`"):
        find_lab(None)
    with pytest.raises(NoSuchLab, match="no lab named `c`"):
        find_lab("c")
    for lock in locks:
        os.close(lock)


def test_socket_fits_however_deep_the_folder(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LabDirectory("a").socket == labs / "a" / "api.sock"
    monkeypatch.setenv(LABS_VARIABLE, str(labs / ("deep/" * 30)))
    deep, other = LabDirectory("a").socket, LabDirectory("b").socket
    assert len(os.fsencode(deep)) < 108
    assert deep != other
