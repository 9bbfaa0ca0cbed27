"""Before a lab starts: what this machine lacks is said in a line each, with the way out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from testbed.plans import shipped_plan
from uclab.api import judge_again
from uclab.doctor.preflight import HostUnfit, Seen, complaints, expected_mb, refuse_unfit
from uclab.doctor.room import Folder, folder
from uclab.kinds.cloud_service import needed_images
from uclab.plan.schema.plan import Plan

ROOM = Folder(Path("/runs/one"), "", 100_000)
FIT = Seen(
    missing=(),
    device_image=True,
    images=frozenset(needed_images()),
    out=ROOM,
    temporary=ROOM,
    available_mb=16_000,
    open_files=20_000,
    inotify=True,
)


@cache
def plan() -> Plan:
    return shipped_plan("small-office")


@pytest.mark.req("D3")
def test_a_machine_with_everything_is_let_pass() -> None:
    assert complaints(plan(), FIT) == []


@pytest.mark.req("D3")
@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (replace(FIT, missing=("dumpcap", "podman")), "not in PATH: dumpcap, podman; run `uclab setup`"),
        (replace(FIT, device_image=False), "no device image"),
        (
            replace(FIT, images=frozenset({"dns", "pstn", "kamailio"})),
            "no container image localhost/uclab/rtpe",
        ),
        (replace(FIT, out=replace(ROOM, free_mb=20)), "evidence: 20 MB are free in /runs/one, some 225 MB"),
        (
            replace(FIT, out=Folder(ROOM.path, "/runs: Read-only file system", 0)),
            "/runs: Read-only file system",
        ),
        (replace(FIT, temporary=replace(ROOM, free_mb=3)), "variable TMPDIR"),
        (replace(FIT, available_mb=100), "memory: 100 MB are available, 3 endpoints"),
        (replace(FIT, open_files=64), "open files: 64 are allowed"),
        (replace(FIT, inotify=False), "fs.inotify.max_user_instances"),
    ],
)
def test_each_thing_that_is_missing_is_named_with_the_way_out(seen: Seen, words: str) -> None:
    [complaint] = complaints(plan(), seen)
    assert words in complaint


def test_images_that_cannot_be_listed_are_left_to_podman() -> None:
    assert complaints(plan(), replace(FIT, images=None)) == []


def test_a_lab_without_captures_needs_little_room() -> None:
    little = replace(FIT, out=replace(ROOM, free_mb=expected_mb(plan()) - 1))
    assert complaints(plan(), little)
    assert not complaints(plan(), little, capture=False)


def test_a_folder_is_tried_where_it_is_to_be_made(tmp_path: Path) -> None:
    there = folder(tmp_path / "a" / "b")
    assert (there.complaint, there.free_mb > 0) == ("", True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    assert folder(tmp_path / "taken" / "run").complaint == f"{tmp_path / 'taken'}: Not a directory"


@pytest.mark.req("D3")
def test_a_program_that_is_not_in_path_stops_a_lab_before_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a PATH without any program
    monkeypatch.setenv("PATH", str(tmp_path))
    # when a lab is to start, then it is told so before anything is made
    with pytest.raises(HostUnfit, match=r"not installed, or not in PATH: .*dumpcap"):
        refuse_unfit(plan(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.req("D3")
def test_a_run_is_not_judged_without_the_dissector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostUnfit, match="tshark is not installed"):
        judge_again(tmp_path)
