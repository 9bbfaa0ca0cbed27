"""What was asked of a lab, and what became of it: kept in `orders.jsonl`, an order before it is carried
out. And the lab's last word, `lab.end.json`."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from uclab.access.record_files import write_record
from uclab.lab.client import CallOrder
from uclab.lab.errors import Refused
from uclab.plan.schema.codec import to_data
from uclab.records.scenario import (
    LAB_END,
    RECORD_FILES,
    AskedCall,
    AskedMessages,
    FileLength,
    LabEnd,
    OrderRecord,
)

What = Literal["call", "message", "bulk", "fail", "heal"]
BLOCK = 1 << 20


class OrderLog:
    """Append-only."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", encoding="utf-8", buffering=1)
        self._numbers = itertools.count(1)

    @contextmanager
    def noted(
        self,
        what: What,
        subject: str,
        call: CallOrder | None = None,
        messages: AskedMessages | None = None,
    ) -> Iterator[None]:
        """An order that the block carries out. Where the lab ends meanwhile, its end is never noted."""
        number = next(self._numbers)
        asked = None if call is None else _asked(call)
        self._add(OrderRecord(number, time.time(), "asked", what, subject, asked, "", messages))
        try:
            yield
        except Refused as refused:
            self._add(OrderRecord(number, time.time(), "refused", what, subject, why=str(refused)))
            raise
        self._add(OrderRecord(number, time.time(), "done", what, subject))

    def close(self) -> None:
        """No more orders."""
        self._file.close()

    def _add(self, record: OrderRecord) -> None:
        if not self._file.closed:
            self._file.write(json.dumps(to_data(record)) + "\n")


def _asked(order: CallOrder) -> AskedCall:
    return AskedCall(order.id, order.caller, order.callee, order.kind, order.length_s, order.transfer_to)


def write_lab_end(run_dir: Path) -> None:
    """How long each file of records is, now that the lab writes no more."""
    names = sorted({path for pattern in RECORD_FILES for path in run_dir.glob(pattern) if path.is_file()})
    lengths = tuple(
        FileLength(str(path.relative_to(run_dir)), path.stat().st_size, _lines(path)) for path in names
    )
    write_record(run_dir / LAB_END, LabEnd(time.time(), lengths))


def _lines(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(BLOCK), b""))
