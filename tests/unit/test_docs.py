"""README and docs keep their word: commands exist and run, links resolve, examples are right."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from typer.testing import CliRunner

from ci import coverage_table, declared_tables
from tests.unit import pages
from tests.unit.pages import PROJECT, Block, Command
from uclab.cli.main import app
from uclab.model.load import check

COMMANDS = tuple(pages.commands())
UCLAB = tuple(command for command in COMMANDS if command.words[0] == "uclab")
NEED_NO_LAB = {"doctor", "topologies", "check", "plan", "graph", "capacity", "ls"}
OWN_PAGES = {"README.md", "docs/quickstart.md", "docs/testing.md", "docs/faults.md", "docs/capacity.md"}
"""Pages whose commands without a lab are run here; those with one: tests/integration/test_docs_in_labs.py."""
EXAMPLES = tuple(block for block in pages.blocks("yaml"))
SNIPPETS = tuple(block for block in pages.blocks("python"))


def needs_no_lab(command: Command) -> bool:
    """Whether it only computes or lists; `capacity` counts in a lab where it is told to."""
    return (command.words[1] in NEED_NO_LAB or "--list" in command.words) and "--measure" not in command.words


def verbs() -> dict[str, Any]:
    """All verbs by name (typer brings a click of its own, so their class is not click's)."""
    return dict(getattr(typer.main.get_command(app), "commands"))  # noqa: B009


def verb_of(command: Command) -> Any:
    """The verb that a command calls."""
    assert len(command.words) > 1, command
    known = verbs()
    assert command.words[1] in known, f"{command}: there is no such verb"
    verb = known[command.words[1]]
    inner = getattr(verb, "commands", None)
    if inner is None or len(command.words) == 2:
        return verb
    assert command.words[2] in inner, f"{command}: there is no such verb"
    return inner[command.words[2]]


def arguments(command: Command) -> list[str]:
    """What follows the verb, without redirections."""
    first = 3 if hasattr(verbs()[command.words[1]], "commands") else 2
    return [word for word in command.words[first:] if not word.startswith((">", "<"))]


def make_targets() -> tuple[set[str], set[str]]:
    """Targets and variables of the Makefile."""
    text = (PROJECT / "Makefile").read_text()
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE)), set(
        re.findall(r"^(\w+) \?=", text, re.MULTILINE)
    )


@pytest.mark.parametrize("command", UCLAB, ids=str)
def test_commands_of_pages_are_understood(command: Command) -> None:
    verb_of(command).make_context(command.words[1], arguments(command))


@pytest.mark.parametrize("command", tuple(pages.inline_commands("uclab")), ids=str)
def test_commands_in_running_text_have_their_verbs_and_options(command: Command) -> None:
    if command.words[1].isupper() or command.words[1] in ("VERB", "..."):
        return
    verb = verb_of(command)
    known = {name for parameter in verb.params for name in parameter.opts} | {"--help", "-h"}
    given = [word.partition("=")[0] for word in command.words[2:] if word.startswith("-")]
    wanted = given[: given.index("--")] if "--" in given else given
    assert set(wanted) <= known


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.words[0] == "make"], ids=str)
def test_make_targets_of_pages_exist(command: Command) -> None:
    targets, variables = make_targets()
    for word in command.words[1:]:
        assert word.partition("=")[0] in variables if "=" in word else word in targets


def test_make_targets_in_running_text_exist() -> None:
    targets, _ = make_targets()
    named = {command.words[1] for command in pages.inline_commands("make")}
    assert named
    assert named <= targets


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.words[0] in ("pytest", "python")], ids=str)
def test_files_and_modules_of_commands_exist(command: Command) -> None:
    words = command.words
    if "-m" in words and words[0] == "python":
        module = words[words.index("-m") + 1].replace(".", "/")
        assert (PROJECT / f"{module}.py").is_file() or (PROJECT / module / "__main__.py").is_file()
    for word in words:
        if word.startswith(("tests/", "ci/", "benchmarks/", "uclab/")):
            assert (PROJECT / word.partition("::")[0]).exists()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the README's site in it."""
    folder = tmp_path_factory.mktemp("site")
    (text,) = [block.text for block in EXAMPLES if block.page == "README.md"]
    (folder / "my-site.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    "command",
    [c for c in UCLAB if c.page in OWN_PAGES and needs_no_lab(c)],
    ids=str,
)
def test_commands_that_need_no_lab_run(command: Command, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site)
    if command.words[1] == "ls":
        monkeypatch.setenv("UCLAB_LABS", str(site / "labs"))
    done = CliRunner().invoke(app, command.words[1:], catch_exceptions=False)
    allowed = {0, 3} if command.words[1] == "doctor" else {command.status}
    assert done.exit_code in allowed, done.output
    for option, value in zip(command.words, command.words[1:], strict=False):
        assert option != "-o" or (site / value).stat().st_size > 1000


@pytest.mark.parametrize(
    ("page", "target"), tuple(pages.links()), ids=lambda value: str(value).removeprefix(f"{PROJECT}/")
)
def test_links_resolve(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.exists()
    assert not anchor or anchor in pages.anchors(file)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda block: block.page)
def test_yaml_examples_are_right(example: Block, tmp_path: Path) -> None:
    data = yaml.safe_load(example.text)
    file = tmp_path / "example.yaml"
    if isinstance(data, dict) and "topology" in data:
        file.write_text(example.text)
        assert check(str(file)) == ()
    elif isinstance(data, dict) and "profile" in data:
        (tmp_path / "profiles").mkdir()
        (tmp_path / "profiles" / f"{data['profile']}.yaml").write_text(example.text)
        site = (PROJECT / "topologies" / "small-office.yaml").read_text()
        file.write_text(site.replace("business-internet-2}", f"{data['profile']}}}"))
        assert data["profile"] in file.read_text()
        assert check(str(file)) == ()


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda block: block.page)
def test_python_examples_compile_and_import_what_there_is(snippet: Block) -> None:
    compile(snippet.text, snippet.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for module, name in imports(snippet.text):
        if module.startswith("campaigns"):  # locust patches the process that imports it
            subprocess.run([sys.executable, "-c", f"from {module} import {name}"], check=True, cwd=PROJECT)
            continue
        assert hasattr(importlib.import_module(module), name) if name else importlib.import_module(module)


def imports(text: str) -> Iterator[tuple[str, str | None]]:
    """Modules, and names of them, that a piece of Python imports."""
    for statement in ast.walk(ast.parse(text)):
        if isinstance(statement, ast.ImportFrom) and statement.module:
            yield from ((statement.module, alias.name) for alias in statement.names)
        elif isinstance(statement, ast.Import):
            yield from ((alias.name, None) for alias in statement.names)


@pytest.mark.req("D10")
def test_pytest_examples_are_collected(tmp_path: Path) -> None:
    # given the examples of all pages as test files in a folder of their own
    examples = [snippet.text for snippet in SNIPPETS if "def test_" in snippet.text]
    for number, text in enumerate(examples):
        (tmp_path / f"test_example{number}.py").write_text(text)
    # when pytest collects them as a user would, with strict markers
    pytest_command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--strict-markers", "."]
    done = subprocess.run(
        pytest_command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
    )
    # then each of their tests is there
    assert done.returncode == 0, done.stdout + done.stderr
    collected = re.findall(r"::(test_\w+)", done.stdout)
    assert len(collected) == sum(text.count("def test_") for text in examples) > 3


def test_every_verb_is_in_the_readme() -> None:
    table = re.findall(r"^\| (`.+`) \|", (PROJECT / "README.md").read_text(), re.MULTILINE)
    named = {name for row in table for name in re.findall(r"`([a-z]+)`", row)}
    assert set(verbs()) <= named


def test_coverage_page_is_current() -> None:
    known = tuple(coverage_table.requirements(coverage_table.REQUIREMENTS.read_text()))
    page = coverage_table.render(known, coverage_table.marked_tests())
    assert coverage_table.COVERAGE.read_text() == page, "run .venv/bin/python ci/coverage_table.py"


def test_tables_of_what_is_declared_are_current() -> None:
    assert declared_tables.outdated() == {}, "run .venv/bin/python ci/declared_tables.py"


def test_marks_of_module_class_and_function_are_added_up(tmp_path: Path) -> None:
    # given a test file with marks at every level
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(
        'pytestmark = [pytest.mark.root, pytest.mark.req("C1")]\n'
        'class TestY:\n    @pytest.mark.req("C2", "C3")\n    def test_z(self): ...\n'
        "def test_plain(): ...\ndef helper(): ...\n"
    )
    # when its marks are read, then each test has its own and its module's
    found = {test.name: test.requirements for test in coverage_table.marked_tests(tmp_path / "tests")}
    assert found == {"test_z": ("C1", "C2", "C3"), "test_plain": ("C1",)}


def test_a_mark_with_an_unknown_id_is_refused() -> None:
    test = coverage_table.MarkedTest("tests/unit/test_x.py", "test_y", ("C99",))
    with pytest.raises(ValueError, match="test_y names C99"):
        coverage_table.render((), [test])


def test_requirements_are_all_read() -> None:
    text = coverage_table.REQUIREMENTS.read_text()
    known = list(coverage_table.requirements(text))
    ids = [one.id for row in known for one in (row, *row.parts)]
    assert len(ids) == len(set(ids)) == len(re.findall(r"^\| [A-Z]+\d+(?:\.\d+)? \|", text, re.MULTILINE))


def test_half_a_row_is_counted_as_half() -> None:
    # given a row with two parts, of which one has a test
    text = "## C  The cloud\n| C1 | both |\n| C2 | one thing |\n## Parts\n| C1.1 | this |\n| C1.2 | that |\n"
    known = tuple(coverage_table.requirements(text))
    page = coverage_table.render(
        known, [coverage_table.MarkedTest("tests/unit/test_x.py", "test_y", ("C1.1",))]
    )
    # then it counts as one of two, and its row says so
    assert "1 of 3 [requirements]" in page
    assert "Rows shown in part: C1. Not yet: C1.2, C2." in page
    assert "| C1 | both | 1 of 2 | |" in page
    assert "| C1.2 | that | not yet | not yet |" in page


def test_a_mark_of_a_row_that_has_parts_is_refused() -> None:
    part = coverage_table.Requirement("C1.1", "this", "C")
    row = coverage_table.Requirement("C1", "both", "C", (part,))
    test = coverage_table.MarkedTest("tests/unit/test_x.py", "test_y", ("C1",))
    with pytest.raises(ValueError, match="test_y names C1, which has parts"):
        coverage_table.render((row,), [test])


def test_a_part_without_its_row_is_refused() -> None:
    with pytest.raises(ValueError, match="parts of C1, and no such row"):
        list(coverage_table.requirements("## C  x\n| C1.1 | this |\n"))
