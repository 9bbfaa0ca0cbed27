"""What spans several values of a file: each check is a generator of mistakes over the places of a document."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.mistake import Mistake
from uclab.model.place import Place


def topology_mistakes(top: Place) -> Iterator[Mistake]:
    """Cross checks of a topology."""
    yield from ()


def profile_mistakes(top: Place) -> Iterator[Mistake]:
    """Cross checks of a link profile."""
    yield from ()


def policy_mistakes(top: Place) -> Iterator[Mistake]:
    """Cross checks of a policy."""
    yield from ()
