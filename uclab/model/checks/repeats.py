"""Values that must not be given twice."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from uclab.model.mistake import Mistake, shown
from uclab.model.place import Place


def repeats(places: Iterable[tuple[Hashable | None, Place]], what: str, allowed: str) -> Iterator[Mistake]:
    """A mistake for each value after the first that equals an earlier one; None equals nothing."""
    first: dict[Hashable, Place] = {}
    for value, place in places:
        if value is None:
            continue
        if value in first:
            yield place.mistake(
                f"{what} {shown(value)} is given already on line {first[value].line}", allowed
            )
        else:
            first[value] = place
