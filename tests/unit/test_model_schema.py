"""The JSON Schemas for editors are those of the model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from uclab.model.load import reference_directory
from uclab.model.schema import MODELS, schema_text

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_published_schema_is_up_to_date(kind: str) -> None:
    path = DOCS / f"{kind}.schema.json"
    assert path.read_text() == schema_text(kind), (
        f"run: python -m uclab.model.schema {kind} > docs/{path.name}"
    )


def test_every_part_and_every_pattern_says_what_it_is() -> None:
    for kind in MODELS:
        schema: dict[str, Any] = json.loads(schema_text(kind))
        for name, part in {kind: schema, **schema.get("$defs", {})}.items():
            assert part.get("description"), f"{kind}: {name} has no docstring"
            assert part["additionalProperties"] is False
            for key, value in part["properties"].items():
                if "pattern" in value:
                    assert "patternErrorMessage" in value, f"{kind}: {name}.{key}"


def test_reference_documents_every_key() -> None:
    text = (DOCS / "topology.md").read_text()
    for kind in MODELS:
        schema: dict[str, Any] = json.loads(schema_text(kind))
        for name, part in {kind: schema, **schema.get("$defs", {})}.items():
            for key in part["properties"]:
                assert re.search(rf"`[^`]*\b{key}\b[^`]*`", text), (
                    f"docs/topology.md does not know {name}.{key}"
                )


@pytest.mark.parametrize(
    ("number", "path"), [(0, "small-office.yaml"), (1, "profiles/business-internet-10.yaml")]
)
def test_examples_of_the_reference_are_the_shipped_files(number: int, path: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / "topology.md").read_text(), re.S)
    shipped = (reference_directory() / path).read_text()
    assert blocks[number].split() == re.sub(r"^#.*\n", "", shipped, flags=re.M).split()
