"""A run folder that anybody may have touched: one message that names the file, or a judgement; never an error
of our own, never a wait without end."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from testbed.plans import shipped_plan
from uclab.judge.evidence.run import RunError, load_run
from uclab.judge.judging import judge
from uclab.plan.load.record import CampaignRecord, GeneratorRecord, LegRecord
from uclab.plan.schema.codec import plan_to_json, to_data
from uclab.records.run import CallRecord, Event, HeardAudio, Incident
from uclab.records.scenario import (
    Asked,
    AskedCall,
    AskedIncident,
    FileLength,
    LabEnd,
    OrderRecord,
    ScenarioEnd,
    ScenarioRecord,
)

CALL = CallRecord(
    "c1", "desk1", "desk2", "desk-desk", True, 101.0, 102.0, 107.2, 80.0, "a@b", HeardAudio(440, True)
)
LEG = LegRecord(
    "7001", "7002", "caller", "call", 200, 101.0, 102.0, 107.0, media_port=20000, address="10.0.0.1"
)


@cache
def files() -> dict[str, str]:
    """A whole run's records, by file."""
    plan = shipped_plan("small-office")
    asked = Asked(
        (AskedCall("c1", "desk1", "desk2", "desk-desk", 5.0),), (AskedIncident("circuit-down", "x", 1),)
    )
    incident = Incident("circuit-down", "x", ("x",), "cut", True, 1, 110.0, 120.0, 130.0, ("c1",), 1, 3)
    records = {
        "scenario.json": ScenarioRecord("failover", "failover", 100.0, asked),
        "scenario.end.json": ScenarioEnd(140.0, "whole"),
        "lab.end.json": LabEnd(141.0, (FileLength("calls.json", 10, 1),)),
        "calls.json": [CALL],
        "incidents.json": [incident],
        "host.json": {"kernel": "6.1"},
        "captures/interfaces.json": {"ovs": {"veth1": "sw1:1"}},
        "campaign/campaign.json": CampaignRecord("busy-hour", 1, True, (GeneratorRecord("load1", 0),)),
    }
    lines: dict[str, list[object]] = {
        "events.jsonl": [
            Event(90.0, "lab", "up"),
            Event(99.0, "desk1", "registered"),
            Event(141.0, "lab", "down"),
        ],
        "orders.jsonl": [OrderRecord(1, 101.0, "asked", "call", "c1", asked.calls[0])],
        "campaign/load1.legs.jsonl": [LEG],
    }
    texts = {name: json.dumps(to_data(record), indent=1) + "\n" for name, record in records.items()}
    texts |= {n: "".join(json.dumps(to_data(one)) + "\n" for one in its) for n, its in lines.items()}
    return {"plan.json": plan_to_json(plan), "keys/ca.pem": "-----BEGIN", **texts}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in files().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


READ = sorted(set(files()) - {"host.json"})
NUMBERS = (-1, 0, 1 << 40, 1e18, -1e18, 1.5)
WORDS = ("", "x", "../../x", "a/b", "\0", "\u202e", "10.0.0.1", "300.1.1.1", "ü" * 100)


def test_a_whole_folder_is_read(folder: Path) -> None:
    run = load_run(folder)
    assert (len(run.calls), len(run.events), len(run.load.legs), run.cut) == (1, 3, 1, {})


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.path.relpath(path))


PLACED: dict[str, Callable[[Path], object]] = {
    "FIFO": fifo,
    "folder": Path.mkdir,
    "socket": bound,
    "link": lambda path: path.symlink_to("/etc/passwd"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", PLACED)
@pytest.mark.parametrize("name", [*READ, "keys/tls.keylog", "captures/ovs.pcapng"])
def test_what_is_no_file_is_refused_at_once(
    folder: Path, name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / name).unlink(missing_ok=True)
    PLACED[kind](folder / name)
    with pytest.raises(RunError, match=kind):
        load_run(folder)


def test_a_folder_that_is_a_link_is_refused(folder: Path) -> None:
    (folder / "captures").rename(folder / "elsewhere")
    (folder / "captures").symlink_to("elsewhere")
    with pytest.raises(RunError, match=r"captures: a link in place of a folder"):
        load_run(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[" * 100_000, "nested too deep"),
        (b"[NaN]", "NaN is no number"),
        (b"[-Infinity]", "Infinity is no number"),
        (b"\xff\xfe", "no UTF-8"),
        (b'["\\ud800"]', "lone surrogate"),
        (b"[" + b"9" * 5000 + b"]", "no number that a run has"),
        (b"null", "expected"),
        (b"", "Expecting value"),
    ],
)
@pytest.mark.parametrize("name", ["plan.json", "calls.json", "scenario.json", "events.jsonl"])
def test_what_is_no_record_is_named(folder: Path, name: str, text: bytes, words: str) -> None:
    if not text and name.endswith("jsonl"):
        return  # a file of no records is one
    (folder / name).write_bytes(text + b"\n")
    with pytest.raises(RunError, match=words) as caught:
        load_run(folder)
    assert str(caught.value).startswith(str(folder / name))
    assert len(str(caught.value)) < 1000


def test_numbers_beyond_any_time_are_refused(folder: Path) -> None:
    for value in ("1e300", "1e999", "10000000000000000000000000", "-1e12"):
        (folder / "events.jsonl").write_text(f'{{"time": {value}, "source": "a", "kind": "b"}}\n')
        with pytest.raises(RunError, match=r"events\.jsonl, line 1"):
            load_run(folder)


def test_a_file_without_end_is_refused(folder: Path) -> None:
    with (folder / "calls.json").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(RunError, match="longer than 64 MiB"):
        load_run(folder)
    with (folder / "calls.json").open("wb") as stream:
        stream.write(b"[]")
    with (folder / "events.jsonl").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(RunError, match=r"events\.jsonl, line 1: longer than 1024 KiB"):
        load_run(folder)


def mutated(text: str, chance: random.Random) -> bytes:
    """A file's text with one thing changed in it: bytes, or a value of its JSON."""
    raw = bytearray(text.encode())
    how = chance.randrange(5)
    if how == 0:
        return bytes(raw[: chance.randrange(len(raw))])
    if how == 1:
        for _ in range(chance.randint(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        return bytes(raw)
    lines = text.splitlines(keepends=True) if text.count("\n{") else [text]
    at = chance.randrange(len(lines))
    try:
        data = json.loads(lines[at])
    except ValueError:
        return bytes(raw[::-1])
    change(data, chance)
    lines[at] = json.dumps(data) + "\n"
    return "".join(lines).encode()


def change(data: Any, chance: random.Random) -> None:
    """Replace one value, somewhere: often by one of its own kind, that means something else."""
    while isinstance(data, dict | list) and data:
        key = chance.choice(list(data)) if isinstance(data, dict) else chance.randrange(len(data))
        inner = data[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.9:
            data = inner
            continue
        alike = NUMBERS if isinstance(inner, int | float) else WORDS
        data[key] = chance.choice([*alike, *alike, None, [], {}, True])
        return


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_changed_is_named_or_judged(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    outcomes = []
    for _ in range(30):
        name = chance.choice(READ if chance.random() < 0.6 else ["plan.json"])
        (folder / name).write_bytes(mutated(files()[name], chance))
        outcomes.append(outcome(folder))
        (folder / name).write_text(files()[name])
    assert all(str(folder) in words for words in outcomes if words != "judged")
    assert len(set(outcomes)) > 5


def outcome(folder: Path) -> str:
    try:
        judge(load_run(folder))
    except RunError as error:
        return str(error)
    return "judged"
