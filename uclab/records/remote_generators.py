"""What locust's leader keeps of a load generator on another machine, beside the records that came from there:
`campaign/<generator>.told.json`, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LEGS, ACCOUNTS = "legs", "accounts"
KINDS = {LEGS: "calls", ACCOUNTS: "registrations"}
"""Kinds of records, as they end in the names of their files, and in words."""
GENERATORS_VARIABLE = "UCLAB_ELSEWHERE"
"""Environment variable: for locust's leader the names of the generators on other machines; for the worker of
such a one its own name."""
RECORDS_VARIABLE = "UCLAB_RECORDS"
"""Environment variable that names the leader's folder for records from other machines."""


@dataclass(frozen=True)
class RemoteGeneratorStatus:
    """What a generator elsewhere said of itself."""

    generator: str
    left: bool = False
    """Whether it signed off."""
    early: bool = False
    """Whether it did so before the campaign's end."""
    legs: int = 0
    """How many records of calls it has written, by its last word."""
    accounts: int = 0
    """Likewise of registrations."""
    ahead_s: float = 0.0
    """How far its clock is ahead of this machine's; its records' times are put right by this."""
    round_trip_s: float | None = None
    """What the clocks were compared by: half of it is how wrong `ahead_s` may be. None: not compared."""


def trouble(status: RemoteGeneratorStatus | None, came: Mapping[str, int]) -> str:
    """Why the records of a generator elsewhere are not whole; empty where they are (pure).

    `came`: how many records of each kind are here.
    """
    if status is None:
        return "never connected"
    here = " and ".join(f"{came.get(kind, 0)} of {title}" for kind, title in KINDS.items())
    if not status.left:
        return f"was lost before it signed off; records received: {here}"
    if status.early:
        return "left before the campaign's end"
    wanted = {LEGS: status.legs, ACCOUNTS: status.accounts}
    if any(came.get(kind, 0) < count for kind, count in wanted.items()):
        written = " and ".join(f"{wanted[kind]} of {title}" for kind, title in KINDS.items())
        return f"wrote more records than arrived: {written}; here are {here}"
    return ""
