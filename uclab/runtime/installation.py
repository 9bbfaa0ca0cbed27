"""Where uclab is installed, and how its programs are started from wherever its user is."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2]
"""The folder that holds `uclab`, `campaigns`, `controllers`, `endpoints_emu` and `cloud_core`: the checkout,
or the environment's site-packages."""

IMPORTING = {"PYTHONPATH": str(PACKAGES)}
"""Environment in which the packages can be imported where nothing else says where they are."""


def module_command(module: str, *arguments: str, python: str = sys.executable) -> list[str]:
    """The command line of a module as a program, in uclab's own Python.

    `-P`: the current folder, which is the user's, is no place to import from. A `controllers/` or a `json.py`
    that happens to be there must not take the place of what a lab is made of.
    """
    return [python, "-P", "-m", module, *arguments]
