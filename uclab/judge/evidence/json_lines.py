"""Files of records, one a line, that programs wrote while they ran."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from uclab.judge.evidence.run_files import RunFiles

Record = TypeVar("Record")


def json_lines(path: Path, kind: type[Record]) -> Iterator[Record]:
    """The records of a file, none where there is no such file. A last line that is cut off, as when its
    writer was killed, is no evidence. `RunError`, a `ValueError`, names file and line."""
    yield from RunFiles(path.parent).lines(path.name, kind)
