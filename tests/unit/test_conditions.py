"""Lines under weather, distance, users and surroundings: never better, and by the formulas that are named."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci import profile_table
from uclab.model import radio
from uclab.model.conditions import Conditions
from uclab.model.link_degradation import under
from uclab.model.profile import Direction, LinkProfile

PROFILES = {profile.profile: profile for profile in profile_table.profiles()}
WEATHER = ("clear", "rain", "storm")
SURROUNDINGS = ("open", "office", "walls")
WORDS = ("near", "medium", "far")
RADIOS = sorted(name for name, profile in PROFILES.items() if profile.radio)
MOBILE = ("mobile-3g", "mobile-4g", "mobile-5g")
KEYS = {
    "mobile": {"weather": st.integers(0, 2), "distance": st.floats(0.01, 50)},
    "satellite": {"weather": st.integers(0, 2), "distance": st.floats(1, 2)},
    "wifi": {
        "distance": st.floats(0.001, 0.2), "users": st.integers(1, 200), "surroundings": st.integers(0, 2),
    },
}  # fmt: skip
"""Severities of each condition; distances in km, a satellite's in altitudes."""


def written(kind: str, severity: dict[str, float], altitude_km: float) -> Conditions:
    """Conditions as a user writes them."""
    values: dict[str, Any] = dict(severity)
    if "weather" in values:
        values["weather"] = WEATHER[int(values["weather"])]
    if "surroundings" in values:
        values["surroundings"] = SURROUNDINGS[int(values["surroundings"])]
    length_km = values["distance"] * (altitude_km if kind == "satellite" else 1)
    values["distance"] = f"{length_km:.3f} km"
    return Conditions(**values)


def no_better(worse: Direction, better: Direction) -> bool:
    """Whether a direction is in nothing better than another."""
    return (
        worse.rate_kbps <= better.rate_kbps
        and worse.delay_ms >= better.delay_ms
        and worse.jitter_ms >= better.jitter_ms
        and worse.loss_pct >= better.loss_pct
    )


@pytest.mark.req("W4.1", "W4.3", "W4.4", "W7.1", "W7.2", "W7.3", "W7.4", "W8")
@given(data=st.data(), name=st.sampled_from(RADIOS))
def test_worse_conditions_make_nothing_better(data: st.DataObject, name: str) -> None:
    # given any radio profile under any conditions
    profile = PROFILES[name]
    assert profile.radio is not None
    kind, altitude = profile.radio.kind, profile.radio.altitude_km or 0.0
    first = {key: data.draw(values, key) for key, values in KEYS[kind].items()}
    # when one of them, or all, get worse
    second = {key: max(value, data.draw(KEYS[kind][key], f"{key} then")) for key, value in first.items()}
    before, after = (under(profile, written(kind, s, altitude)) for s in (first, second))
    # then neither direction is better in anything, nor better than the profile itself
    assert no_better(after.up, before.up)
    assert no_better(after.down, before.down)
    assert no_better(before.up, profile.up)
    assert no_better(before.down, profile.down)
    # and the line is one that a profile could describe
    for way in (after.up, after.down):
        assert way.rate_kbps >= 64
        assert way.jitter_ms <= way.delay_ms
        Direction.model_validate(way.model_dump())


@pytest.mark.req("W4.1", "W4.3", "W4.4")
@given(weather=st.sampled_from(WEATHER), distance=st.floats(0.001, 50))
def test_3g_is_never_better_than_4g_nor_4g_than_5g(weather: str, distance: float) -> None:
    # given the same weather at the same distance
    conditions = Conditions.model_validate({"weather": weather, "distance": f"{distance:.3f} km"})
    lines = [under(PROFILES[name], conditions) for name in MOBILE]
    # then each generation is at least as good as the one before, in both directions
    for older, newer in itertools.pairwise(lines):
        assert no_better(older.up, newer.up)
        assert no_better(older.down, newer.down)


@pytest.mark.req("W4.1", "W4.3", "W4.4", "W7.1", "W7.2", "W7.3", "W7.4", "W8")
@pytest.mark.parametrize(
    ("name", "conditions"),
    [
        *itertools.product(MOBILE, ({"weather": "rain"}, {"distance": "medium"})),
        *itertools.product(("satellite-leo", "satellite-geo"), ({"weather": "rain"},)),
        ("satellite-leo", {"distance": "far"}),
        *itertools.product(
            ("wifi-5ghz", "wifi-2-4ghz"), ({"users": 2}, {"distance": "far", "surroundings": "walls"})
        ),
    ],
)
def test_conditions_make_a_difference(name: str, conditions: dict[str, Any]) -> None:
    profile = PROFILES[name]
    assert under(profile, Conditions(**conditions)).down.rate_kbps < profile.down.rate_kbps


def test_no_conditions_and_best_conditions_are_the_profile_itself() -> None:
    for name in RADIOS:
        assert under(PROFILES[name], None) is PROFILES[name]
        assert under(PROFILES[name], Conditions(distance="near")).down == PROFILES[name].down
    # and a line that is no radio knows no weather
    assert under(PROFILES["dsl"], Conditions(weather="storm")) is PROFILES["dsl"]


def test_a_connections_conditions_go_before_those_of_its_profile() -> None:
    # given a profile that is far away in the rain
    far = PROFILES["mobile-4g"].model_copy(update={"conditions": Conditions(weather="rain", distance="far")})
    # then it is so without being told, and a connection that is near is near in the rain
    assert under(far, None) == under(far, Conditions(weather="rain", distance="far"))
    near = under(far, Conditions(distance="near"))
    assert near.down == under(PROFILES["mobile-4g"], Conditions(weather="rain")).down


def test_a_length_is_the_same_in_metres_and_kilometres() -> None:
    profile = PROFILES["mobile-5g"]
    for text in ("1500 m", "1.5 km", "1500m", "1.5km"):
        assert under(profile, Conditions(distance=text)) == under(profile, Conditions(distance="1.500 km"))


@pytest.mark.req("W8")
def test_rain_attenuates_as_in_itu_r_p_838() -> None:
    # given 12 GHz, horizontal polarisation, then k = 0.02386 and alpha = 1.1825
    assert radio.rain_db_km(12, 10) == pytest.approx(0.02386 * 10**1.1825)
    # and between two frequencies the attenuation is between theirs
    assert radio.rain_db_km(12, 25) < radio.rain_db_km(13.5, 25) < radio.rain_db_km(15, 25)
    assert radio.rain_db_km(12, 0) == 0


@pytest.mark.req("W8")
@given(altitude=st.floats(300, 36_000), elevation=st.floats(5, 90))
def test_elevation_and_distance_of_a_satellite_belong_together(altitude: float, elevation: float) -> None:
    distance = radio.slant_km(altitude, elevation)
    assert distance >= altitude - 1e-6
    # near the zenith the distance hardly depends on the elevation
    assert math.sin(math.radians(radio.elevation_deg(altitude, distance))) == pytest.approx(
        math.sin(math.radians(elevation)), abs=1e-6
    )


def test_geostationary_distances_are_the_known_ones() -> None:
    assert radio.slant_km(35_786, 90) == pytest.approx(35_786)
    assert radio.slant_km(35_786, 5) == pytest.approx(41_127, rel=0.001)


@pytest.mark.req("W7.3")
def test_stations_collide_as_bianchi_computed() -> None:
    # given window 16 and 6 doublings, then one station never collides, and the fixed point holds for many
    assert radio.collision_probability(1) == pytest.approx(0, abs=1e-9)
    for stations, known in ((5, 0.31), (10, 0.42), (50, 0.63)):
        assert radio.collision_probability(stations) == pytest.approx(known, abs=0.05)


@pytest.mark.req("W7.2")
def test_wifi_steps_down_its_modulation_with_the_signal() -> None:
    # given ever weaker signals, then the rate falls in the steps of the standard, to the coarsest modulation
    steps = {radio.wifi_rate_share(snr) for snr in range(-20, 50)}
    assert len(steps) == 10
    assert (min(steps), max(steps)) == (29.3 / 390, 1.0)
    # and 2.4 GHz reaches farther than 5 GHz, walls shorter than the open
    assert radio.wifi_snr_db(2.44, 20, "office") > radio.wifi_snr_db(5.2, 20, "office")
    assert radio.wifi_snr_db(5.2, 20, "open") > radio.wifi_snr_db(5.2, 20, "walls")


def test_profile_under_conditions_is_still_the_same_profile() -> None:
    worse = under(PROFILES["wifi-5ghz"], Conditions(users=20, surroundings="walls", distance="20 m"))
    assert isinstance(worse, LinkProfile)
    assert worse.profile == "wifi-5ghz"
    assert worse.down.bursts == PROFILES["wifi-5ghz"].down.bursts
