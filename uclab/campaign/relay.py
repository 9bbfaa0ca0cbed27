"""A port that leads to somewhere else: socat, with a program for each connection (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"""([\\:,!'"(){}\[\]])""")
"""What separates parts of socat's addresses (socat(1), ADDRESS SPECIFICATIONS)."""


def relay(address: str, port: int, command: Sequence[str]) -> list[str]:
    """The command line that listens at an address of its namespace; each connection there is the input and
    output of a `command`."""
    command_line = _SPECIAL.sub(r"\\\1", " ".join(command))
    return ["socat", f"TCP-LISTEN:{port},bind={address},fork,reuseaddr", f"EXEC:{command_line}"]


def towards(address: str, port: int) -> list[str]:
    """The command whose input and output are a connection."""
    return ["socat", "-", f"TCP:{address}:{port}"]
