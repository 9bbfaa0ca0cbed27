"""The plans of the reference topologies, line by line.

After a wanted change: `UPDATE_GOLDEN=1 .venv/bin/pytest tests/golden`; then read what changed in git.
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from uclab.model.load import load_topology, reference_topologies
from uclab.plan.planner import make_plan
from uclab.plan.schema.codec import from_data, to_data
from uclab.plan.schema.flows import SwitchFlow, words

FOLDER = Path(__file__).parent
WIDTH, SHOWN = 110, 80
"""Columns of a golden file; lines of a difference that a failure shows."""
ONLY_WITH_CARRIERS = {
    "flows": [], "mtu": 1500, "codes": [], "sorts_by": "dscp", "service_vlan": None, "label": None,
    "chatter": [], "carried": [], "airs": [], "cards": [], "injections": [],
    "strict_sites": [], "strict_servers": [],
}  # fmt: skip
"""What only carriers' networks and Wi-Fi have: not shown where it is as everywhere else."""


@pytest.mark.req("D7", "C8", "L1", "L2", "L4", "N1", "N2", "N3", "V6")
@pytest.mark.parametrize("name", sorted(reference_topologies()))
def test_plan_is_as_agreed(name: str) -> None:
    # given a reference topology
    loaded = load_topology(name)
    # when it is planned
    now = readable(shown_once(to_data(make_plan(loaded))))
    # then the plan is the one that was agreed on, to the letter
    golden = FOLDER / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(now)
    agreed = golden.read_text() if golden.exists() else ""
    difference = [
        line.rstrip("\n")
        for line in difflib.unified_diff(
            agreed.splitlines(keepends=True), now.splitlines(keepends=True), f"golden/{name}.json", "now", n=2
        )
    ]
    more = f"\n... and {len(difference) - SHOWN} lines more" if len(difference) > SHOWN else ""
    assert not difference, (
        "\n".join(["the plan changed; if that is right: UPDATE_GOLDEN=1", *difference[:SHOWN]]) + more
    )


def test_no_golden_plan_without_its_topology() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(reference_topologies())


def shown_once(plan: dict[str, Any]) -> Any:
    """Controllers' fabrics repeat switches, VLANs and policy of the plan: their names will do. Nor is shown
    what only carriers have."""
    for fabric in plan["fabrics"]:
        fabric["switches"] = [switch["name"] for switch in fabric["switches"]]
        fabric["vlans"] = [vlan["id"] for vlan in fabric["vlans"]]
        fabric["policy"] = fabric["policy"]["name"]
    for switch in plan["switches"]:
        switch["flows"] = [words(from_data(SwitchFlow, flow)) for flow in switch["flows"]]
        if not switch["queues"]:
            del switch["queues"]
    return without_defaults(plan)


def without_defaults(data: Any) -> Any:
    """The data without what says nothing."""
    if isinstance(data, dict):
        return {
            key: without_defaults(value)
            for key, value in data.items()
            if key not in ONLY_WITH_CARRIERS or value != ONLY_WITH_CARRIERS[key]
        }
    return [without_defaults(item) for item in data] if isinstance(data, list) else data


def readable(data: Any, indent: int = 0, before: int = 0) -> str:
    """JSON with what fits on one line on one line, and texts of several lines as lists of lines."""
    if isinstance(data, str) and "\n" in data:
        data = {"lines": data.split("\n")}
    short = json.dumps(data, ensure_ascii=False)
    fits = len(short) + indent + before <= WIDTH and "\\n" not in short
    if not isinstance(data, list | dict) or not data or fits:
        return short + ("\n" if indent == before == 0 else "")
    margin = " " * (indent + 1)
    if isinstance(data, dict):
        rows = [f"{json.dumps(k)}: {readable(v, indent + 1, len(k) + 4)}" for k, v in data.items()]
    else:
        rows = [readable(item, indent + 1, 1) for item in data]
    opening, closing = "{}" if isinstance(data, dict) else "[]"
    body = ",\n".join(margin + row for row in rows)
    return f"{opening}\n{body}\n{' ' * indent}{closing}" + ("\n" if indent == 0 else "")
