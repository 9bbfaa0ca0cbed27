"""Attacks on a session controller from the internet, for drills: what an attacker is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AttackKind = Literal["connections", "half-open", "guesses"]


@dataclass(frozen=True)
class Attack:
    """One attacker with one address. It goes on for as long as the lab is up."""

    kind: AttackKind
    """`connections`: TLS connections on which nothing is said; `half-open`: TCP without TLS; both opened
    again when they are closed. `guesses`: one password after the other for an account."""
    source_node: str
    target_address: str
    target_port: int
    host_name: str
    """By which the session controller shows its certificate."""
    domain: str
    count: int
    """Connections at once, or guesses altogether."""
    user: str
    """Whose password is guessed."""
