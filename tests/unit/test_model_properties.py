"""Whatever the file, loading ends in a topology or in a TopologyError with printable mistakes."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from uclab.model.diagnostic import closest, shown
from uclab.model.load import check, reference_directory
from uclab.model.source import parse, plain
from uclab.model.visible import harmful_in

REFERENCES = [path.read_text() for path in sorted(reference_directory().glob("*.yaml"))]
TREES: list[dict[str, Any]] = [yaml.safe_load(text) for text in REFERENCES]

patient = settings(deadline=None)
"""A busy machine is no mistake."""

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["10.0.0.0/8", "10.10.0.0/16", "acc1", "acc1/1", "core1", "desk1", "voice", "+4930555", "..", "/"]
    )
)


def of_what_may_be_written(text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Values as a topology may hold them: control characters are refused as such."""
    plain_text = text.filter(lambda one: harmful_in(one) is None)
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | plain_text,
        lambda v: st.lists(v, max_size=3) | st.dictionaries(plain_text, v, max_size=3),
    )


values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=6), v, max_size=3)
)


def mistakes_of(content: bytes, folder: Path) -> list[str]:
    path = folder / "fuzzed.yaml"
    path.write_bytes(content)
    mistakes = check(path)
    for mistake in mistakes:
        assert mistake.found
        assert mistake.allowed
        assert str(mistake).isprintable(), "a terminal shows it as it is"
        assert mistake.line >= 0
    return [str(mistake) for mistake in mistakes]


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="uclab-fuzz-"))


@pytest.mark.req("D7")
@patient
@given(content=st.binary(max_size=200))
def test_any_bytes(folder: Path, content: bytes) -> None:
    assert mistakes_of(content, folder)


@patient
@given(content=st.text(alphabet="ab:-#&*!|>'\"%@`[]{},? \n\t0.", max_size=60))
def test_any_text_of_yaml_signs(folder: Path, content: str) -> None:
    assert mistakes_of(content.encode(), folder)


@pytest.mark.req("D7")
@patient
@given(value=values, seed=st.integers(0, 2**32))
def test_any_value_at_any_place_of_a_right_file(folder: Path, value: Any, seed: int) -> None:
    chance = random.Random(seed)
    tree = replaced(chance.choice(TREES), value, chance)
    mistakes_of(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "replace"), folder)


@patient
@given(seed=st.integers(0, 2**32))
def test_any_lines_lost_doubled_or_moved(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    lines = chance.choice(REFERENCES).splitlines(keepends=True)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[at])
            case 2:
                lines.insert(chance.randrange(len(lines)), lines.pop(at))
            case _:
                cut = chance.randrange(len(lines[at]))
                lines[at] = lines[at][:cut] + chance.choice(":-[]{}'\"\t&*! 0a") + lines[at][cut:]
    mistakes_of("".join(lines).encode(), folder)


@patient
@given(value=of_what_may_be_written(st.text(max_size=20)))
def test_tree_keeps_every_value_of_the_core_schema(value: Any) -> None:
    """Against PyYAML's own composer, where YAML 1.1 and 1.2 agree: written as JSON."""
    text = yaml.safe_dump({"x": value}, default_flow_style=True, default_style='"')
    if any(tag in text for tag in ("!!", "\\ud", "\\uD")):
        return
    node, mistakes = parse(text, "x.yaml")
    assert mistakes == []
    assert plain(node) == yaml.safe_load(text)


@patient
@given(value=values)
def test_shown_values_are_short_and_printable(value: Any) -> None:
    assert shown(value).isprintable()
    assert len(shown(value)) < 80


@patient
@given(word=st.text(max_size=300), known=st.lists(st.text(max_size=10), max_size=5))
def test_closest_word_is_a_known_one(word: str, known: list[str]) -> None:
    assert closest(word, known) in [None, *known]


def replaced(tree: Any, value: Any, chance: random.Random) -> Any:
    """A copy of a tree with one value, chosen by chance, replaced; or a key renamed, or an entry lost."""
    if isinstance(tree, dict) and tree and chance.random() < 0.93:
        key = chance.choice(list(tree))
        match chance.randrange(12):
            case 0:
                return {k: v for k, v in tree.items() if k != key}
            case 1:
                return {(k if k != key else str(value)[:9]): v for k, v in tree.items()}
            case _:
                return {k: (v if k != key else replaced(v, value, chance)) for k, v in tree.items()}
    if isinstance(tree, list) and tree and chance.random() < 0.9:
        at = chance.randrange(len(tree))
        return [replaced(v, value, chance) if i == at else v for i, v in enumerate(tree)]
    return value


def test_a_name_that_a_terminal_cannot_show_is_escaped_where_another_entry_lists_it(tmp_path: Path) -> None:
    # given a provider whose name has an unassigned character, and a line to another one
    text = (reference_directory() / "small-office.yaml").read_text()
    # when it is checked, then the list of providers escapes it
    found = mistakes_of(text.replace("{name: isp1, prefix", '{name: "\\uD7FC", prefix', 1).encode(), tmp_path)
    assert any("providers: `\\ud7fc`" in mistake for mistake in found)
