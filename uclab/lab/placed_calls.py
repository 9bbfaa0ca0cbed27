"""Places a lab's calls, each with an id of its own, and records them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from endpoints_emu.phone import Phone
from uclab.lab import calls
from uclab.lab.call_records import write_records
from uclab.lab.client import CallOrder
from uclab.lab.errors import Refused
from uclab.lab.parties import parties_of
from uclab.lab.registrations import Registrations
from uclab.plan.schema.plan import Plan
from uclab.records.run import CallRecord

FILE = "calls.json"


class PlacedCalls:
    """All calls of a lab. They are in its folder's `calls.json`, as far as they have ended."""

    def __init__(
        self, plan: Plan, phones: Mapping[str, Phone], registrations: Registrations, run_dir: Path
    ) -> None:
        self._plan = plan
        self._phones = phones
        self._registrations = registrations
        self._run_dir = run_dir
        self._records: list[CallRecord] = []
        self._ids: set[str] = set()
        """Of calls that were placed: recordings are called so."""

    @property
    def count(self) -> int:
        """How many have ended."""
        return len(self._records)

    def open(self) -> None:
        """Write the file, without a call yet."""
        write_records(self._run_dir / FILE, [])

    async def place(self, order: CallOrder) -> CallRecord:
        """Place a call and wait for its end; its record is in the file then. Raises `Refused` for parties
        there are not."""
        if order.id in self._ids:
            raise Refused(f"a call `{order.id}` has been placed already; each has an id of its own")
        parties = parties_of(order, self._plan, self._phones)
        self._ids.add(order.id)
        began = time.time()
        missing = await self._registrations.wait((parties.caller, parties.callee))
        records = (
            [calls.not_placed(order, began, missing)]
            if missing is not None
            else await calls.place(order, parties, self._phones, self._run_dir / "endpoints")
        )
        self._records += records
        write_records(self._run_dir / FILE, self._records)
        return records[0]
