"""The plans of the reference topologies, table by table (`plan_tables`): a folder for each topology.

After a wanted change: `UPDATE_GOLDEN=1 .venv/bin/pytest tests/golden`; then read what changed in git.
"""

from __future__ import annotations

import copy
import difflib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from testbed.plans import shipped_plan
from tests.golden.plan_tables import by_concern
from uclab.model.load import reference_topologies
from uclab.plan.schema.codec import to_data

FOLDER = Path(__file__).parent
SHOWN = 80
"""Lines of a difference that a failure shows."""
SHARED_POLICY = "small-office"
"""Its policy stands in full; of others only what differs."""
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))


def tables_of(name: str) -> dict[str, str]:
    """File -> text, of one topology."""
    files = by_concern(to_data(shipped_plan(name)))
    if name != SHARED_POLICY:
        known = set(by_concern(to_data(shipped_plan(SHARED_POLICY)))["policy.txt"].splitlines())
        files["policy.txt"] = "".join(
            line for line in files["policy.txt"].splitlines(keepends=True) if line.rstrip() not in known
        )
    return {file: text for file, text in files.items() if text}


@pytest.mark.req("D7", "C8", "L1", "L2", "L4.1", "N1.1", "N1.2", "N1.3", "N2", "N3.1", "N3.2", "V6")
@pytest.mark.parametrize("name", sorted(reference_topologies()))
def test_plan_is_as_agreed(name: str) -> None:
    # given a reference topology, when it is planned
    now, folder = tables_of(name), FOLDER / name
    if UPDATE:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file, text in now.items():
            (folder / file).write_text(text)
    # then the plan is the one that was agreed on, to the letter
    agreed = {path.name: path.read_text() for path in folder.glob("*.*")}
    difference = [
        line.rstrip("\n")
        for file in sorted({*agreed, *now})
        for line in difflib.unified_diff(
            agreed.get(file, "").splitlines(keepends=True),
            now.get(file, "").splitlines(keepends=True),
            f"golden/{name}/{file}",
            "now",
            n=2,
        )
    ]
    more = f"\n... and {len(difference) - SHOWN} lines more" if len(difference) > SHOWN else ""
    assert not difference, (
        "\n".join(["the plan changed; if that is right: UPDATE_GOLDEN=1", *difference[:SHOWN]]) + more
    )


def test_no_golden_plan_without_its_topology() -> None:
    there = {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert there == set(reference_topologies())


def test_no_value_of_a_plan_is_left_out_of_its_tables() -> None:
    # given a plan, when one value of each kind in it is another
    data = to_data(shipped_plan("sd-wan"))
    plain = by_concern(copy.deepcopy(data))
    unseen = set()
    for place, (holder, key) in _one_of_each_kind(data).items():
        before, holder[key] = holder[key], "another"
        if by_concern(copy.deepcopy(data)) == plain:
            unseen.add(place)
        holder[key] = before
    # then some table shows it, but for what a controller's fabric repeats of the plan
    assert {place for place in unseen if not place.startswith(".fabrics[]")} == set()


def _one_of_each_kind(data: Any) -> dict[str, tuple[Any, Any]]:
    """By the place of its kind in the structure: a value, as what holds it and its key there. Rules of
    switches are told by their own words."""
    found: dict[str, tuple[Any, Any]] = {}

    def look(value: Any, place: str, holder: Any, key: Any) -> None:
        if place.endswith(".flows"):
            return
        if isinstance(value, dict):
            for name, inner in value.items():
                look(inner, f"{place}.{name}", value, name)
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                look(inner, f"{place}[]", value, number)
        else:
            found.setdefault(place, (holder, key))

    look(data, "", None, None)
    return found
