"""Which programs can play an endpoint, what each is able to, and where its driver is.

The plan chooses by what is declared here; the driver is code that starts processes, and is loaded by the lab
alone (entry points `uclab.user_agents`).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from uclab.declarations import Declarations


@dataclass(frozen=True)
class UserAgent:
    """A program that registers, calls and answers."""

    name: str
    driver: str
    """`module:function`, which makes a phone of (endpoint, runtime, folder, authorities' file)."""
    highest_tls: str
    """Version that it can speak, as `1.2`."""
    host_characters: int
    """Longest host name that it knows."""
    marks: bool
    """Whether it sets DSCP by itself; where it does not, its device does."""

    def load(self) -> Any:
        """The driver's function."""
        return EntryPoint(self.name, self.driver, "uclab.user_agents").load()


USER_AGENTS: Declarations[UserAgent] = Declarations("uclab.user_agents", "user agent")
"""All programs by name."""
