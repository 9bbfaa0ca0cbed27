"""What the documentation tells its reader to do in a lab is done, in its order.

What needs no lab is in tests/unit/test_docs.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.labs import UclabCommand
from tests.unit import pages

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

REGISTERED_AGAIN_S = 30.0
SHOWN_ELSEWHERE = {"doctor", "run"}
"""`run`: test_reference_run; `doctor`: tests/unit/test_docs.py."""


def test_the_first_lab_step_by_step(tmp_path: Path) -> None:
    # given the commands of the page
    programs = Path(sys.executable).parent
    environment = {**UclabCommand(tmp_path).environment, "PATH": f"{programs}:{os.environ['PATH']}"}
    steps = [command for command in pages.commands() if command.page == "docs/quickstart.md"]
    assert {"up", "call", "exec", "inspect", "fail", "heal", "down", "judge"} <= {s.words[1] for s in steps}
    # when they are run in order, then each ends as the page says
    try:
        for step in steps:
            if step.words[0] not in ("uclab", "tshark") or step.words[1] in SHOWN_ELSEWHERE:
                continue
            until = time.monotonic() + REGISTERED_AGAIN_S
            done = None
            # a phone that lost its line needs some seconds to re-register, as the page says
            while done is None or ("Not Registered" in done.stderr and time.monotonic() < until):
                done = subprocess.run(
                    step.words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=200
                )
            # a machine too slow for it shows less, and says so
            slow = done.returncode == 4 and "The machine was too busy" in done.stdout
            assert slow or done.returncode == step.status, (
                f"{step}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            )
    finally:
        subprocess.run(["uclab", "down"], env=environment, cwd=tmp_path, capture_output=True, timeout=60)


@pytest.mark.req("D10")
def test_the_first_pytest_example_passes_on_the_site_of_the_readme(tmp_path: Path) -> None:
    # given a user's folder with the README's site, the first example, and a test that must fail
    (site,) = [block.text for block in pages.blocks("yaml") if block.page == "README.md"]
    example = next(block.text for block in pages.blocks("python") if block.page == "docs/testing.md")
    (tmp_path / "my-site.yaml").write_text(site)
    (tmp_path / "test_site.py").write_text(
        f"{example}\n\ndef test_that_fails(lab):\n    assert lab.call('desk2', 'soft1', seconds=1).mos > 5\n"
    )
    # when pytest runs there
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--uclab-runs", "kept", "test_site.py"],
        env=UclabCommand(tmp_path).environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
    )
    # then the example passes, the other one fails and says where its evidence lies, and the lab is gone
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    (kept,) = (tmp_path / "kept").iterdir()
    assert f"captures, logs and key log are kept in {kept}" in done.stdout.replace(
        "kept in kept/", f"kept in {tmp_path}/kept/"
    )
    assert list((kept / "captures").glob("*.pcapng"))
    assert UclabCommand(tmp_path).json("ls") == []
