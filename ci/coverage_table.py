"""Which tests show which requirement: `docs/coverage.md`, made from the `req` marks in `tests/`.

    .venv/bin/python ci/coverage_table.py            writes docs/coverage.md
    .venv/bin/python ci/coverage_table.py C7 Q1.2    prints the tests that show C7 and Q1.2

The IDs are those of `docs/requirements.md`; a mark with another one is an error, and so is one of a row that
has parts: a test says which. Marks are read from the source: nothing is imported or run.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
REQUIREMENTS = PROJECT / "docs" / "requirements.md"
COVERAGE = PROJECT / "docs" / "coverage.md"
TESTS = PROJECT / "tests"

FAMILY = re.compile(r"^## (?P<title>\w  .+)$")
ROW = re.compile(r"^\| (?P<id>[A-Z]\d+(\.\d+)?) \| (?P<text>.+) \|$")


@dataclass(frozen=True)
class Requirement:
    """One row of the table of requirements."""

    id: str
    text: str
    family: str
    """Heading under which it stands, e.g. `C  The cloud (section 2)`."""
    parts: tuple[Requirement, ...] = ()

    @property
    def counted(self) -> tuple[Requirement, ...]:
        """What of it a test can show: its parts, or itself."""
        return self.parts or (self,)


@dataclass(frozen=True)
class MarkedTest:
    """A test that shows a part of some requirements."""

    file: str
    """Path from the project's folder."""
    name: str
    requirements: tuple[str, ...]

    @property
    def needs_lab(self) -> bool:
        """Whether it runs on a real kernel, with real switches, phones or servers."""
        return self.file.startswith("tests/integration/")


def requirements(text: str) -> Iterator[Requirement]:
    """The rows of all tables of requirements, in their order, with their parts. Raises `ValueError` for a
    part of a row that there is not."""
    family = ""
    rows: list[Requirement] = []
    parts: dict[str, list[Requirement]] = defaultdict(list)
    for line in text.splitlines():
        if heading := FAMILY.match(line):
            family = heading["title"]
        elif found := ROW.match(line):
            whole, _, part = found["id"].partition(".")
            one = Requirement(found["id"], found["text"], family)
            (parts[whole] if part else rows).append(one)
    if lost := set(parts) - {one.id for one in rows}:
        raise ValueError(f"docs/requirements.md has parts of {', '.join(sorted(lost))}, and no such row")
    yield from (replace(one, parts=tuple(parts[one.id])) for one in rows)


def marked_tests(folder: Path = TESTS) -> Iterator[MarkedTest]:
    """All tests with a `req` mark: their own, their class's or their module's."""
    for file in sorted(folder.rglob("test_*.py")):
        module = ast.parse(file.read_text(), filename=str(file))
        yield from in_body(module.body, str(file.relative_to(folder.parent)), set(own_marks(module.body)))


def in_body(body: Sequence[ast.stmt], file: str, inherited: set[str]) -> Iterator[MarkedTest]:
    """The marked tests of a module or class."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            marks = inherited | set(ids_in(statement.decorator_list)) | set(own_marks(statement.body))
            yield from in_body(statement.body, file, marks)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name.startswith(
            "test_"
        ):
            marks = inherited | set(ids_in(statement.decorator_list))
            if marks:
                yield MarkedTest(file, statement.name, tuple(sorted(marks)))


def own_marks(body: Sequence[ast.stmt]) -> Iterator[str]:
    """IDs in a `pytestmark = ...` of a module or class."""
    for statement in body:
        if isinstance(statement, ast.Assign):
            names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
            if "pytestmark" in names:
                yield from ids_in([statement.value])


def ids_in(expressions: Iterable[ast.expr]) -> Iterator[str]:
    """IDs of every `pytest.mark.req(...)` in these expressions, also in `pytest.param(..., marks=...)`."""
    for expression in expressions:
        for node in ast.walk(expression):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "req"
            ):
                for argument in node.args:
                    yield str(ast.literal_eval(argument))


def render(known: Sequence[Requirement], tests: Iterable[MarkedTest]) -> str:
    """The page. Raises `ValueError` where a test names an ID that there is not."""
    shown: dict[str, list[MarkedTest]] = defaultdict(list)
    counted = [part for requirement in known for part in requirement.counted]
    ids, whole = {part.id for part in counted}, {requirement.id for requirement in known if requirement.parts}
    for test in tests:
        for name in test.requirements:
            if name in whole:
                raise ValueError(f"{test.file}: {test.name} names {name}, which has parts: say which")
            if name not in ids:
                raise ValueError(
                    f"{test.file}: {test.name} names {name}: docs/requirements.md has no such ID"
                )
            shown[name].append(test)
    missing = [part.id for part in counted if part.id not in shown]
    half = [
        one.id
        for one in known
        if one.parts and 0 < sum(part.id in shown for part in one.parts) < len(one.parts)
    ]
    lines = [
        *("# What tests show", ""),
        f"{len(counted) - len(missing)} of {len(counted)} [requirements](requirements.md), the parts of a row"
        " counted singly,",
        "have a test that shows something of them.",
        "*In a lab*: on a real kernel with real switches, phones or servers.",
        "*Without*: on plans, tables, captures and files alone.",
        f"Rows shown in part: {', '.join(half) or 'none'}. Not yet: {', '.join(missing) or 'none'}.",
        "",
        "Made by `ci/coverage_table.py` from the tests' `req` marks. It also names the single tests:",
        *("", "```sh", ".venv/bin/python ci/coverage_table.py C7 Q1.2", "```"),
    ]
    family = ""
    for requirement in known:
        if requirement.family != family:
            family = requirement.family
            lines += [
                "",
                f"## {family}",
                "",
                "| ID | what | in a lab | without |",
                "| --- | --- | --- | --- |",
            ]
        if requirement.parts:
            there = sum(part.id in shown for part in requirement.parts)
            lines.append(f"| {requirement.id} | {requirement.text} | {there} of {len(requirement.parts)} | |")
        lines += [row(part, shown) for part in requirement.counted]
    return "\n".join(lines) + "\n"


def row(requirement: Requirement, shown: Mapping[str, Sequence[MarkedTest]]) -> str:
    """One line of the table."""
    tests = shown.get(requirement.id, ())
    if not tests:
        return f"| {requirement.id} | {requirement.text} | not yet | not yet |"
    in_lab = links(test for test in tests if test.needs_lab)
    without = links(test for test in tests if not test.needs_lab)
    return f"| {requirement.id} | {requirement.text} | {in_lab} | {without} |"


def links(tests: Iterable[MarkedTest]) -> str:
    """Links to the files of these tests."""
    files = sorted({test.file for test in tests})
    return ", ".join(f"[{Path(file).stem.removeprefix('test_')}](../{file})" for file in files) or "-"


def main(wanted: Sequence[str]) -> int:
    """Write the page, or print the tests of some requirements; the exit status."""
    known = tuple(requirements(REQUIREMENTS.read_text()))
    tests = tuple(marked_tests())
    counted = [part for requirement in known for part in requirement.counted]
    unknown = set(wanted) - {part.id for part in counted}
    if unknown:
        print(f"docs/requirements.md has no {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    if not wanted:
        COVERAGE.write_text(render(known, tests))
        return 0
    for requirement in counted:
        if requirement.id in wanted:
            print(f"{requirement.id}: {requirement.text}")
            for test in tests:
                if requirement.id in test.requirements:
                    print(f"  {test.file}::{test.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
