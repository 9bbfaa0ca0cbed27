"""Clean runs of `small-office` in a row, two labs beside each other: every one must pass.

`python -m tests.self_check.clean_runs 50 [FOLDER]` prints one line a run and a summary; exit status 1 where
one did not pass. Runs that passed are removed, the others are kept.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LABS = 2
UCLAB = Path(sys.executable).with_name("uclab")


def one_run(folder: Path) -> tuple[str, str]:
    """The verdict of one run, and the findings that do not hold."""
    began = time.monotonic()
    command = [str(UCLAB), "run", "small-office", "--out", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    took = f"{time.monotonic() - began:.0f} s"
    try:
        results = json.loads(done.stdout)
    except ValueError:
        return f"exit {done.returncode}", f"{took}; {done.stderr.strip()[-300:]}"
    held = ("pass", "not-applicable")
    bad = [
        f"{f['id']} {f['subject']}: {f['observed']}" for f in results["findings"] if f["verdict"] not in held
    ]
    return str(results["verdict"]), "; ".join((took, *bad))


def main(words: list[str]) -> int:
    """See above."""
    count = int(words[0]) if words else 50
    folder = Path(words[1]) if len(words) > 1 else Path(tempfile.mkdtemp(prefix="clean-runs-"))
    folder.mkdir(parents=True, exist_ok=True)
    runs = [folder / f"run-{number:02}" for number in range(1, count + 1)]
    verdicts: Counter[str] = Counter()
    with ThreadPoolExecutor(LABS) as labs:
        for run, (verdict, said) in zip(runs, labs.map(one_run, runs), strict=True):
            verdicts[verdict] += 1
            print(f"{run.name} {verdict.upper()} {said}", flush=True)
            if verdict == "pass":
                shutil.rmtree(run)
    print(", ".join(f"{number} {verdict.upper()}" for verdict, number in verdicts.most_common()))
    return int(verdicts["pass"] != count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
