"""Writes the files of records of a run so that each is there whole, or as it was before."""

from __future__ import annotations

import json
import os
from pathlib import Path

from uclab.plan.codec import to_data


def write_record(path: Path, record: object) -> None:
    """A record, or a list of records, as JSON. Whoever reads meanwhile, or after this process was killed,
    finds the old file or the new one. Raises `OSError`."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(to_data(record), indent=1) + "\n")
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
