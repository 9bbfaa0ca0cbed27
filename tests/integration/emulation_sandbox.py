"""Runs a scene of the emulation's tests in network, mount and PID namespaces of its own and brings back what
it measured.

A scene is an async function in `emulation_scenes`; its result travels as JSON. Whatever it started dies with
its PID namespace, also when it fails or hangs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def play(
    scene: str, folder: Path, *args: str, timeout_s: float = 90.0, module: str = "emulation_scenes"
) -> dict[str, Any]:
    """Play `scene` of `module` with its run directory at `folder`; raises with the scene's own words where it
    fails."""
    assert shutil.which("unshare"), "util-linux is missing"
    result = folder / f"{scene}.json"
    command = [
        *UNSHARE,
        sys.executable,
        "-m",
        f"tests.integration.{module}",
        scene,
        str(folder),
        str(result),
        *args,
    ]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise AssertionError(f"scene {scene} failed:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
    measured: dict[str, Any] = json.loads(result.read_text())
    return measured
