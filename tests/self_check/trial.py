"""Tries the judge: applies changes to copies of clean runs, judges each, and sorts the outcomes.

`python -m tests.self_check.trial RUN... [--at-most N] [--seed N] [--rule NAME] [--json FILE]` prints one line
a change that the judge got wrong, and the table.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import multiprocessing
import pkgutil
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tests import self_check
from tests.self_check.evidence import CleanRun, SignallingEdit
from tests.self_check.rule import RULES, Change, Outcome, Result, outcome
from tests.self_check.table import table, write_table
from uclab.capture.dissect import Signalling, dissect
from uclab.capture.tags import Tags, dissect_tags
from uclab.judge import judging
from uclab.judge.checks import tshark_crosscheck
from uclab.judge.evidence.run import RunError
from uclab.judge.result.judgement import Judgement

for module in pkgutil.iter_modules(self_check.__path__):
    if module.name.startswith("rules_"):
        importlib.import_module(f"{self_check.__name__}.{module.name}")  # its rules register themselves

PROCESSES = 2
SEED = 10


@dataclass
class Dissector:
    """What tshark says, asked once for the same bytes: most changes leave signalling as it was."""

    signalling: dict[bytes, Signalling] = field(default_factory=dict)
    tags: dict[bytes, list[Tags]] = field(default_factory=dict)
    edit: SignallingEdit | None = None

    def dissect(self, extract: Path, keylog: Path | None, numbers: Sequence[int] = ()) -> Signalling:
        key = _digest(
            extract.read_bytes(), keylog.read_bytes() if keylog else b"", repr(list(numbers)).encode()
        )
        if key not in self.signalling:
            self.signalling[key] = dissect(extract, keylog, numbers)
        found = self.signalling[key]
        return replace(found, messages=self.edit(found.messages)) if self.edit else found

    def dissect_tags(self, extract: Path) -> list[Tags]:
        key = _digest(extract.read_bytes())
        if key not in self.tags:
            self.tags[key] = dissect_tags(extract)
        return self.tags[key]


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


DISSECTOR = Dissector()


def judged(folder: Path, edit: SignallingEdit | None = None) -> Judgement:
    """`judge_run` with what tshark said before of the same bytes."""
    DISSECTOR.edit = edit
    judging.dissect, tshark_crosscheck.dissect_tags = DISSECTOR.dissect, DISSECTOR.dissect_tags  # type: ignore[attr-defined]
    try:
        return judging.judge_run(folder)
    finally:
        judging.dissect, tshark_crosscheck.dissect_tags = dissect, dissect_tags  # type: ignore[attr-defined]


def changes_of(clean: CleanRun, names: Sequence[str] = ()) -> dict[str, list[Change]]:
    """Rule -> its changes of a run, all of them."""
    return {
        name: list(maker(clean)) for name, (_, _, maker) in RULES.makers.items() if not names or name in names
    }


def sample(by_rule: dict[str, list[Change]], at_most: int, seed: int) -> list[Change]:
    """So many of them, spread over the rules: one of each, then another of each..."""
    chance = random.Random(seed)
    waiting = [chance.sample(changes, len(changes)) for changes in by_rule.values() if changes]
    chosen: list[Change] = []
    while len(chosen) < at_most and any(waiting):
        for changes in waiting:
            if changes and len(chosen) < at_most:
                chosen.append(changes.pop())
    return chosen


@dataclass(frozen=True)
class Trial:
    """A clean run, and what the judge says of it unchanged."""

    clean: CleanRun
    before: Judgement
    scratch: Path

    @staticmethod
    def of(folder: Path, scratch: Path) -> Trial:
        clean = CleanRun(folder)
        return Trial(clean, judged(folder), scratch)

    def of_change(self, change: Change) -> Result:
        """One change."""
        topology = self.clean.run.plan.topology
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            copy = self.clean.copy_to(Path(folder) / "run")
            change.apply(copy)
            copy.finish()
            said: tuple[Outcome, str]
            try:
                said = outcome(change, self.before, judged(copy.folder, copy.signalling))
            except RunError as error:
                said = ("found" if change.kind == "lost" else "missed"), f"refused: {error}"
        return Result(change.rule, change.kind, change.place, topology, *said)


TRIALS: list[tuple[Trial, Change]] = []
"""Of the parent; its children have them by fork, and get numbers."""


def _try_one(index: int) -> Result:
    trial, change = TRIALS[index]
    try:
        return trial.of_change(change)
    except Exception as error:  # the judge, or a rule, came to grief: that is an outcome, not the end
        topology = trial.clean.run.plan.topology
        words = f"{type(error).__name__}: {error}"
        return Result(change.rule, change.kind, change.place, topology, "missed", words)


def try_judge(
    folders: Sequence[Path],
    scratch: Path,
    at_most: int,
    seed: int = SEED,
    names: Sequence[str] = (),
    processes: int = PROCESSES,
) -> list[Result]:
    """Tries so many changes, divided between the runs."""
    TRIALS.clear()
    share = -(-at_most // len(folders))
    for number, folder in enumerate(folders):
        trial = Trial.of(folder, scratch)
        chosen = sample(changes_of(trial.clean, names), share, seed + number)
        TRIALS.extend((trial, change) for change in chosen)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return list(pool.imap(_try_one, range(len(TRIALS))))


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path, nargs="+")
    parser.add_argument("--at-most", type=int, default=100000)
    parser.add_argument("--rule", action="append", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, help="a page with the table's two marks")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--seed", type=int, default=SEED, help="of the sample")
    parser.add_argument("--all", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.run[0].parent) as scratch:
        results = try_judge(
            asked.run, Path(scratch), asked.at_most, asked.seed, asked.rule, processes=asked.processes
        )
    for result in results:
        if asked.all or result.outcome != "found":
            print(f"{result.outcome}: {result.rule} [{result.topology}, {result.place}] {result.words}")
    print(table(results))
    if asked.table:
        write_table(asked.table, results)
    if asked.json:
        asked.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    sys.exit(any(result.outcome != "found" for result in results))


if __name__ == "__main__":
    main()
