"""Rules of the house that no tool checks (the direction of imports is import-linter's: `make lint`)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("uclab", "controllers", "cloud_core", "endpoints_emu")
MODULES = tuple(
    file for package in PACKAGES for file in sorted((PROJECT / package).rglob("*.py")) if file.stat().st_size
)
MOST_LINES = 300


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the dotted name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def sleeps_alone(tree: ast.AST) -> list[int]:
    """Lines with a `time.sleep` that is not between two looks of a loop."""
    in_loops = {id(call) for loop in ast.walk(tree) if isinstance(loop, ast.While) for _, call in calls(loop)}
    return [call.lineno for name, call in calls(tree) if name == "time.sleep" and id(call) not in in_loops]


def asks_for_a_shell(call: ast.Call) -> bool:
    """Whether a program is started through a shell."""
    return any(
        keyword.arg == "shell" and isinstance(keyword.value, ast.Constant) and keyword.value.value
        for keyword in call.keywords
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_modules_keep_the_rules(module: Path) -> None:
    text = module.read_text()
    tree = ast.parse(text)
    called = list(calls(tree))
    assert len(text.splitlines()) <= MOST_LINES, "split it by what it is about"
    assert ast.get_docstring(tree), "say what the module is for"
    assert sleeps_alone(tree) == [], "wait for a check with a deadline, not for time to pass"
    assert not [name for name, call in called if asks_for_a_shell(call)], "give programs a list of arguments"
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    assert all(handler.type is not None for handler in handlers), "name what may go wrong"


@pytest.mark.req("D12")
def test_top_level_is_as_promised() -> None:
    for name in ("pyproject.toml", "Vagrantfile", "Makefile", "README.md"):
        assert (PROJECT / name).is_file()
    for name in (
        "topologies",
        "controllers",
        "endpoints_emu",
        "cloud_core",
        "uclab",
        "tests",
        "testbed",
        "ci",
        "docs",
    ):
        assert (PROJECT / name).is_dir()


def test_nothing_of_the_machine_it_was_written_on_is_in_it() -> None:
    written = [
        file
        for folder in (*PACKAGES, "docs", "tests", "testbed", "ci", "topologies")
        for file in (PROJECT / folder).rglob("*")
    ]
    texts = [file for file in written if file.suffix in {".py", ".md", ".yaml", ".sh", ".txt", ".j2", ".cfg"}]
    home = f"{PROJECT}/"
    assert [file for file in texts if home in file.read_text(errors="replace")] == []


@pytest.mark.parametrize("package", ["benchmarks", "testbed"])
def test_what_is_not_a_test_imports_nothing_from_tests(package: str) -> None:
    imports = [
        line
        for file in sorted((PROJECT / package).rglob("*.py"))
        for line in file.read_text().splitlines()
        if line.lstrip().startswith(("from tests", "import tests"))
    ]
    assert imports == []
