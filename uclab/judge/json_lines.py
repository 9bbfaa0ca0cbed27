"""Files of records, one a line, that programs wrote while they ran."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from uclab.plan.codec import from_data

Record = TypeVar("Record")


def json_lines(path: Path, kind: type[Record]) -> Iterator[Record]:
    """The records of a file, none where there is no such file. A last line that is cut off, as when its
    writer was killed, is no evidence. `ValueError` names file and line."""
    for number, line in enumerate(path.read_text().splitlines(True) if path.exists() else (), start=1):
        if line.endswith("\n"):
            try:
                yield from_data(kind, json.loads(line))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
