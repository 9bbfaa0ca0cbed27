"""The cloud dies with its process tree, whatever kills that."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from testbed.process_tree import descendants, left_after, namespaces
from tests.integration.cloud_played import ROOT, SCENE, SCENE_S

pytestmark = pytest.mark.root

GONE_S = 2.0


def test_killed_cloud_leaves_no_process_namespace_or_cgroup(tmp_path: Path) -> None:
    # given a cloud that is up, in nobody's cgroup but ours,
    with subprocess.Popen([*SCENE, "stand", str(tmp_path)], cwd=ROOT) as scene:
        began = time.monotonic()
        while not (tmp_path / "up").exists():
            assert scene.poll() is None
            assert time.monotonic() - began < SCENE_S
            time.sleep(0.05)
        processes = descendants(scene.pid)
        spaces = namespaces(process.pid for process in processes)
        assert any(process.command.startswith("kamailio") for process in processes)
        cgroups = {Path(f"/proc/{process.pid}/cgroup").read_text() for process in processes}
        assert cgroups == {Path("/proc/self/cgroup").read_text()}
        # when its process tree is killed at the root,
        scene.kill()
    # then nothing of it is left
    assert left_after(processes, spaces, GONE_S) == ([], frozenset())
