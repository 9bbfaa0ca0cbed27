"""`calls.json` and `messages.json`: what has been carried out in a run so far."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from uclab.plan.schema.codec import to_data
from uclab.records.run import CallRecord, MessageRecord


def write_records(file: Path, records: Sequence[CallRecord] | Sequence[MessageRecord]) -> None:
    """Put all of them in place of those before. OSError where that does not go, on a full disk above all:
    then the file is as it was."""
    new = file.with_suffix(".new")
    try:
        new.write_text(json.dumps([to_data(record) for record in records], indent=1) + "\n")
        os.replace(new, file)
    finally:
        new.unlink(missing_ok=True)
