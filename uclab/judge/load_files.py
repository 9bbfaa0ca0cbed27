"""What load generators told, as the judge reads it (`uclab.plan.load_record`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from uclab.judge.json_lines import json_lines
from uclab.plan.admission_record import MEASURING, Admission, MeasuringRecord
from uclab.plan.codec import from_data
from uclab.plan.load_record import (
    CallerRecord,
    CampaignRecord,
    GeneratorRecord,
    LegRecord,
    QueueUse,
    RegistrationRecord,
    Usage,
)

Record = TypeVar("Record")


@dataclass(frozen=True)
class Leg:
    """One side of a call, at a generator."""

    id: str
    generator: str
    record: LegRecord


@dataclass(frozen=True)
class Load:
    """All of a campaign; empty where there was none."""

    users: int = 0
    """How many there were to be."""
    calls_expected: bool = False
    generators: tuple[GeneratorRecord, ...] = ()
    registrations: tuple[RegistrationRecord, ...] = ()
    legs: tuple[Leg, ...] = ()
    usage: tuple[Usage, ...] = ()
    queues: tuple[QueueUse, ...] = ()
    callers: int = 0
    """How many of the users were in the telephone network, where nobody registers."""
    measuring: MeasuringRecord | None = None
    """Where the calls that a line carries were counted."""
    admissions: tuple[Admission, ...] = ()


def load_load(folder: Path) -> Load:
    """Read a campaign's folder. Raises `ValueError` naming file and line."""
    path = folder / "campaign.json"
    if not path.exists():
        return Load()
    campaign = _record(path, CampaignRecord)
    legs = [
        Leg(f"{one.node}-{number}", one.node, record)
        for one in campaign.generators
        for number, record in enumerate(json_lines(folder / f"{one.node}.legs.jsonl", LegRecord), start=1)
    ]
    registrations = [
        record
        for one in campaign.generators
        for record in json_lines(folder / f"{one.node}.accounts.jsonl", RegistrationRecord)
    ]
    usage = tuple(json_lines(folder / "usage.jsonl", Usage))
    callers = [
        record.present
        for one in campaign.generators
        for record in json_lines(folder / f"{one.node}.callers.jsonl", CallerRecord)
    ]
    queues = tuple(json_lines(folder / "queues.jsonl", QueueUse))
    measuring, admissions = _measuring(folder)
    return Load(
        users=campaign.users,
        calls_expected=campaign.calls_expected,
        generators=campaign.generators,
        registrations=tuple(registrations),
        legs=tuple(legs),
        usage=usage,
        queues=queues,
        callers=max(callers, default=0),
        measuring=measuring,
        admissions=admissions,
    )


def _measuring(folder: Path) -> tuple[MeasuringRecord | None, tuple[Admission, ...]]:
    """What was measured, and the calls that were placed for it; None and nothing in a campaign."""
    path = folder / MEASURING
    if not path.exists():
        return None, ()
    record = _record(path, MeasuringRecord)
    return record, tuple(json_lines(folder / f"{record.near}.admissions.jsonl", Admission))


def _record(path: Path, kind: type[Record]) -> Record:
    """The one record of a file."""
    try:
        return from_data(kind, json.loads(path.read_text()))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
