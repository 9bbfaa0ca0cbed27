"""What load generators told, as the judge reads it (`uclab.plan.load.record`)."""

from __future__ import annotations

from dataclasses import dataclass

from uclab.judge.evidence.run_files import RunFiles, shortened
from uclab.plan.capacity.experiment_record import MEASURING, Admission, MeasuringRecord
from uclab.plan.load.record import (
    FOLDER,
    CallerRecord,
    CampaignRecord,
    GeneratorRecord,
    LegRecord,
    QueueUse,
    RegistrationRecord,
    Usage,
)


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

    @property
    def has_calls(self) -> bool:
        """Whether there were calls, or should have been."""
        return bool(self.legs) or self.calls_expected


def load_load(files: RunFiles) -> Load:
    """Read a campaign's folder. Raises `RunError` naming file and line."""
    campaign = files.record(f"{FOLDER}/campaign.json", CampaignRecord)
    if campaign is None:
        return Load()
    for generator_record in campaign.generators:
        if "/" in generator_record.node or generator_record.node.startswith("."):
            files.refuse(
                f"{FOLDER}/campaign.json", f"{shortened(generator_record.node)} is no name of a generator"
            )
    legs = [
        Leg(f"{generator.node}-{number}", generator.node, record)
        for generator in campaign.generators
        for number, record in enumerate(
            files.lines(f"{FOLDER}/{generator.node}.legs.jsonl", LegRecord), start=1
        )
    ]
    registrations = [
        record
        for generator in campaign.generators
        for record in files.lines(f"{FOLDER}/{generator.node}.accounts.jsonl", RegistrationRecord)
    ]
    usage = tuple(files.lines(f"{FOLDER}/usage.jsonl", Usage))
    callers = [
        record.present
        for generator in campaign.generators
        for record in files.lines(f"{FOLDER}/{generator.node}.callers.jsonl", CallerRecord)
    ]
    queues = tuple(files.lines(f"{FOLDER}/queues.jsonl", QueueUse))
    measuring, admissions = _measuring(files)
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


def _measuring(files: RunFiles) -> tuple[MeasuringRecord | None, tuple[Admission, ...]]:
    """What was measured, and the calls that were placed for it; None and nothing in a campaign."""
    record = files.record(f"{FOLDER}/{MEASURING}", MeasuringRecord)
    if record is None:
        return None, ()
    if "/" in record.near:
        files.refuse(f"{FOLDER}/{MEASURING}", f"{shortened(record.near)} is no name of a generator")
    return record, tuple(files.lines(f"{FOLDER}/{record.near}.admissions.jsonl", Admission))
