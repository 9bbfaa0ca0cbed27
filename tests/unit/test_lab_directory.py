"""Where labs live: names, locks, sockets."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
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


@pytest.mark.req("D3")
def test_lab_that_comes_up_is_never_taken_for_a_dead_one() -> None:
    # given others who look for dead labs all the time
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            running_labs()

    with ThreadPoolExecutor(4) as others:
        looking = [others.submit(look) for _ in range(4)]
        try:
            # when labs of one name come up and die, one after the other
            for number in range(300):
                lock = LabDirectory("a").prepare({"number": number})
                # then nobody has taken the living one's folder away
                assert LabDirectory("a").start_file.exists()
                assert LabDirectory("a").is_alive()
                os.close(lock)
        finally:
            done.set()
    assert [one.exception() for one in looking] == [None] * 4


def test_one_of_many_that_start_a_lab_of_one_name_at_once_gets_it() -> None:
    # given many who start a lab of the same name at the same moment, beside a dead one's folder
    def start() -> int | None:
        try:
            return LabDirectory("a").prepare({})
        except LabExists:
            return None

    for _ in range(100):
        with ThreadPoolExecutor(8) as starters:
            locks = list(starters.map(lambda _: start(), range(8)))
        # then exactly one has it: nobody is refused for a lab that is only being looked at
        (won,) = [lock for lock in locks if lock is not None]
        os.close(won)


def test_folder_of_a_dead_lab_goes_without_anybody_looking() -> None:
    # given a lab, and its keeper, which nobody needs the folder of any more
    lab = LabDirectory("a")
    lock = lab.prepare({})
    keeper = subprocess.Popen(
        [sys.executable, "-m", "uclab.lab.remains", "a"], stdin=subprocess.PIPE, close_fds=True
    )
    assert keeper.stdin is not None
    keeper.stdin.close()
    # when the lab dies, then its folder goes
    assert lab.path.exists()
    os.close(lock)
    assert keeper.wait(timeout=20) == 0
    assert not lab.path.exists()


def test_keeper_of_a_dead_lab_leaves_its_successor_alone() -> None:
    # given a lab that died and another one of its name
    os.close(LabDirectory("a").prepare({}))
    lock = LabDirectory("a").prepare({})
    # when what the first one left is looked for, then the second one keeps its folder
    assert not LabDirectory("a").remove_if_dead()
    assert LabDirectory("a").is_alive()
    os.close(lock)


def test_folder_that_is_no_labs_is_left_alone(labs: Path) -> None:
    (labs / "holiday").mkdir(parents=True)
    (labs / "holiday" / "picture").touch()
    assert running_labs() == ()
    assert (labs / "holiday" / "picture").exists()
