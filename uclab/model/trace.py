"""Recorded lines: a CSV of what a line did over time, to be played (W4, W8)."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from uclab.model.diagnostic import Diagnostic, closest, listed, shown

FIGURES: dict[str, tuple[float, float]] = {
    "delay_ms": (0, 5000),
    "jitter_ms": (0, 1000),
    "loss_pct": (0, 100),
    "rate_kbps": (64, 10_000_000),
}
"""Columns that may be empty (unchanged), with what they may hold."""
COLUMNS = ("time_s", "direction", *FIGURES)
LONGEST_S = 31_536_000.0
MOST_ROWS = 20_000


@dataclass(frozen=True)
class TraceRow:
    """What a line does from `time_s` on; None is what it did before."""

    time_s: float
    direction: Literal["up", "down", "both"]
    delay_ms: float | None = None
    jitter_ms: float | None = None
    loss_pct: float | None = None
    rate_kbps: int | None = None


@dataclass(frozen=True)
class Trace:
    """A recording, in order of time."""

    rows: tuple[TraceRow, ...]
    loop: bool

    @property
    def length_s(self) -> float:
        """The last row lasts as long as the one before it; a second where there is but one time."""
        times = sorted({row.time_s for row in self.rows})
        return times[-1] + (times[-1] - times[-2] if len(times) > 1 else 1.0)


def read(text: str, file: str, loop: bool) -> tuple[Trace | None, tuple[Diagnostic, ...]]:
    """The recording in a CSV text, or its mistakes (pure)."""
    try:
        lines = list(csv.reader(text.splitlines()))
    except csv.Error as error:
        return None, (
            Diagnostic(file, 0, 0, "", f"is not a CSV file ({error})", f"columns: {listed(COLUMNS)}"),
        )
    if not lines or not any(lines[0]):
        return None, (Diagnostic(file, 0, 0, "", "is empty", f"columns: {listed(COLUMNS)}"),)
    header = [name.strip() for name in lines[0]]
    if not set(header) & set(COLUMNS):  # whatever that is, it is nobody's to read out
        return None, (Diagnostic(file, 1, 0, "", "is no recording", f"a first line with {listed(COLUMNS)}"),)
    mistakes = list(_header_mistakes(header, file))
    if mistakes:
        return None, tuple(mistakes)
    rows: list[TraceRow] = []
    last: dict[str, float] = {}
    for number, cells in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            found = f"found {len(cells)} values"
            mistakes.append(Diagnostic(file, number, 0, "", found, f"the header has {len(header)} columns"))
            continue
        row = _row(dict(zip(header, (cell.strip() for cell in cells), strict=True)), file, number, mistakes)
        if row is None:
            continue
        for way in ("up", "down") if row.direction == "both" else (row.direction,):
            if row.time_s <= last.get(way, -1.0):
                found = f"{row.time_s:g} is not later than {last[way]:g}, the last time of `{way}`"
                mistakes.append(Diagnostic(file, number, 0, "time_s", found, "rows go forward in time"))
                break
            last[way] = row.time_s
        rows.append(row)
    if not rows and not mistakes:
        mistakes.append(Diagnostic(file, 0, 0, "", "has no rows", "a header and at least one row"))
    if len(rows) > MOST_ROWS:
        mistakes.append(Diagnostic(file, 0, 0, "", f"has {len(rows)} rows", f"at most {MOST_ROWS}"))
    if mistakes:
        return None, tuple(mistakes)
    return Trace(tuple(sorted(rows, key=lambda row: row.time_s)), loop), ()


def _header_mistakes(header: Sequence[str], file: str) -> Iterator[Diagnostic]:
    for name in header:
        if name not in COLUMNS:
            known = f"known here: {listed(COLUMNS)}"
            yield Diagnostic(file, 1, 0, "", f"unknown column {shown(name)}", known, closest(name, COLUMNS))
        elif header.count(name) > 1:
            yield Diagnostic(file, 1, 0, "", f"column {shown(name)} is given twice", "give it once")
    for name in ("time_s", "direction"):
        if name not in header and not any(closest(other, [name]) for other in header):
            yield Diagnostic(file, 1, 0, "", f"column `{name}` is missing", f"columns: {listed(COLUMNS)}")


def _row(cells: Mapping[str, str], file: str, line: int, mistakes: list[Diagnostic]) -> TraceRow | None:
    before = len(mistakes)

    def number(name: str, low: float, high: float) -> float | None:
        try:
            value = float(cells[name])
        except ValueError:
            value = math.nan
        if low <= value <= high:
            return value
        what = f"found {shown(cells[name])}" if cells[name] else "found nothing"
        mistakes.append(
            Diagnostic(file, line, 0, name, what, f"allowed: a number from {low:.10g} to {high:.10g}")
        )
        return None

    time_s = number("time_s", 0, LONGEST_S)
    direction = cells["direction"]
    if direction not in ("up", "down", "both"):
        allowed = "allowed: one of `up`, `down`, `both`"
        hint = closest(direction, ["up", "down", "both"])
        mistakes.append(Diagnostic(file, line, 0, "direction", f"found {shown(direction)}", allowed, hint))
    figures = {name: number(name, *span) for name, span in FIGURES.items() if cells.get(name)}
    if len(mistakes) > before or time_s is None:
        return None
    rate = figures.pop("rate_kbps", None)
    return TraceRow(time_s, direction, **figures, rate_kbps=None if rate is None else round(rate))  # type: ignore[arg-type]
