"""A crash of uclab's own is never taken for a verdict: its own exit status, one message, no traceback."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from uclab import api
from uclab.cli.judging import verdict_on
from uclab.cli.main import main

MESSAGE = "list index out of range"


def end_of(monkeypatch: pytest.MonkeyPatch, error: Exception) -> int:
    """The exit status of `uclab judge` where judging raises this."""

    def raises(run_dir: Path) -> None:
        raise error

    monkeypatch.setattr(api, "judge_again", raises)
    monkeypatch.setattr(sys, "argv", ["uclab", "judge", "runs/x"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.req("D3")
def test_a_crash_is_called_a_bug_and_its_details_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert end_of(monkeypatch, IndexError(MESSAGE)) == 70
    said = capsys.readouterr().err
    assert said.startswith(
        f"this is a bug in uclab, not in your network: IndexError: {MESSAGE}; the details are in"
    )
    assert "Traceback" not in said
    (details,) = tmp_path.iterdir()
    assert str(details) in said
    assert "Traceback" in details.read_text()
    assert "judge runs/x" in details.read_text()


def test_a_crash_is_called_a_bug_where_nothing_can_be_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert end_of(monkeypatch, IndexError(MESSAGE)) == 70
    assert capsys.readouterr().err.endswith("set UCLAB_DEBUG=1 to see the details\n")


def test_who_asks_for_details_gets_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UCLAB_DEBUG", "1")
    assert end_of(monkeypatch, IndexError(MESSAGE)) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.req("D3")
def test_a_file_that_cannot_be_written_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_of(monkeypatch, OSError(errno.ENOSPC, "no", "runs/x/report.html")) == 2
    assert capsys.readouterr().err == "runs/x/report.html: no space left on device\n"


@pytest.mark.req("D4")
@pytest.mark.parametrize(
    ("caught", "shown", "verdict"),
    [(True, True, "pass"), (False, True, "fail"), (False, False, "not-shown")],
)
def test_a_drill_that_could_show_nothing_has_not_failed(caught: bool, shown: bool, verdict: str) -> None:
    assert verdict_on(api.DrillResult("mark-bleached", caught, "", "runs/x", shown)) == verdict


@pytest.mark.req("D3")
def test_who_reads_only_the_beginning_does_not_change_the_exit_status() -> None:
    # given output that goes to a program which has ended, as `| head` does
    code = (
        "import sys\n"
        "from uclab.cli.console import Console, say\n"
        "console = Console()\n"
        "for _ in range(3000): console.print('x' * 70)\n"
        "say('the end')\n"
        "sys.exit(4)\n"
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.readline()
    program.stdout.close()
    with program.stderr:
        assert program.stderr.read() == b""
    assert program.wait() == 4
