"""Writes the files of records of a run so that each is there whole, or as it was before."""

from __future__ import annotations

import json
from pathlib import Path

from uclab.access.private_files import write_private
from uclab.plan.schema.codec import to_data


def write_record(path: Path, record: object) -> None:
    """A record, or a list of records, as JSON, for its owner alone. Whoever reads meanwhile, or after this
    process was killed, finds the old file or the new one. Raises `FolderRefused`."""
    write_private(path.parent, path.name, json.dumps(to_data(record), indent=1) + "\n")
