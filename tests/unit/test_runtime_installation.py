"""Where uclab is installed, and how its programs are started."""

from __future__ import annotations

import subprocess
from pathlib import Path

from uclab.runtime.installation import PACKAGES, module_command


def test_packages_lie_side_by_side() -> None:
    for name in ("uclab", "campaigns", "controllers", "endpoints_emu", "cloud_core"):
        assert (PACKAGES / name / "__init__.py").is_file()


def test_no_program_imports_from_the_folder_that_its_user_is_in(tmp_path: Path) -> None:
    # given a folder of a user's own with a package named as one of uclab's, and a module as one of Python's
    (tmp_path / "uclab").mkdir()
    for name in ("uclab/__init__.py", "pathlib.py"):
        (tmp_path / name).write_text("raise SystemExit('not this one')")
    command = module_command("uclab.runtime.installation")
    # when a program of uclab's is started there, then it gets what is installed
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    # and as `python -m` alone would start it, it would not
    command.remove("-P")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1
