"""What generators on other machines tell locust's leader, kept as if they were here: their records in the
same files, with the times put right by what their clocks are ahead. Messages are dictionaries here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from uclab.plan.schema.codec import to_data
from uclab.records.remote_generators import ACCOUNTS, KINDS, LEGS, RemoteGeneratorStatus

TIMES = ("at", "started_at", "answered_at", "ended_at")
"""Fields of records that are seconds since the epoch."""


class Ledger:
    """One a campaign, at the leader."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.told = {name: RemoteGeneratorStatus(name) for name in names}
        self.ending = False
        """Whether the campaign is being ended: who leaves from now on, leaves in time."""
        self._folder = folder

    def record(self, data: Mapping[str, Any]) -> None:
        """A record of a generator; of one that is not expected nothing is kept."""
        status, kind = self.told.get(data["generator"]), data["kind"]
        if status is None or kind not in KINDS:
            return
        right = {
            key: round(value - status.ahead_s, 3) if key in TIMES and value is not None else value
            for key, value in data["record"].items()
        }
        with (self._folder / f"{status.generator}.{kind}.jsonl").open("a") as file:
            file.write(json.dumps(right) + "\n")
        if status.round_trip_s is None and not status.left:
            self._keep(status)

    def clock(self, data: Mapping[str, Any], now: float) -> None:
        """A generator has said what its clock shows; the answer that came fastest says most."""
        status = self.told.get(data["generator"])
        if status is None:
            return
        took = now - data["asked"]
        if status.round_trip_s is None or took < status.round_trip_s:
            ahead = data["here"] - (data["asked"] + now) / 2
            self._keep(replace(status, ahead_s=round(ahead, 4), round_trip_s=round(took, 4)))

    def farewell(self, data: Mapping[str, Any]) -> None:
        """A generator has no more users, and says how much it has written."""
        status = self.told.get(data["generator"])
        if status is not None:
            early = status.early if status.left else not self.ending
            self._keep(replace(status, left=True, early=early, legs=data[LEGS], accounts=data[ACCOUNTS]))

    def _keep(self, status: RemoteGeneratorStatus) -> None:
        self.told[status.generator] = status
        path = self._folder / f"{status.generator}.told.json"
        path.write_text(json.dumps(to_data(status)) + "\n")
