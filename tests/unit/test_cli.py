"""The command line: exit statuses, JSON, and errors without tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.command_line import uclab

UCLAB = Path(sys.executable).with_name("uclab")
VERBS = (
    "doctor",
    "topologies",
    "check",
    "plan",
    "graph",
    "capacity",
    "up",
    "ls",
    "inspect",
    "exec",
    "call",
    "message",
    "circuit",
    "fail",
    "heal",
    "down",
    "run",
    "judge",
    "drill",
    "campaign",
    "generator",
)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [(("check", "small-office"), 0, "small-office: valid"), (("check", "small-ofice"), 2, "did you mean")],
)
def test_the_installed_command_ends_as_its_verb_does(
    arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = subprocess.run([str(UCLAB), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == status
    assert words in (done.stderr if status else done.stdout)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    done = uclab(verb, "--help")
    assert done.returncode == 0
    assert "Usage: uclab" in done.stdout


def test_a_verb_does_not_wait_for_what_only_judging_needs() -> None:
    code = "import sys, uclab.cli; print(*{'matplotlib'}.intersection(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_check_of_a_valid_topology_says_how_large_it_is() -> None:
    done = uclab("check", "small-office")
    assert done.returncode == 0
    assert "small-office: valid" in done.stdout


def test_check_prints_all_errors_and_ends_with_2(tmp_path: Path) -> None:
    # given a file with two mistakes
    wrong = tmp_path / "wrong.yaml"
    text = (Path(__file__).parents[2] / "topologies" / "small-office.yaml").read_text()
    wrong.write_text(
        text.replace("policy: ucaas", "policy: ucas").replace(
            "topology: small-office", "topolgy: small-office"
        )
    )
    # when it is checked, then both are named with their lines, in text and as JSON
    done = uclab("check", str(wrong))
    assert done.returncode == 2
    assert "topolgy" in done.stderr
    assert "did you mean" in done.stderr
    mistakes = json.loads(uclab("check", str(wrong), "--json").stdout)["mistakes"]
    assert len(mistakes) >= 2
    assert all(mistake["line"] for mistake in mistakes[:2])


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "enterprise-hqq"),
        ("plan", "no/such/file.yaml"),
        ("plan", "small-office", "--fault", "dscp-clear"),
        ("plan", "small-office", "--device", "fww"),
        ("capacity", "small-ofice"),
        ("capacity", "small-office", "--svg", "/no/such/folder/t.svg"),
        ("capacity", "small-office", "--line", "office/wan1"),
        ("capacity", "small-office", "--measure", "--line", "office/wan2"),
        ("capacity", "small-office", "--measure", "--way", "sideways"),
        ("capacity", "small-office", "--measure", "--fault", "line-to-small"),
        ("capacity", "soho-all-in-one", "--measure"),
        ("run", "small-office", "--scenario", "nonsense"),
        ("judge", "/"),
        ("inspect", "--name", "nothing"),
        ("call", "desk1", "desk2"),
        ("down",),
        ("exec", "fw"),
        ("frobnicate",),
        ("call", "desk1", "desk2", "--seconds", "0"),
    ],
)
def test_wrong_input_ends_with_2_and_one_message(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = uclab(*arguments, state=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("plan.json", "{"),
        ("plan.json", '{"topology": 7}'),
        ("campaign/campaign.json", '{"users": "many"}'),
        ("campaign/measuring.json", "[]"),
        ("events.jsonl", "{}"),
    ],
)
def test_a_run_that_cannot_be_read_names_its_file(file: str, text: str, tmp_path: Path) -> None:
    # given the plan of a run, and a file beside it that is none of ours
    (tmp_path / "campaign").mkdir()
    (tmp_path / "plan.json").write_text(uclab("plan", "small-office", "--json").stdout)
    campaign = '{"profile": "x", "users": 1, "calls_expected": false, "generators": []}'
    (tmp_path / "campaign" / "campaign.json").write_text(campaign)
    (tmp_path / file).write_text(text)
    # when it is judged
    done = uclab("judge", str(tmp_path))
    # then one message says which
    assert done.returncode == 2, done.stderr
    assert str(tmp_path / file) in done.stderr
    assert "Traceback" not in done.stderr


def test_misspelt_names_get_the_closest_match() -> None:
    assert "did you mean `enterprise-hq`?" in uclab("check", "enterprise-hqq").stderr
    assert "did you mean `dscp-cleared`?" in uclab("plan", "small-office", "--fault", "dscp-clear").stderr
    assert "did you mean `fw`?" in uclab("plan", "small-office", "--device", "fww").stderr


def test_plan_is_json_that_reads_back() -> None:
    plan = json.loads(uclab("plan", "small-office", "--json").stdout)
    assert plan["topology"] == "small-office"
    node = json.loads(uclab("plan", "small-office", "--json", "--device", "fw").stdout)
    assert node["kind"] == "firewall"


def test_graph_writes_a_drawing(tmp_path: Path) -> None:
    done = uclab("graph", "small-office", "--out", str(tmp_path / "t.svg"))
    assert done.returncode == 0
    assert (tmp_path / "t.svg").read_text().startswith("<svg")


def test_reference_topologies_are_listed() -> None:
    names = {row["name"] for row in json.loads(uclab("topologies", "--json").stdout)}
    assert {"enterprise-hq", "small-office"} <= names


def test_no_lab_is_an_empty_list(tmp_path: Path) -> None:
    assert json.loads(uclab("ls", "--json", state=tmp_path).stdout) == []


def test_drill_lists_its_faults() -> None:
    rows = json.loads(uclab("drill", "small-office", "--list", "--json").stdout)
    assert all(row["breaks"] for row in rows)


def test_plan_prints_how_its_lines_change() -> None:
    # given a site behind a low-orbit satellite, then its handovers and gaps are in the plan
    done = uclab("plan", "satellite-leo")
    assert done.returncode == 0
    assert "lines that change" in done.stdout
    assert "12: +15 ms, loss +25 %" in done.stdout
    assert "5400: outage" in done.stdout


@pytest.mark.req("V2")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--scenario", "failovr"), "did you mean `failover`?"),
        (("--scenario", "failover", "--incident", "circuit-dwn"), "did you mean `circuit-down`?"),
        (
            ("--incident", "circuit-down"),
            "scenario `reference` breaks nothing; incidents belong to: failover",
        ),
        (("--repeat", "3"), "scenario `reference` breaks nothing"),
    ],
)
def test_what_a_scenario_cannot_do_is_refused_before_anything_starts(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    done = uclab("run", "smb-dual-wan", *options, "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
