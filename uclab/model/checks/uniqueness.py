"""Values that must not be given twice."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from uclab.model.diagnostic import Diagnostic, shown
from uclab.model.yaml_location import YamlLocation


def repeats(
    places: Iterable[tuple[Hashable | None, YamlLocation]], what: str, allowed: str
) -> Iterator[Diagnostic]:
    """A mistake for each value after the first that equals an earlier one; None equals nothing."""
    first: dict[Hashable, YamlLocation] = {}
    for value, place in places:
        if value is None:
            continue
        if value in first:
            yield place.mistake(
                f"{what} {shown(value)} is given already on line {first[value].line}", allowed
            )
        else:
            first[value] = place
