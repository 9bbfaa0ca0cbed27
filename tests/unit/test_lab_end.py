"""A lab that ends without being taken down: what is left says so, and by what."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from testbed.made_up_network import reference_plan
from testbed.world import World
from uclab.judge.evidence.life import still_runs
from uclab.judge.judging import judge_run
from uclab.judge.result.judgement import Finding
from uclab.lab.call_records import write_records
from uclab.lab.disk_watch import watch_disks
from uclab.lab.events import EventLog
from uclab.lab.last_words import last_words
from uclab.records.run import CallRecord, Event

CALL = CallRecord("c1", "desk1", "desk2", "call", True, 1.0)


def ended_early(folder: Path, *events: Event, cut: str | None = None) -> dict[str, Finding]:
    """A run with one registration whose lab never said that it ends; findings by id and subject."""
    world = World(folder, replace(reference_plan("desk1"), bulk=()))
    world.connect("desk1")
    world.register("desk1")
    world.events += events
    world.write()
    lines = (folder / "events.jsonl").read_text().splitlines()
    (folder / "events.jsonl").write_text("\n".join(line for line in lines if '"down"' not in line) + "\n")
    (folder / "lab.end.json").unlink()
    if cut is not None:
        file = folder / "captures" / cut
        file.write_bytes(file.read_bytes()[:-5])
    return {f"{f.id} {f.subject}": f for f in judge_run(folder).findings}


@pytest.mark.req("D3", "D4")
def test_a_killed_lab_is_judged_as_killed(tmp_path: Path) -> None:
    alive = ended_early(tmp_path)["lab.alive processes"]
    assert alive.verdict == "fail"
    assert alive.observed.startswith("the lab was killed at 20")


def test_a_lab_that_still_runs_is_not_called_killed(tmp_path: Path) -> None:
    # given a lab that holds the file of its events
    async def held() -> dict[str, Finding]:
        log = EventLog(tmp_path / "events.jsonl")
        try:
            return await asyncio.to_thread(ended_early, tmp_path)
        finally:
            log.close()

    # when its run is judged, then it says so
    alive = asyncio.run(held())["lab.alive processes"]
    assert (alive.verdict, alive.observed.split(";")[0]) == ("not-shown", "the lab still runs")
    assert not still_runs(tmp_path / "events.jsonl")


@pytest.mark.req("D5")
@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Event(1_800_000_001.0, "lab", "disk-full", "no room left in /runs"), "no room left in /runs"),
        (
            Event(
                1_800_000_001.0,
                "taps-edge",
                "process-died",
                "taps-edge ended\ndumpcap: No space left\nPackets captured: 7",
            ),
            "dumpcap: No space left",
        ),
    ],
)
def test_a_capture_that_was_cut_off_says_why(tmp_path: Path, event: Event, words: str) -> None:
    complete = ended_early(tmp_path, event, cut="edge.pcapng")["capture.complete edge.pcapng"]
    assert complete.verdict == "not-shown"
    assert complete.observed.endswith(words)


@pytest.mark.req("D3")
def test_events_that_a_full_disk_does_not_take_are_written_when_there_is_room(tmp_path: Path) -> None:
    async def told() -> list[str]:
        log = EventLog(tmp_path / "events.jsonl")
        file = cast(Any, log)._file
        full = FullDisk()
        cast(Any, log)._file = full
        log.add("desk1", "registered")
        cast(Any, log)._file = file
        log.add("lab", "down")
        log.close()
        return [json.loads(line)["kind"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]

    assert asyncio.run(told()) == ["registered", "down"]


class FullDisk(io.RawIOBase):
    """A file that takes nothing."""

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.req("D3")
def test_a_full_disk_is_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uclab.lab.disk_watch.free_mb", lambda folder: 0)

    async def watched() -> None:
        log = EventLog(tmp_path / "events.jsonl")
        await watch_disks(tmp_path, log)
        log.close()

    monkeypatch.setattr("uclab.lab.disk_watch.EVERY_S", 0.0)
    asyncio.run(watched())
    [first, _] = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert (first["kind"], str(tmp_path) in first["detail"]) == ("disk-full", True)


def test_calls_that_find_no_room_leave_those_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "calls.json"
    write_records(file, [CALL])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_records(file, [CALL, replace(CALL, id="c2")])
    assert [one["id"] for one in json.loads(file.read_text())] == ["c1"]
    assert [path.name for path in tmp_path.iterdir()] == ["calls.json"]


@pytest.mark.req("D3")
@pytest.mark.parametrize(
    ("status", "words"),
    [(137, "its supervisor ended by SIGKILL"), (-9, "ended by SIGKILL"), (0, "does not answer")],
)
def test_whoever_waits_for_a_lab_hears_by_what_it_ended(tmp_path: Path, status: int, words: str) -> None:
    process = cast(subprocess.Popen[bytes], SimpleNamespace(returncode=status))
    launched = cast(
        Any, SimpleNamespace(client=SimpleNamespace(lab=SimpleNamespace(name="x")), process=process)
    )
    said = last_words(RuntimeError("lab `x` does not answer"), launched, tmp_path, 1 << 40)
    assert words in said
    assert f"uclab judge {tmp_path}" in said
