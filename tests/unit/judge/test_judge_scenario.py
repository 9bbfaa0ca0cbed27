"""Less than was asked for does not pass: whatever a run was to hold and does not is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from testbed.made_up_network import reference_plan
from uclab.access.record_files import write_record
from uclab.judge.checks.scenario import check_scenario
from uclab.judge.evidence.run import load_run
from uclab.judge.judging import build_evidence
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.result.judgement import Finding
from uclab.plan.load.record import CampaignRecord, GeneratorRecord, Usage
from uclab.plan.schema.codec import plan_to_json, to_data
from uclab.records.run import CallRecord, Event, Incident
from uclab.records.scenario import (
    BY_HAND,
    Asked,
    AskedCall,
    AskedIncident,
    AskedLoad,
    FileLength,
    LabEnd,
    OrderRecord,
    ScenarioEnd,
    ScenarioRecord,
)

Change = Callable[[Path], object]
CALLS = tuple(
    CallRecord(name, "desk1", "desk2", "desk-desk", True, 101.0, 102.0, 107.2) for name in ("c1", "c2", "c3")
)
ASKED = tuple(AskedCall(call.id, call.caller, call.callee, call.kind, 5.0) for call in CALLS)
INCIDENTS = tuple(
    Incident("circuit-down", "edge-isp1", ("edge-isp1",), "cut", True, turn, 110.0, 120.0, 130.0, (), 3, 3)
    for turn in (1, 2)
)


@cache
def plan_text() -> str:
    return plan_to_json(reference_plan("desk1", "desk2"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of three calls and two incidents, without a packet: its records alone are looked at."""
    (tmp_path / "plan.json").write_text(plan_text())
    asked = Asked(ASKED, tuple(AskedIncident(one.name, one.subject, one.round) for one in INCIDENTS))
    write_record(tmp_path / "scenario.json", ScenarioRecord("failover", "failover", 100.0, asked))
    write_record(tmp_path / "scenario.end.json", ScenarioEnd(140.0, "whole"))
    write_record(tmp_path / "calls.json", CALLS)
    write_record(tmp_path / "incidents.json", INCIDENTS)
    written(tmp_path / "events.jsonl", [Event(90.0, "lab", "up"), Event(141.0, "lab", "down")])
    lab_ends(tmp_path)
    return tmp_path


def written(path: Path, records: list[Event] | list[OrderRecord] | list[Usage]) -> None:
    path.write_text("".join(json.dumps(to_data(one)) + "\n" for one in records))


def lab_ends(folder: Path) -> None:
    """The lab notes how long its files are."""
    names = ("calls.json", "incidents.json", "events.jsonl", "orders.jsonl", "campaign/usage.jsonl")
    files = [FileLength(n, (folder / n).stat().st_size, 0) for n in names if (folder / n).exists()]
    write_record(folder / "lab.end.json", LabEnd(141.0, tuple(files)))


def findings(folder: Path) -> dict[str, Finding]:
    evidence: RunEvidence = build_evidence(load_run(folder))
    return {one.subject: one for one in check_scenario(evidence)}


def incomplete(folder: Path) -> dict[str, str]:
    """What is not shown, and why."""
    return {name: one.observed for name, one in findings(folder).items() if one.verdict != "pass"}


@pytest.mark.req("D3", "D5")
def test_a_whole_run_is_complete(folder: Path) -> None:
    found = findings(folder)
    assert {name: one.verdict for name, one in found.items()} == dict.fromkeys(
        ("end", "records", "calls", "incidents"), "pass"
    )
    assert found["calls"].observed == "3 of 3 calls have their record"


def calls(change: Callable[[CallRecord], CallRecord | None]) -> Change:
    """The last call's record is another one, or not there; as long as before, as a forger would see to."""

    def apply(folder: Path) -> None:
        last = change(CALLS[-1])
        write_record(folder / "calls.json", (*CALLS[:-1], *([last] if last else [])))
        lab_ends(folder)

    return apply


def cut(name: str, by: int) -> Change:
    def apply(folder: Path) -> None:
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw[:-by])

    return apply


def nothing_but(*incidents: Incident) -> Change:
    def apply(folder: Path) -> None:
        write_record(folder / "incidents.json", incidents)
        lab_ends(folder)

    return apply


def ends(end: ScenarioEnd) -> Change:
    return lambda folder: write_record(folder / "scenario.end.json", end)


def gone(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


@pytest.mark.req("D3", "D5")
@pytest.mark.parametrize(
    ("change", "subject", "words"),
    [
        (calls(lambda call: None), "calls", "2 of 3 calls have their record; no record of c3"),
        (calls(lambda call: replace(call, caller="nobody")), "calls", "the plan has no nobody"),
        (calls(lambda call: replace(call, callee="+49nowhere")), "calls", "the plan has no +49nowhere"),
        (calls(lambda call: replace(call, kind="overload")), "calls", "c3 was to be desk1 desk2 desk-desk"),
        (calls(lambda call: replace(call, ended_at=104.0)), "calls", "was to last 5 s, and lasted 2.0 s"),
        (calls(lambda call: replace(call, started_at=99.0)), "records", "calls from before the run"),
        (gone("calls.json"), "records", "calls.json is missing"),
        (
            nothing_but(INCIDENTS[0]),
            "incidents",
            "1 of 2 incidents; no record of circuit-down edge-isp1 (round 2)",
        ),
        (nothing_but(), "incidents", "0 of 2 incidents"),
        (gone("incidents.json"), "incidents", "0 of 2 incidents"),
        (
            nothing_but(*(replace(one, failed_at=50.0) for one in INCIDENTS)),
            "records",
            "incidents from before",
        ),
        (cut("events.jsonl", 3), "records", "events.jsonl ends in the middle of line 2"),
        (cut("events.jsonl", 60), "records", "events.jsonl"),
        (gone("events.jsonl"), "records", "events.jsonl is missing"),
        (gone("scenario.end.json"), "end", "`failover` never reported its end"),
        (ends(ScenarioEnd(50.0, "whole")), "end", "`failover` never reported its end"),
        (ends(ScenarioEnd(140.0, "interrupted", "by the user")), "end", "was interrupted: by the user"),
        (ends(ScenarioEnd(140.0, "crashed", "LabError: no line")), "end", "crashed: LabError: no line"),
        (gone("lab.end.json"), "end", "the lab never reported its end"),
        (gone("scenario.json"), "end", "there is no scenario.json"),
    ],
)
def test_what_is_missing_is_not_shown(folder: Path, change: Change, subject: str, words: str) -> None:
    change(folder)
    assert words in incomplete(folder)[subject]


def by_hand(folder: Path, *orders: OrderRecord) -> None:
    write_record(folder / "scenario.json", ScenarioRecord(BY_HAND, "reference", 80.0))
    for name in ("scenario.end.json", "incidents.json"):
        (folder / name).unlink()
    written(folder / "orders.jsonl", list(orders))
    lab_ends(folder)


def order(number: int, stage: str, call: AskedCall | None = None) -> OrderRecord:
    what = "call" if call or number <= len(ASKED) else "fail"
    subject = ASKED[number - 1].id if number <= len(ASKED) else "edge-isp1"
    return OrderRecord(number, 101.0, stage, what, subject, call)  # type: ignore[arg-type]


def both(number: int) -> tuple[OrderRecord, OrderRecord]:
    return order(number, "asked", ASKED[number - 1]), order(number, "done")


@pytest.mark.req("D3")
def test_what_was_asked_by_hand_is_what_must_be_there(folder: Path) -> None:
    by_hand(folder, *both(1), *both(2), *both(3), order(4, "asked"), order(4, "refused"))
    assert incomplete(folder) == {}


@pytest.mark.req("D3")
def test_an_order_by_hand_that_was_never_done_is_named(folder: Path) -> None:
    by_hand(folder, *both(1), *both(2), *both(3), order(4, "asked"))
    assert incomplete(folder)["end"] == "requested, never carried out: fail edge-isp1"


@pytest.mark.req("D3")
def test_a_call_by_hand_without_its_record_is_named(folder: Path) -> None:
    by_hand(folder, *both(1), *both(2), *both(3))
    write_record(folder / "calls.json", CALLS[:1])
    assert "1 of 3 calls have their record; no record of c2, c3" in incomplete(folder)["calls"]


def campaign(folder: Path, users: int, seconds: int, nodes: tuple[str, ...] = ("load1", "load2")) -> None:
    asked = Asked(load=AskedLoad(20, ("load1", "load2"), 60.0))
    write_record(folder / "scenario.json", ScenarioRecord("campaign", "load", 80.0, asked))
    for name in ("calls.json", "incidents.json"):
        (folder / name).unlink()
    (folder / "campaign").mkdir()
    generators = tuple(GeneratorRecord(node, 0) for node in nodes)
    write_record(folder / "campaign" / "campaign.json", CampaignRecord("busy-hour", users, True, generators))
    written(
        folder / "campaign" / "usage.jsonl",
        [Usage(100.0 + second, "x", 1.0) for second in range(seconds + 1)],
    )
    lab_ends(folder)


@pytest.mark.req("D11")
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ((20, 65), None),
        ((20, 30), "its load was noted for 30 of 60 s"),
        ((12, 65), "12 of 20 users"),
        ((20, 65, ("load1",)), "no record of load2"),
    ],
)
def test_a_campaign_is_as_long_and_as_large_as_it_was_to_be(
    folder: Path, how: tuple[int, int], words: str | None
) -> None:
    campaign(folder, *how)
    assert incomplete(folder).get("load") == words


@pytest.mark.req("D11")
def test_a_campaign_whose_series_is_cut_is_named(folder: Path) -> None:
    campaign(folder, 20, 65)
    cut("campaign/usage.jsonl", 500)(folder)
    assert "campaign/usage.jsonl" in incomplete(folder)["records"]
