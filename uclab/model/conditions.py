"""Weather, distance, users, surroundings: what makes a radio line worse than its profile (W4, W7, W8).

A profile's own numbers are those of the best conditions: clear, near, one user, open. Conditions never
improve anything, and each one alone makes nothing better when it gets worse.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from uclab.model.schema_types import StrictModel, says

DISTANCE = r"^(near|medium|far|[0-9]{1,6}(\.[0-9]{1,3})? ?k?m)$"

Distance = Annotated[
    str,
    StringConstraints(pattern=DISTANCE),
    says("`near`, `medium`, `far`, or a length such as `800 m` or `4.5 km`"),
]
"""To the base station, the satellite or the access point."""

RadioKind = Literal["mobile", "satellite", "wifi"]

MEANING: dict[RadioKind, tuple[str, ...]] = {
    "mobile": ("weather", "distance"),
    "satellite": ("weather", "distance"),
    "wifi": ("distance", "users", "surroundings"),
}
"""The conditions that mean something to each kind of radio."""


class Radio(StrictModel):
    """What kind of radio a line is: what its conditions do is computed from that."""

    kind: RadioKind
    frequency_ghz: float | None = Field(default=None, ge=0.4, le=60)
    """Carrier frequency, GHz; a satellite's and Wi-Fi's count."""
    altitude_km: float | None = Field(default=None, ge=160, le=40_000)
    """Height of a satellite's orbit, km."""


class Conditions(StrictModel):
    """What a line suffers from; the best where nothing is said."""

    weather: Literal["clear", "rain", "storm"] | None = None
    """Rain is 12 mm/h, a storm 50 mm/h."""
    distance: Distance | None = None
    users: int | None = Field(default=None, ge=1, le=200)
    """Stations at the access point that share its channel, this one counted."""
    surroundings: Literal["open", "office", "walls"] | None = None
    """What lies between station and access point."""

    def over(self, others: Conditions | None) -> Conditions:
        """These conditions, and others where these say nothing."""
        given = self.model_dump(exclude_none=True)
        return Conditions(**{**(others.model_dump(exclude_none=True) if others else {}), **given})


def metres(distance: str) -> float | None:
    """A length in metres; None where the distance is a word."""
    if distance in ("near", "medium", "far"):
        return None
    number = float(distance.rstrip("km "))
    return number * 1000 if distance.endswith("km") else number
