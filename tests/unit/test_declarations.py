"""Kinds that packages declare: found by entry points, each once, and named where they cannot be had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from uclab.declarations import DeclarationError, Declarations

GROUP = "uclab.faults"


def package(folder: Path, module: str) -> Path:
    """A folder in which a package of somebody else's is installed, whose module has that text."""
    (folder / "theirs.py").write_text(module)
    known = folder / "theirs-1.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (known / "entry_points.txt").write_text(f"[{GROUP}]\nof-theirs = theirs\n")
    return folder


def test_what_a_package_declares_is_on_the_list_behind_the_projects_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a package that names a module under the group
    monkeypatch.syspath_prepend(str(package(tmp_path, "from tests.unit.test_declarations import LIST\n")))
    listed: Declarations[int] = Declarations(GROUP, "thing")
    listed.declare("own", 1)
    # when somebody looks, then the module is imported, and what was declared is there
    assert dict(listed) == {"own": 1}
    assert "theirs" in sys.modules


def test_who_looks_again_is_told_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a package whose module declares something and then fails
    module = (
        "from tests.unit.test_declarations import HALF\n"
        "HALF.declare('half', 1)\n"
        "raise ValueError('no codec')\n"
    )
    monkeypatch.syspath_prepend(str(package(tmp_path, module)))
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    # when somebody looks twice, then both are told why, and not that it is declared twice
    for _ in range(2):
        with pytest.raises(DeclarationError, match=r"theirs: .* cannot be loaded: no codec"):
            list(HALF)


HALF: Declarations[int] = Declarations(GROUP, "thing")
LIST: Declarations[int] = Declarations("uclab.of-nobody", "thing")


def test_a_name_is_declared_once() -> None:
    listed: Declarations[int] = Declarations("uclab.of-nobody", "thing")
    listed.declare("one", 1)
    with pytest.raises(DeclarationError, match="thing `one` is declared twice"):
        listed.declare("one", 2)
    assert list(listed) == ["one"]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("raise ValueError('no such codec')", "cannot be loaded: no such codec"),
        ("import nosuch_module", "No module named 'nosuch_module'"),
        (
            "from uclab.plan.schema.fault import registered\n"
            "registered('rtp-plain', 'again', 'media.srtp')(lambda plan, target: plan)",
            "fault `rtp-plain` is declared twice",
        ),
    ],
)
def test_a_package_that_cannot_be_loaded_is_named_and_nothing_is_done(
    tmp_path: Path, module: str, words: str
) -> None:
    # given such a package, when a verb needs what packages declare
    done = subprocess.run(
        [Path(sys.executable).with_name("uclab"), "drill", "small-office", "--list"],
        env={"PYTHONPATH": str(package(tmp_path, module)), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    # then one message names it and what is wrong, and the exit status is that of wrong input
    assert done.returncode == 2
    assert "theirs: entry point `of-theirs` of `uclab.faults` (theirs) cannot be loaded" in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
