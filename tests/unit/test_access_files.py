"""Files of runs and labs: nobody else reads them, and nobody leads a writer elsewhere by a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from uclab.access.marked_folder import MARK, is_marked, make_marked, remove_marked
from uclab.access.private_files import FolderRefused, claim_folder, write_private

STRANGER = 4711


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    file = tmp_path / "victim"
    file.write_text("untouched")
    return file


def test_a_new_runs_folder_is_its_owners_alone(tmp_path: Path) -> None:
    claim_folder(tmp_path / "runs" / "one")
    assert mode(tmp_path / "runs" / "one") == 0o700


def test_an_empty_folder_of_ones_own_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir(mode=0o755)
    claim_folder(tmp_path / "one")
    assert mode(tmp_path / "one") == 0o700


def test_a_used_folder_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("evidence")
    with pytest.raises(FolderRefused, match=r"is used: it has plan\.json; .* name a new folder"):
        claim_folder(tmp_path)
    assert (tmp_path / "plan.json").read_text() == "evidence"


@pytest.mark.parametrize(
    "make", [lambda path: path.touch(), lambda path: path.symlink_to("elsewhere"), os.mkfifo]
)
def test_what_is_no_folder_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "elsewhere").mkdir()
    make(tmp_path / "out")
    with pytest.raises(FolderRefused, match="cannot hold a run"):
        claim_folder(tmp_path / "out")


def test_a_strangers_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a folder of somebody who could put links into it while root writes
    monkeypatch.delenv("SUDO_UID", raising=False)
    (tmp_path / "out").mkdir()
    os.chown(tmp_path / "out", STRANGER, STRANGER)
    with pytest.raises(FolderRefused, match="belongs to user 4711"):
        claim_folder(tmp_path / "out")
    # but who called uclab by sudo may give his own
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    claim_folder(tmp_path / "out")


def test_a_link_in_a_files_place_is_replaced_not_followed(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").symlink_to(victim)
    write_private(tmp_path / "run", "results.json", "new")
    assert victim.read_text() == "untouched"
    assert (tmp_path / "run" / "results.json").read_text() == "new"
    assert mode(tmp_path / "run" / "results.json") == 0o600


def test_a_hard_link_is_replaced_not_written_into(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "run").mkdir()
    os.link(victim, tmp_path / "run" / "results.json")
    write_private(tmp_path / "run", "results.json", "new")
    assert victim.read_text() == "untouched"


@pytest.mark.parametrize("name", ["captures/a", "../a", "/a", "a/../../b"])
def test_no_way_leads_out_of_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "captures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderRefused, match="cannot be written"):
        write_private(tmp_path / "run", name, "new")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(FolderRefused, match="a folder is in its place"):
        write_private(tmp_path, "report.html", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_only_what_carries_the_mark_is_removed(tmp_path: Path) -> None:
    # given a lab's folder, and one with the same files that uclab did not make
    make_marked(tmp_path / "lab")
    (tmp_path / "foreign").mkdir()
    for folder in ("lab", "foreign"):
        (tmp_path / folder / "lock").touch()
    # then the lab's alone goes
    assert remove_marked(tmp_path / "lab")
    assert not (tmp_path / "lab").exists()
    assert not remove_marked(tmp_path / "foreign")
    assert (tmp_path / "foreign" / "lock").exists()
    # and cannot become a lab's
    with pytest.raises(FolderRefused, match="was not made by uclab"):
        make_marked(tmp_path / "foreign")


def test_a_link_to_a_marked_folder_is_none(tmp_path: Path) -> None:
    make_marked(tmp_path / "lab")
    (tmp_path / "alias").symlink_to(tmp_path / "lab")
    assert not is_marked(tmp_path / "alias")
    assert not remove_marked(tmp_path / "alias")
    assert is_marked(tmp_path / "lab")


def forge_text(folder: Path) -> None:
    (folder / MARK).write_text("uclab lab 1\n")


def forge_link(folder: Path) -> None:
    (folder / MARK).symlink_to(folder.parent / "lab" / MARK)


def forge_owner(folder: Path) -> None:
    (folder / MARK).write_text((folder.parent / "lab" / MARK).read_text())
    os.chown(folder, STRANGER, STRANGER)


@pytest.mark.parametrize("forge", [forge_text, forge_link, forge_owner])
def test_a_forged_mark_counts_for_nothing(tmp_path: Path, forge: Callable[[Path], None]) -> None:
    make_marked(tmp_path / "lab")
    (tmp_path / "forged").mkdir()
    forge(tmp_path / "forged")
    assert not remove_marked(tmp_path / "forged")
    assert (tmp_path / "forged").exists()
