"""The judge tries itself on the evidence of real labs: what matters is found with the right device, what does
not matter is not, and lost evidence accuses nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.labs import on_request
from tests.self_check.recording import record_short_run
from tests.self_check.rule import RULES, Result
from tests.self_check.table import table
from tests.self_check.trial import try_judge

pytestmark = [pytest.mark.root, pytest.mark.req("B5", "D5")]

TOPOLOGIES = ("small-office", "smb-dual-wan", "cloudconnect-simplex-ott", "wifi-office")
MANY = 320
"""Changes of all runs together; `make test` tries each rule without a lab (`test_judge_self_check.py`)."""
DEAR = ("packets cut, all captures", "the whole run an hour later", "the key log missing, or another")
"""Rules that rewrite every file, or make tshark read again: tried by `make drills`."""


@pytest.fixture(scope="module", autouse=True)
def labs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Labs of these tests have a state folder of their own."""
    os.environ.setdefault("UCLAB_LABS", str(tmp_path_factory.mktemp("labs")))


def wrong(results: list[Result]) -> list[str]:
    """What the judge got wrong, in words."""
    return [
        f"{r.outcome}: {r.rule} [{r.topology}, {r.place}] {r.words}" for r in results if r.outcome != "found"
    ]


@on_request
def test_the_judge_is_right_about_one_change_of_each_rule(tmp_path: Path) -> None:
    # given the evidence of one short clean run
    run = record_short_run("small-office", tmp_path / "run")

    # when a change of each rule is made to it, and judged
    names = [name for name in RULES.makers if name not in DEAR]
    results = try_judge([run], tmp_path, len(names), names=names)

    # then each comes out as it must
    assert len(results) > 25
    assert wrong(results) == []


@on_request
def test_the_judge_is_right_about_hundreds_of_changes_of_several_topologies(tmp_path: Path) -> None:
    runs = [record_short_run(name, tmp_path / name) for name in TOPOLOGIES]
    results = try_judge(runs, tmp_path, MANY)
    print(table(results))
    assert len(results) >= 300
    assert wrong(results) == []
