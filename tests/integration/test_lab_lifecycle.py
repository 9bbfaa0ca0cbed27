"""A lab is one process tree: whatever ends it, nothing stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.process_tree import descendants, left_after, namespaces
from tests.integration.labs import UclabCommand, kill
from tests.integration.remains import Machine, locks_of, look_at_shared, machine_of_its_own, new_since
from tests.unit.api_asked import ask_everything, behind

TOPOLOGY = "small-office"
CLEAN_DEADLINE_S = 2.0
KEEPER_S = 10.0
"""Until a dead lab's folder is gone: a program of its own has to see it, on a busy machine."""
AS_STRANGER = """
import os, socket, sys
os.chdir(sys.argv[1])
os.chmod('.', 0o711)
os.chmod('api.sock', 0o666)
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect('api.sock')
    try:
        sock.sendall(b'POST /down HTTP/1.1\\r\\nHost: lab\\r\\nContent-Length: 0\\r\\n\\r\\n')
        print(sock.recv(100).decode(), end='')
    except ConnectionError:
        pass
"""
"""Somebody else who has got to the socket all the same, and asks for the lab's end."""

pytestmark = pytest.mark.root


@pytest.fixture
def uclab(tmp_path: Path) -> Iterator[UclabCommand]:
    """The command; labs that a failed test leaves are taken down."""
    command = UclabCommand(tmp_path)
    yield command
    for lab in command.json("ls"):
        command("down", "--name", lab["name"], status=None)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine on which nobody else leaves anything; at the end nothing may be there."""
    with machine_of_its_own(tmp_path) as view:
        before = look_at_shared()
        yield view
        assert list((tmp_path / "labs").iterdir()) == []
        assert view.files() == []
        assert new_since(before) == []


@pytest.fixture
def alone(machine: Machine) -> Iterator[UclabCommand]:
    """The command, on a machine of its own. Whoever is told by nobody (no `ls`) tidies up all the same."""
    command = UclabCommand(machine.keep, machine.enter)
    yield command
    deadline = time.monotonic() + KEEPER_S
    while any((machine.keep / "labs").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)


def assert_nothing_left_after_kill(supervisor: int) -> None:
    """Kill the supervisor with SIGKILL and see its whole tree and all its namespaces go within 2 s."""
    root = supervisor_root(supervisor)
    tree = descendants(root)
    spaces = namespaces(process.pid for process in tree if process.pid != root)
    mounts_before = Path("/proc/self/mounts").read_text()
    assert spaces
    kill(supervisor)
    alive, occupied = left_after(tree, spaces, CLEAN_DEADLINE_S)
    assert not alive, f"still running: {alive}"
    assert not occupied, f"still there: {occupied}"
    assert Path("/proc/self/mounts").read_text() == mounts_before
    assert locks_of(frozenset(process.pid for process in tree)) == []


def supervisor_root(supervisor: int) -> int:
    """The `unshare` process at the root of the lab: parent of init, which is the supervisor's parent."""
    parent = int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
    return int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])


def assert_closed_to_others(lab: Path) -> None:
    """Nobody else can enter the lab's folder or use its socket, nor is served where he gets hold of it."""
    assert stat.S_IMODE(lab.stat().st_mode) == 0o700
    assert all(not path.lstat().st_mode & 0o077 for path in lab.rglob("*"))
    with subprocess.Popen(
        [sys.executable, "-c", AS_STRANGER, str(lab)], stdout=subprocess.PIPE, text=True
    ) as stranger:
        answered = stranger.communicate(timeout=30)[0]
    lab.chmod(0o700)
    assert answered == ""


@pytest.mark.parametrize(
    "moment", ["network-up", "captures-running", "fabric-ready", "cloud-ready", "registered", "up"]
)
def test_killed_while_coming_up_leaves_nothing(alone: UclabCommand, moment: str) -> None:
    # given a lab that comes up
    process = alone.start("up", TOPOLOGY, "--name", "k", "--out", str(alone.folder / "k"))
    supervisor = alone.supervisor_of("k")
    alone.wait_for_event("k", moment)
    # when its supervisor is killed at that moment, then nothing is left
    assert_nothing_left_after_kill(supervisor)
    # and the command that started it says so, unless it had been told before that the lab is up: phones that
    # have registered are the last thing that a small lab waits for
    told = {3, 0} if alone.happened("k", "up") else {3}
    assert process.wait(timeout=20) in told


def test_killed_during_a_call_leaves_nothing(alone: UclabCommand) -> None:
    # given a lab with a call in progress
    alone("up", TOPOLOGY, "--name", "k", "--out", str(alone.folder / "k"))
    caller, callee = (endpoint["name"] for endpoint in alone.json("ls")[0]["endpoints"][:2])
    call = alone.start("call", caller, callee, "--seconds", "60")
    alone.wait_for_event("k", "call-established")
    # when the supervisor is killed, then nothing is left
    assert_nothing_left_after_kill(alone.supervisor_of("k"))
    # and the call ends with a message, without a traceback
    _, said = call.communicate(timeout=10)
    assert call.returncode == 3
    assert "Traceback" not in said
    assert "lab `k`" in said


def test_killed_while_going_down_leaves_nothing(alone: UclabCommand) -> None:
    # given a lab that goes down
    alone("up", TOPOLOGY, "--name", "k", "--out", str(alone.folder / "k"))
    supervisor = alone.supervisor_of("k")
    going_down = alone.start("down")
    alone.wait_for_event("k", "going-down")
    # when it is killed, then nothing is left
    assert_nothing_left_after_kill(supervisor)
    going_down.communicate(timeout=10)


def test_down_ends_the_lab_and_keeps_its_captures(alone: UclabCommand) -> None:
    # given a lab
    alone("up", TOPOLOGY, "--name", "d", "--out", str(alone.folder / "d"))
    root = supervisor_root(alone.supervisor_of("d"))
    tree = descendants(root)
    spaces = namespaces(process.pid for process in tree if process.pid != root)
    # which root alone commands, and no input makes fail
    assert_closed_to_others(alone.folder / "labs" / "d")
    ask_everything(behind(alone.folder / "labs" / "d" / "api.sock"), examples=40, but="/down")
    # when it is taken down
    alone("down")
    # then nothing of it runs and its evidence is there
    alive, occupied = left_after(tree, spaces, CLEAN_DEADLINE_S)
    assert not alive
    assert not occupied
    assert list((alone.folder / "d" / "captures").glob("*.pcapng"))


def test_interrupted_run_takes_everything_down(uclab: UclabCommand) -> None:
    # given a run in the middle of its calls
    run = uclab.start("run", TOPOLOGY, "--out", str(uclab.folder / "r"))
    uclab.wait_for_event("r", "call-established")
    (name,) = [lab["name"] for lab in uclab.json("ls")]
    root = supervisor_root(uclab.supervisor_of(name))
    tree = descendants(root)
    # when the user presses Ctrl-C
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=20)
    # then it ends as an interrupted command does, and nothing is left
    assert run.returncode == 130
    assert "Traceback" not in said
    alive, _ = left_after(tree, frozenset(), CLEAN_DEADLINE_S)
    assert not alive


def test_interrupted_up_leaves_nothing(uclab: UclabCommand) -> None:
    # given a lab that comes up to stay
    up = uclab.start("up", TOPOLOGY, "--name", "i", "--out", str(uclab.folder / "i"))
    supervisor = uclab.supervisor_of("i")
    uclab.wait_for_event("i", "network-up")
    tree = descendants(supervisor_root(supervisor))
    # when the user presses Ctrl-C
    up.send_signal(signal.SIGINT)
    _, said = up.communicate(timeout=20)
    # then it ends as an interrupted command does, and nothing is left
    assert up.returncode == 130
    assert "Traceback" not in said
    alive, _ = left_after(tree, frozenset(), CLEAN_DEADLINE_S)
    assert not alive


def test_killed_run_command_takes_its_lab_with_it(uclab: UclabCommand) -> None:
    # given a run
    run = uclab.start("run", TOPOLOGY, "--out", str(uclab.folder / "r"))
    uclab.wait_for_event("r", "network-up")
    (name,) = [lab.name for lab in (uclab.folder / "labs").iterdir()]
    tree = descendants(supervisor_root(uclab.supervisor_of(name)))
    # when the command itself (not the supervisor) is killed
    kill(run.pid)
    run.communicate(timeout=10)
    # then the lab goes too: its lease has ended
    alive, _ = left_after(tree, frozenset(), 2 * CLEAN_DEADLINE_S)
    assert not alive


def test_two_labs_work_side_by_side(uclab: UclabCommand) -> None:
    # given two labs of the same topology, with the same names and addresses inside
    starting = [
        uclab.start("up", TOPOLOGY, "--name", name, "--out", str(uclab.folder / name)) for name in ("a", "b")
    ]
    for process in starting:
        _, said = process.communicate(timeout=180)
        assert process.returncode == 0, said
    first, second = (endpoint["name"] for endpoint in uclab.json("ls")[0]["endpoints"][:2])
    # when a call is placed in each at the same time
    calls = [uclab.start("call", first, second, "--name", name, "--seconds", "2") for name in ("a", "b")]
    # then both work
    for call in calls:
        said, error = call.communicate(timeout=60)
        assert call.returncode == 0, said + error


def test_dead_process_is_reported_by_name_with_its_last_words_and_comes_back(uclab: UclabCommand) -> None:
    # given a lab
    uclab("up", TOPOLOGY, "--name", "k", "--out", str(uclab.folder / "k"))
    phone = uclab.json("ls")[0]["endpoints"][0]["name"]
    tree = descendants(supervisor_root(uclab.supervisor_of("k")))
    victims = [process for process in tree if f"/{phone}" in process.command and "baresip" in process.command]
    assert victims
    # when a phone's program is killed
    os.kill(victims[-1].pid, signal.SIGKILL)
    # then the lab says which at once
    event = uclab.wait_for_event("k", "process-died")
    assert event["source"] == phone
    assert "exit status -9" in event["detail"]
    assert "last lines of baresip.log" in event["detail"]
    # and when a service's conmon is killed, which leaves podman waiting and the service alone, and the
    # site's controller with it,
    (conmon,) = [p for p in tree if p.command.startswith("/usr/bin/conmon") and " -n dns " in p.command]
    (controller,) = [p for p in tree if "controllers.voice_fabric" in p.command]
    kill(conmon.pid)
    kill(controller.pid)
    assert "its conmon was killed" in uclab.wait_for_event("k", "process-died", source="dns")["detail"]
    # then each comes back as the policy says, and how long it took is told
    for name in (phone, "dns", "controller-office"):
        back = uclab.wait_for_event("k", "restarted", source=name)["detail"]
        assert re.fullmatch(r"\d+\.\d\d s after its end, start \d of 3", back)
    (state,) = uclab.json("ls")
    assert (state["phase"], state["dead"]) == ("up", [])
    assert all(endpoint["registered"] for endpoint in state["endpoints"] if endpoint["kind"] != "pstn-phone")
    # and works: the phone calls, by a name that is asked for again
    other = state["endpoints"][1]["name"]
    uclab("call", phone, other, "--seconds", "3")


def test_capture_that_died_is_named_and_does_not_keep_the_lab_from_going_down(uclab: UclabCommand) -> None:
    # given a lab one of whose captures is killed
    uclab("up", TOPOLOGY, "--name", "c", "--out", str(uclab.folder / "c"))
    tree = descendants(supervisor_root(uclab.supervisor_of("c")))
    victim = next(one for one in tree if "dumpcap" in one.command and "desk1.pcapng" in one.command)
    kill(victim.pid)
    uclab.wait_for_event("c", "process-died")
    # then the lab says that it is not whole any more, and what of it, also at the device: captures stay dead
    (state,) = uclab.json("ls")
    assert (state["phase"], state["dead"]) == ("degraded", ["taps-desk1"])
    assert uclab.json("inspect")["phase"] == "degraded"
    assert uclab.json("inspect", "desk1")["dead"] == ["taps-desk1"]
    assert "dead" not in uclab.json("inspect", "desk2")
    # when the lab is taken down, then it goes, and says which capture was cut off
    uclab("down")
    assert uclab.json("ls") == []
    assert "captures in desk1" in uclab.wait_for_event("c", "capture-cut-off")["detail"]
    # and the verdict does not count its tap as complete, and blames the capture
    uclab("judge", str(uclab.folder / "c"), status=1)
    findings = json.loads((uclab.folder / "c" / "results.json").read_text())["findings"]
    incomplete = [f["observed"] for f in findings if f["id"] == "capture.complete" and f["verdict"] != "pass"]
    assert "no drop counter for 1 taps: desk1:eth0" in incomplete
    assert any(one.startswith("desk1:eth0 saw nothing from") for one in incomplete)
    assert all("desk1" in one for one in incomplete)
    assert {f["blame"] for f in findings if f["id"] == "lab.alive"} == {"taps-desk1"}


def test_second_lab_of_the_same_name_is_refused(uclab: UclabCommand) -> None:
    # given a lab
    uclab("up", TOPOLOGY, "--name", "k", "--out", str(uclab.folder / "k"))
    # when another of its name is started, then that is wrong input and the first one lives on
    refused = uclab("up", TOPOLOGY, "--name", "k", "--out", str(uclab.folder / "k2"), status=2)
    assert "already running" in refused.stderr
    assert [lab["phase"] for lab in uclab.json("ls")] == ["up"]


def test_program_that_dies_during_a_run_is_named_in_the_verdict(uclab: UclabCommand) -> None:
    # given a run whose lab is up
    run = uclab.start("run", TOPOLOGY, "--out", str(uclab.folder / "r"))
    uclab.wait_for_event("r", "up")
    (name,) = [lab["name"] for lab in uclab.json("ls")]
    tree = descendants(supervisor_root(uclab.supervisor_of(name)))
    # when the name server is killed under it
    victim = next(process for process in tree if process.command.startswith("unbound"))
    kill(victim.pid)
    said, progress = run.communicate(timeout=200)
    # then the run goes on to its verdict, which names it, and so did the progress
    assert run.returncode == 1, said + progress
    findings = json.loads((uclab.folder / "r" / "results.json").read_text())["findings"]
    blamed = {finding["blame"] for finding in findings if finding["id"] == "lab.alive"}
    assert blamed == {"dns"}
    assert "dns: process-died" in progress
    assert "Traceback" not in progress
