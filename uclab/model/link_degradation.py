"""A link profile under conditions: a worse link profile (W4, W7, W8). Pure.

The formulas are `uclab.model.radio`'s; the constants here are uclab's own reference values, and those that
follow a source name it. docs/profiles.md prints the results.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from uclab.model import radio
from uclab.model.conditions import Conditions, Radio, metres
from uclab.model.profile import Direction, LinkProfile

RAIN_MM_H = {"clear": 0.0, "rain": 12.0, "storm": 50.0}
WET_LEAVES_DB = {"clear": 0.0, "rain": 3.0, "storm": 6.0}
"""What wet trees on the way to a base station add; rain itself is below 0.2 dB at mobile frequencies and
distances (0.06 dB/km at 4 GHz in a storm, by `radio.rain_db_km`)."""
MOBILE_M = {"near": 500.0, "medium": 1000.0, "far": 2000.0}
WIFI_M = {"near": 5.0, "medium": 20.0, "far": 40.0}
ELEVATION_DEG = {"near": 90.0, "medium": 45.0, "far": 20.0}
LOWEST_ELEVATION_DEG = 5.0
MOBILE_DB_PER_DECADE = 37.6
"""Path loss of a macro cell in a city at 2 GHz, 128.1 + 37.6 log10 of the distance in km (3GPP TR 36.942)."""
MOBILE_FULL_DB = 22.0
"""Signal-to-noise ratio of a profile's own rate: where TR 36.942's model of LTE's downlink (annex A) reaches
its highest, 0.6 log2(1 + SNR) = 4.4 bit/s/Hz."""
SATELLITE_FULL_DB = 10.0
"""The same of a satellite at its zenith: DVB-S2's 16APSK 3/4 needs 10.2 dB (EN 302 307-1, Es/N0)."""
HARQ_MS = 8.0
"""A retransmission round of LTE (FDD): eight subframes of 1 ms (HARQ, 3GPP TS 36.321). That a block needs two
where nothing is left of the rate is uclab's own assumption."""
FADE_LOSS_PCT = 5.0
"""What is lost in spite of retransmissions where nothing is left of the rate."""
ACTIVE_SHARE = 0.3
"""Of the other Wi-Fi users, those that have something to send."""
TURN_MS = 1.5
"""A turn of another station on the channel: one aggregated frame."""
LEAST_KBPS = 64


@dataclass(frozen=True)
class Degradation:
    """What conditions do to both directions of a line."""

    rate_share: float = 1.0
    more_delay_ms: float = 0.0
    more_jitter_ms: float = 0.0
    more_loss_pct: float = 0.0


def under(profile: LinkProfile, own: Conditions | None) -> LinkProfile:
    """The profile under a connection's conditions and its own; itself where there are none, or where it is no
    radio."""
    conditions = (own or Conditions()).over(profile.conditions)
    if profile.radio is None or conditions == Conditions():
        return profile
    suffering = of(profile.radio, conditions)
    worse = {"up": _worse(profile.up, suffering), "down": _worse(profile.down, suffering)}
    return profile.model_copy(update=worse)


def of(line: Radio, conditions: Conditions) -> Degradation:
    """What a kind of radio suffers under conditions."""
    weather, distance = conditions.weather or "clear", conditions.distance or "near"
    match line.kind:
        case "mobile":
            return _mobile(weather, distance)
        case "satellite":
            return _satellite(line, weather, distance)
    return _wifi(line, distance, conditions.users or 1, conditions.surroundings or "open")


def _mobile(weather: str, distance: str) -> Degradation:
    length = metres(distance) or MOBILE_M.get(distance, 0.0)
    path_db = MOBILE_DB_PER_DECADE * math.log10(max(1.0, length / MOBILE_M["near"]))
    fade_db = path_db + WET_LEAVES_DB[weather]
    lacking = 1 - radio.rate_share(MOBILE_FULL_DB - fade_db, MOBILE_FULL_DB)
    return Degradation(1 - lacking, 2 * HARQ_MS * lacking, HARQ_MS * lacking, FADE_LOSS_PCT * lacking**2)


def _satellite(line: Radio, weather: str, distance: str) -> Degradation:
    altitude = line.altitude_km or 550.0
    given = metres(distance)
    if given is None:
        elevation = ELEVATION_DEG[distance]
        slant = radio.slant_km(altitude, elevation)
    else:
        slant = min(max(given / 1000, altitude), radio.slant_km(altitude, LOWEST_ELEVATION_DEG))
        elevation = radio.elevation_deg(altitude, slant)
    rain_db = radio.slant_rain_db(line.frequency_ghz or 12.0, RAIN_MM_H[weather], elevation)
    fade_db = 20 * math.log10(slant / altitude) + rain_db
    lacking = 1 - radio.rate_share(SATELLITE_FULL_DB - fade_db, SATELLITE_FULL_DB)
    return Degradation(1 - lacking, (slant - altitude) / radio.LIGHT_KM_MS, 0.0, FADE_LOSS_PCT * lacking**2)


def _wifi(line: Radio, distance: str, users: int, surroundings: str) -> Degradation:
    length = metres(distance) or WIFI_M.get(distance, 0.0)
    snr_db = radio.wifi_snr_db(line.frequency_ghz or 5.2, max(length, WIFI_M["near"]), surroundings)
    share = radio.wifi_rate_share(snr_db)
    others = ACTIVE_SHARE * (users - 1)
    collision = radio.collision_probability(1 + others)
    wait_ms = TURN_MS * others / (1 - collision)
    air_ms = 0.3 * (
        1 / share - 1
    )  # a full packet at the finest modulation's rate takes 0.3 ms with its frame
    lost_pct = 100 * radio.lost_by_collisions(collision) + 5 * radio.wifi_shortfall_db(snr_db)
    return Degradation(share / (1 + others), wait_ms + air_ms, wait_ms + air_ms, lost_pct)


def _worse(direction: Direction, by: Degradation) -> Direction:
    """A direction that suffers, within what a profile may say."""
    delay_ms = min(5000.0, direction.delay_ms + by.more_delay_ms)
    widest_ms = delay_ms / math.sqrt(3) if direction.jitter_distribution == "uniform" else delay_ms
    return direction.model_copy(
        update={
            "rate_kbps": min(direction.rate_kbps, max(LEAST_KBPS, int(direction.rate_kbps * by.rate_share))),
            "delay_ms": round(delay_ms, 3),
            "jitter_ms": round(min(1000.0, widest_ms, direction.jitter_ms + by.more_jitter_ms), 3),
            "loss_pct": round(min(100.0, direction.loss_pct + by.more_loss_pct), 4),
        }
    )
