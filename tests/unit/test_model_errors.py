"""Every invalid file of tests/errors gives exactly the errors written beside it.

After a deliberate change of wording: `UCLAB_REWRITE=1 pytest tests/unit/test_model_errors.py`, then read the
difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from uclab.model.diagnostic import TopologyError
from uclab.model.load import check, load_topology

ERRORS = Path(__file__).parents[1] / "errors"
CASES = sorted(path.stem for path in ERRORS.glob("*.yaml"))

WRONG_SYNTAX = (
    "tab", "indentation", "list-not-closed", "quote-not-closed", "colon-in-text", "line-without-colon",
    "reserved-character", "profile-not-yaml",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _in_folder_of_wrong_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ERRORS)


@pytest.mark.req("D7")
@pytest.mark.parametrize("case", CASES)
def test_wrong_file_gives_exactly_its_errors(case: str) -> None:
    # given a file with mistakes and what is to be said of it
    expected = ERRORS / f"{case}.txt"
    # when it is loaded
    with pytest.raises(TopologyError) as caught:
        load_topology(f"{case}.yaml")
    # then all of its mistakes are said, and nothing else
    said = f"{caught.value}\n"
    if os.environ.get("UCLAB_REWRITE"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", WRONG_SYNTAX)
def test_syntax_is_explained_alike_where_yaml_was_built_without_libyaml(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uclab.model.source._Loader", yaml.SafeLoader)
    said = "".join(f"{mistake}\n" for mistake in check(f"{case}.yaml"))
    assert said == (ERRORS / f"{case}.txt").read_text(encoding="utf-8")


def test_there_are_enough_wrong_files_and_each_has_its_expectation() -> None:
    expectations = sorted(path.stem for path in ERRORS.glob("*.txt"))
    assert expectations == CASES
    assert len(CASES) >= 40


def test_errors_come_in_the_order_of_lines_each_with_its_column() -> None:
    mistakes = check("many-at-once.yaml")
    assert [m.line for m in mistakes] == sorted(m.line for m in mistakes)
    assert all(m.column > 0 for m in mistakes)
    assert len(mistakes) >= 8


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.yaml", b"", "empty.yaml: is empty; keys and values are needed"),
        ("picture.yaml", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "picture.yaml: is not a text file; YAML in UTF-8"),
        ("latin.yaml", "topology: a\ntitle: Büro\n".encode("latin-1"),
         "latin.yaml:2: byte 0xfc is not UTF-8; save the file as UTF-8"),
        ("control.yaml", b"topology: a\ntitle: \x1b[31m\n",
         "control.yaml:2: character U+001B is not printable; YAML in UTF-8 without control characters"),
        ("large.yaml", b"# " + b"x" * 1024 * 1024,
         "large.yaml: is larger than 1 MiB; a topology is at most 1 MiB"),
        ("long.yaml", b"- x\n" * 60_000, "long.yaml:50001: too many values, aliases counted; at most 50000"),
        ("deep.yaml", b"[" * 100_000, "deep.yaml:1: nested deeper than 32 levels; a topology needs 6"),
    ],
)  # fmt: skip
def test_file_that_no_editor_would_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    assert [str(mistake) for mistake in check(name)] == [said]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no-such.yaml", "no-such.yaml: there is no such file; name an existing YAML file"),
        ("profiles", "profiles: is a directory; name a YAML file in it"),
        ("/dev/null", "/dev/null: is not a regular file; name a YAML file"),
        ("a\0b.yaml", "a?b.yaml: cannot be read (not a usable path); name a readable YAML file"),
        (
            "x" * 300 + ".yaml",
            "x" * 300 + ".yaml: cannot be read (File name too long); name a readable YAML file",
        ),
    ],
)
def test_path_that_leads_to_no_file(path: str, said: str) -> None:
    assert [str(mistake) for mistake in check(path)] == [said]


def test_misspelt_reference_topology_is_answered_with_the_closest_one() -> None:
    (mistake,) = check("enterprise-qh")
    assert mistake.found == "there is no such file or reference topology"
    assert mistake.hint == "enterprise-hq"


def test_unreadable_file_is_said_to_lack_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text("topology: a\n")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(
        "uclab.model.source._at_once", denied
    )  # root, as which the lab's tests run, may read everything
    (mistake,) = check(path)
    assert str(mistake) == f"{path}: may not be read by this user; give read permission"
