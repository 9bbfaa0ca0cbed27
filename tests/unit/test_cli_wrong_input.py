"""Wrong input of every kind to every verb: one message, exit status 2, no traceback, nothing started."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main

from uclab.cli.main import app, main
from uclab.lab.client import LabClient
from uclab.lab.directory import LABS_VARIABLE, LabDirectory

T = "small-office"
LAB_VERBS: dict[str, tuple[str, ...]] = {
    "inspect": ("nosuch",),
    "exec": ("nosuch", "--", "true"),
    "call": ("desk1", "desk9"),
    "message": ("desk1", "desk9"),
    "fail": ("nothing",),
    "heal": ("nothing",),
    "down": (),
    "sdwan": (),
    "circuit list": (),
    "circuit create": ("c", "--from", "a", "--to", "b", "--vlan", "7", "--rate", "1000"),
    "circuit change": ("c", "--rate", "1000"),
    "circuit remove": ("c",),
}
"""Verbs that ask a running lab, with what a lab has not got."""

WRONG: tuple[tuple[str, str], ...] = (
    *(
        (f"{verb} nosuch", "nosuch")
        for verb in ("check", "plan", "graph", "capacity", "up", "run", "campaign")
    ),
    *(
        (f"{verb} FOLDER", "FOLDER")
        for verb in ("check", "plan", "graph", "capacity", "up", "run", "campaign")
    ),
    *(
        (f"{verb} BINARY", "BINARY")
        for verb in ("check", "plan", "graph", "capacity", "up", "run", "campaign")
    ),
    ("drill nosuch --list", "nosuch"),
    (f"plan {T} --fault nosuch", "nosuch"),
    (f"plan {T} --fault rtp-plain:nobody", "nobody"),
    (f"plan {T} --device nosuch", "nosuch"),
    (f"graph {T} --out FOLDER", "FOLDER"),
    (f"graph {T} --out FOLDER/none/picture.svg", "FOLDER"),
    (f"graph {T} --out BINARY/picture.svg", "BINARY"),
    (f"capacity {T} --svg FOLDER", "FOLDER"),
    (f"capacity {T} --measure --line nosuch", "nosuch"),
    (f"capacity {T} --measure --way sideways", "sideways"),
    (f"capacity {T} --measure --fault nosuch", "nosuch"),
    (f"capacity {T} --measure --out BINARY", "BINARY"),
    (f"up {T} --name ../victim", "../victim"),
    (f"up {T} --name a/b", "a/b"),
    (f"up {T} --out BINARY", "BINARY"),
    (f"up {T} --out USED", "USED"),
    (f"up {T} --fault nosuch", "nosuch"),
    (f"run {T} --scenario nosuch", "nosuch"),
    (f"run {T} --out /dev/null", "/dev/null"),
    (f"run {T} --out USED", "USED"),
    (f"run {T} --fault nosuch:desk1", "nosuch"),
    (f"run {T} --scenario failover --incident nosuch", "nosuch"),
    (f"run {T} --incident circuit-down", "incident"),
    (f"run {T} --repeat 0", "repeat"),
    (f"run {T} --repeat many", "--repeat"),
    (f"campaign {T} --profile nosuch", "nosuch"),
    (f"campaign {T} --users 0", "users"),
    (f"campaign {T} --users -3", "users"),
    (f"campaign {T} --spawn-rate nan", "spawn-rate"),
    (f"campaign {T} --duration 0", "duration"),
    (f"campaign {T} --workers 0", "workers"),
    (f"campaign {T} --remote nosuch", "nosuch"),
    (f"campaign {T} --listen nowhere", "--listen"),
    (f"campaign {T} --wait -1", "wait"),
    (f"campaign {T} --out USED", "USED"),
    (f"campaign {T} --fault nosuch", "nosuch"),
    ("generator FOLDER --interface nosuch0 --leader 192.0.2.1", ""),
    ("generator nosuch --interface lo --leader 192.0.2.1", "nosuch"),
    ("judge nosuch", "nosuch"),
    ("judge FOLDER", "FOLDER"),
    ("judge BINARY", "BINARY"),
    ("share nosuch --out FOLDER/new", "nosuch"),
    ("share FOLDER --out USED", "FOLDER"),
    (f"drill {T} --fault nosuch", "nosuch"),
    (f"drill {T} --fault rtp-plain --out BINARY", "BINARY"),
    ("call desk1 desk2 --seconds 0", "seconds"),
    ("call desk1 desk2 --seconds 1e9", "seconds"),
    ("call desk1 desk2 --seconds nan", "seconds"),
    ("message desk1 desk2 --count 0", "count"),
    ("message desk1 desk2 --count many", "count"),
    ("message desk1 desk2 --every -1", "every"),
    ("message desk1 desk2 --every nan", "every"),
    ("fail wan1 --black-hole --kill", "--kill"),
    ("fail wan1 --brown-out loss", "loss"),
    ("exec desk1", "--"),
    *((" ".join([verb, *words]), "no lab is running") for verb, words in LAB_VERBS.items()),
    *(
        (" ".join([verb, "--name", "../victim", *words]), "victim")
        for verb, words in LAB_VERBS.items()
        if "--" not in words
    ),
    ("exec --name ../victim desk1 -- true", "victim"),
    ("nosuchverb", "nosuchverb"),
    ("circuit nosuchverb", "nosuchverb"),
)
"""Words of the command line, and what the message must name. FOLDER, BINARY, USED stand for paths."""


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def popen(argv: list[str], *rest: Any, **more: Any) -> subprocess.Popen[bytes]:
        assert "uclab.lab.supervisor" not in argv, "a lab was started"
        return real(argv, *rest, **more)

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", popen)
    (tmp_path / "labs").mkdir()
    monkeypatch.setenv(LABS_VARIABLE, str(tmp_path / "labs"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "evidence").write_text("of somebody else")
    return {
        "FOLDER": str(tmp_path / "folder"),
        "BINARY": str(tmp_path / "binary.yaml"),
        "USED": str(tmp_path / "used"),
    }


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit status of a command line."""
    monkeypatch.setattr(sys, "argv", ["uclab", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize(("line", "named"), WRONG, ids=[line for line, _ in WRONG])
def test_wrong_input_is_one_message_and_exit_status_2(
    line: str,
    named: str,
    places: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    words = line.split(" ")
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    # when a verb is given what cannot be
    status = run(monkeypatch, *words)
    # then it says what, without a traceback, and has done nothing
    shown = capsys.readouterr()
    assert status == 2, shown
    assert "Traceback" not in shown.err + shown.out
    said = re.sub(r"[\s│]", "", shown.err)  # boxes break lines anywhere
    assert places.get(named, named).replace(" ", "") in said, shown.err
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every verb with its command."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
    else:
        for name, one in inner.items():
            yield from verbs(one, (*path, name))


VERBS = dict(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_refuses_what_it_does_not_know(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *verb.split(), "--nosuch-option") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_every_option_that_takes_a_value_has_a_wrong_one_here() -> None:
    tried = [line.split() for line, _ in WRONG]
    circuits = {"--from", "--to", "--vlan", "--from-prefix", "--to-prefix", "--rate", "--pcp", "--dscp"}
    elsewhere = {*circuits, "--allow-dscp", "--leaving"}  # test_cli_circuit.py; a lab's own answer
    missing = []
    for verb, command in VERBS.items():
        options = {option.opts[0] for option in command.params if option.opts[0].startswith("--")}
        for option in options - elsewhere:
            flag = any(
                one.opts[0] == option and one.is_flag for one in command.params if hasattr(one, "is_flag")
            )
            if not flag and not any(
                words[: len(verb.split())] == verb.split() and option in words for words in tried
            ):
                missing.append(f"{verb} {option}")
    assert missing == []


@pytest.mark.parametrize("verb", sorted(set(LAB_VERBS) - {"down"}))
def test_what_a_running_lab_has_not_got_is_wrong_input(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a lab that answers that it has nothing of that name
    def client(_: str | None) -> LabClient:
        lab = LabClient(LabDirectory("office"))
        answer = httpx.Response(409, text=json.dumps({"error": "no such thing; there are: desk1, desk2"}))
        lab._http = httpx.Client(transport=httpx.MockTransport(lambda _: answer), base_url="http://lab")
        return lab

    for module in ("labs", "circuit", "sdwan"):
        monkeypatch.setattr(f"uclab.cli.{module}.client_of", client)
    # when it is asked for that, then this is said, with what there is
    assert run(monkeypatch, *verb.split(), *LAB_VERBS[verb]) == 2
    assert "there are: desk1, desk2" in capsys.readouterr().err


def test_the_labs_of_others_are_not_shown_to_whoever_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refused(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    assert run(monkeypatch, "ls") == 2
    assert "use sudo" in capsys.readouterr().err
