"""Reading a run directory: what is missing is missing evidence, what is broken is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testbed.made_up_network import reference_plan
from uclab.judge.evidence.run import RunError, load_run
from uclab.judge.judging import judge_run
from uclab.plan.schema.codec import plan_to_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plan.json").write_text(plan_to_json(reference_plan("desk1")))
    (tmp_path / "captures").mkdir()
    return tmp_path


def test_an_empty_run_shows_nothing(folder: Path) -> None:
    judgement = judge_run(folder)
    shown = {finding.id for finding in judgement.findings if finding.verdict == "pass"}
    assert shown == set()
    assert judgement.verdict == "not-shown"


def test_a_folder_without_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"plan\.json"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("plan.json", "{", r"plan\.json"),
        ("plan.json", "{}", r"plan\.json"),
        ("calls.json", '[{"id": 1}]', r"calls\.json: CallRecord"),
        ("calls.json", "7", r"calls\.json"),
        (
            "events.jsonl",
            '{"time": 1.0, "source": "a", "kind": "b"}\n{"time": "x"}\n',
            r"events\.jsonl, line 2",
        ),
        ("captures/interfaces.json", "[", r"interfaces\.json"),
        ("scenario.json", '{"name": "failover", "checks": "all"}', r"scenario\.json: ScenarioRecord"),
        ("scenario.json", "[", r"scenario\.json"),
        ("incidents.json", '[{"name": 1}]', r"incidents\.json: Incident"),
    ],
)
def test_a_broken_file_is_named(folder: Path, name: str, text: str, words: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(RunError, match=words):
        load_run(folder)


@pytest.mark.req("D5")
def test_kernel_names_become_tap_labels(folder: Path) -> None:
    # given captures whose interfaces carry kernel names, and a table of the lab's
    run = load_run(folder)
    tap = next(tap for tap in run.plan.taps if tap.label == "acc1:1")
    assert run.label(tap.namespace, tap.interface) == "acc1:1"
    assert run.label(tap.namespace, "acc1:1") == "acc1:1"

    # when the table names one
    (folder / "captures" / "interfaces.json").write_text(json.dumps({"ovs-9": {"veth7": "acc1:7"}}))

    # then it is known by that name in that namespace only
    assert load_run(folder).label("ovs-9", "veth7") == "acc1:7"
    assert load_run(folder).label("ovs-8", "veth7") == "veth7"


@pytest.mark.req("C9.1")
def test_the_authority_is_found_where_the_lab_keeps_it(folder: Path) -> None:
    (folder / "pki").mkdir()
    (folder / "pki" / "ca.pem").write_text("x")
    assert load_run(folder).authority == b"x"
