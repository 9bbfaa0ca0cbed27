"""`uclab setup`: what is said, and the exit statuses. The scripts are played."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from uclab import setup
from uclab.setup import SetupFailed, SetupRefused, missing, set_up


def script(folder: Path, text: str) -> Path:
    """A shell script."""
    path = folder / "setup.sh"
    path.write_text(text)
    return path


def test_each_thing_done_is_said(tmp_path: Path) -> None:
    said: list[str] = []

    set_up(said.append, script(tmp_path, "echo '== building an image' >&2; echo 'Get:1 a package'"))

    assert said == ["building an image", "Get:1 a package"]


def test_nothing_is_said_where_nothing_was_missing(tmp_path: Path) -> None:
    said: list[str] = []

    set_up(said.append, script(tmp_path, "exit 0"))

    assert said == []


def test_what_is_missing_is_asked_of_the_script_that_would_make_it(tmp_path: Path) -> None:
    asked = script(tmp_path, 'if [ -n "$UCLAB_SETUP_CHECK" ]; then echo "to do: install socat"; fi')

    assert missing(asked) == ("install socat",)


@pytest.mark.parametrize(("status", "error"), [(2, SetupRefused), (1, SetupFailed)])
def test_complaint_of_the_script_is_the_error(tmp_path: Path, status: int, error: type[Exception]) -> None:
    said: list[str] = []
    failing = script(tmp_path, f"echo 'setup: no image' >&2; echo 'setup: failed: images'; exit {status}")

    with pytest.raises(error, match=r"^failed: images$"):
        set_up(said.append, failing)

    assert said == ["no image"]  # what a part complained of stays to be read


def test_script_that_dies_without_a_word_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match=r"setup\.sh ended with status 7"):
        set_up(lambda line: None, script(tmp_path, "exit 7"))


def test_interrupt_waits_until_the_script_has_cleaned_up(tmp_path: Path) -> None:
    # given a set-up that has begun to build something
    building = script(
        tmp_path,
        f"trap 'kill $!; rm {tmp_path}/half; exit 143' TERM; touch {tmp_path}/half\n"
        "sleep 60 & echo begun; wait $!",
    )

    def interrupt(line: str) -> None:
        if line == "begun":
            raise KeyboardInterrupt

    # when Ctrl-C is pressed, then the script has ended before uclab does, and nothing half made is left
    with pytest.raises(KeyboardInterrupt):
        set_up(interrupt, building)
    assert not (tmp_path / "half").exists()


def on_a_machine(folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """`uclab setup` by the real script where PATH has nothing but a shell's own programs and these."""
    for name in ("bash", "dirname", "sed"):
        (folder / name).symlink_to(next(Path(f"{top}/{name}") for top in ("/usr/bin", "/bin")))
    for name, text in programs.items():
        (folder / name).write_text(f"#!/usr/bin/env -S {folder}/bash\n{text}\n")
        (folder / name).chmod(0o755)
    return subprocess.run(
        [sys.executable, "-c", "from uclab.cli.main import main; main()", "setup"],
        env={"PATH": str(folder), "UCLAB_STATE": str(folder / "state")},
        cwd=setup.SCRIPT.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def test_user_who_is_not_root_is_told_how_to_be(tmp_path: Path) -> None:
    done = on_a_machine(tmp_path, id="echo 1000")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("this needs root, for it installs packages and builds images: `sudo ")
    assert not (tmp_path / "state").exists()


def test_machine_without_apt_is_told_what_is_needed(tmp_path: Path) -> None:
    done = on_a_machine(tmp_path, id="echo 0")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "this needs apt: Debian 12, Debian 13 or Ubuntu 24.04\n"
    assert not (tmp_path / "state").exists()
