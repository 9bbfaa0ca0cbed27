"""Files without a name, for extracts that another program reads."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from uclab.capture.scratch import unnamed_file


def test_another_program_reads_what_was_written_by_its_path() -> None:
    with unnamed_file() as path:
        path.write_bytes(b"frames")
        assert subprocess.run(["cat", str(path)], capture_output=True, check=True).stdout == b"frames"


@pytest.mark.req("D3")
def test_judge_that_is_killed_leaves_nothing_in_the_folder_of_temporary_files(tmp_path: Path) -> None:
    # given a program that has written an extract
    program = (
        "import time\nfrom uclab.capture.scratch import unnamed_file\n"
        "with unnamed_file() as path:\n path.write_bytes(bytes(1000))\n print(path, flush=True)\n"
        " time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={"TMPDIR": str(tmp_path)}, text=True
    ) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        assert path.stat().st_size == 1000
        # when it is killed, then there is nothing to tidy up, nor was there before
        assert list(tmp_path.iterdir()) == []
        process.send_signal(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []
    assert not path.exists()
