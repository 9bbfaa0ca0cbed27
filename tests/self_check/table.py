"""The results as a table by rule, and their place in `docs/judging.md`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.self_check.rule import RULES, Result

BEGIN, END = "<!-- self-check: begin -->", "<!-- self-check: end -->"
WORDS = {"fault": "must be found", "lost": "must be not shown", "harmless": "must not matter"}


def table(results: Sequence[Result]) -> str:
    """Markdown: by rule how many changes came out how, and in sum."""
    lines = [
        "| rule | | changes | right | missed | wrong culprit | false accusation |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, (kind, _, _) in RULES.makers.items():
        its = [result for result in results if result.rule == name]
        if its:
            lines.append(f"| {name} | {WORDS[kind]} | {_counts(its)} |")
    lines.append(f"| **all** | | {_counts(results)} |")
    return "\n".join(lines)


def _counts(results: Sequence[Result]) -> str:
    kinds = ("found", "missed", "wrong culprit", "false accusation")
    return " | ".join(str(n) for n in (len(results), *(sum(r.outcome == k for r in results) for k in kinds)))


def write_table(page: Path, results: Sequence[Result]) -> None:
    """Puts the table between its marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}")
