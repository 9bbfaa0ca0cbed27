"""Formulas of radio lines: rain, path loss, rate by signal-to-noise ratio, contention. Pure numbers.

Distances in m or km, frequencies in GHz, fades and ratios in dB, as the names say.
"""

from __future__ import annotations

import itertools
import math

EARTH_KM = 6371.0
LIGHT_KM_MS = 299.792458
RAIN_HEIGHT_KM = 3.0
"""Height up to which it rains: uclab's own value for temperate latitudes (ITU-R P.839 has maps of it)."""

_RAIN = (
    (1, 2.59e-5, 0.9691), (2, 8.47e-5, 1.0664), (4, 1.071e-4, 1.6009), (6, 7.056e-4, 1.59),
    (8, 4.115e-3, 1.3905), (10, 0.01217, 1.2571), (12, 0.02386, 1.1825), (15, 0.04481, 1.1233),
    (20, 0.09164, 1.0568), (25, 0.1571, 0.9991), (30, 0.2403, 0.9485), (40, 0.4431, 0.8673),
    (60, 0.8606, 0.7656),
)  # fmt: skip
"""Frequency in GHz, k and alpha for horizontal polarisation (ITU-R P.838-3, table 5; its equations 2 and 3
give the same to all places)."""

_MCS = ((2, 29.3), (5, 58.5), (9, 87.8), (11, 117.0), (15, 175.5), (18, 234.0), (20, 263.3), (25, 292.5),
        (29, 351.0), (31, 390.0))  # fmt: skip
"""Signal-to-noise ratio that a modulation needs, dB, and its rate in Mbit/s (IEEE 802.11ac, 80 MHz, one
stream, long guard interval). The ratios are no standard's, but those widely published for 20 MHz (hostap has
them in `scan.c`). For 80 MHz it says 6 dB more, against the noise of 20 MHz; here the noise is that of 80."""
_WIFI_POWER_DBM, _WIFI_NOISE_DBM = 20.0, -88.0
"""Radiated by the access point: EN 300 328's limit at 2.4 GHz, below EN 301 893's 23 dBm at 5.2 GHz. Thermal
noise of 80 MHz (-174 dBm/Hz) with a noise figure of 7 dB, which is an assumption."""
_EXPONENT = {"open": 2.0, "office": 3.0, "walls": 4.0}
"""Of the path's loss with distance: free space; an office floor (ten times 3.0 to 3.1 in those editions of
ITU-R P.1238 that have one coefficient); through walls, uclab's own."""

_WINDOW, _DOUBLINGS, _RETRIES = 16, 6, 7
"""Least contention window, doublings of it, transmissions of a frame (IEEE 802.11, OFDM)."""


def rain_db_km(frequency_ghz: float, rain_mm_h: float) -> float:
    """Specific attenuation by rain (ITU-R P.838-3: k R^alpha), dB/km; between the table's frequencies log k
    by log f, alpha by log f."""
    if rain_mm_h <= 0:
        return 0.0
    at = min(max(frequency_ghz, _RAIN[0][0]), _RAIN[-1][0])
    for (low, k_low, a_low), (high, k_high, a_high) in itertools.pairwise(_RAIN):
        if at <= high:
            share = math.log(at / low) / math.log(high / low)
            k = k_low * (k_high / k_low) ** share
            return float(k * rain_mm_h ** (a_low + share * (a_high - a_low)))
    raise AssertionError("the table ends at its highest frequency")


def slant_km(altitude_km: float, elevation_deg: float) -> float:
    """Distance to a satellite seen at that elevation, on a round Earth."""
    up = EARTH_KM * math.sin(math.radians(elevation_deg))
    return math.sqrt(up * up + 2 * EARTH_KM * altitude_km + altitude_km**2) - up


def elevation_deg(altitude_km: float, distance_km: float) -> float:
    """Elevation at which a satellite at that distance is seen: `slant_km` the other way round."""
    sine = (altitude_km**2 + 2 * EARTH_KM * altitude_km - distance_km**2) / (2 * EARTH_KM * distance_km)
    return math.degrees(math.asin(min(1.0, max(-1.0, sine))))


def slant_rain_db(frequency_ghz: float, rain_mm_h: float, elevation: float) -> float:
    """Fade of a satellite's signal by rain: specific attenuation along the slant path below the rain's
    height, reduced because heavy rain is local: 35 exp(-0.015 R) km wide, as ITU-R P.530 long had it for
    paths on the ground. P.618 reduces by a longer formula, for the rain of 0.01 % of a year."""
    path = RAIN_HEIGHT_KM / math.sin(math.radians(max(elevation, 5.0)))
    along = path * math.cos(math.radians(elevation))
    reduction = 1 / (1 + along / (35 * math.exp(-0.015 * rain_mm_h)))
    return rain_db_km(frequency_ghz, rain_mm_h) * path * reduction


def rate_share(snr_db: float, full_db: float) -> float:
    """Rate at a signal-to-noise ratio, as a share of that at `full_db`, above which the modulation gets no
    finer: Shannon's log2(1 + SNR), truncated (as 3GPP TR 36.942, annex A, models links; its factor cancels
    out)."""
    return math.log2(1 + 10 ** (min(snr_db, full_db) / 10)) / math.log2(1 + 10 ** (full_db / 10))


def wifi_snr_db(frequency_ghz: float, distance_m: float, surroundings: str) -> float:
    """Signal-to-noise ratio of Wi-Fi: free space for the first metre (20 log f + 32.4), then by distance to
    the surroundings' exponent."""
    first_metre = 20 * math.log10(frequency_ghz) + 32.4
    loss = first_metre + 10 * _EXPONENT[surroundings] * math.log10(max(1.0, distance_m))
    return _WIFI_POWER_DBM - loss - _WIFI_NOISE_DBM


def wifi_rate_share(snr_db: float) -> float:
    """Rate of the finest modulation that the signal allows, as a share of the finest there is; the coarsest
    one's where none does."""
    return max((rate for needs, rate in _MCS if needs <= snr_db), default=_MCS[0][1]) / _MCS[-1][1]


def wifi_shortfall_db(snr_db: float) -> float:
    """How much the coarsest modulation lacks."""
    return max(0.0, _MCS[0][0] - snr_db)


def collision_probability(stations: float) -> float:
    """Chance that a transmission collides where so many stations always have something to send: the fixed
    point of Bianchi, Performance Analysis of the IEEE 802.11 DCF, 2000, equations 7 and 9.
    Bianchi's stations never give up a frame."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if 1 - (1 - _attempts(middle)) ** max(0.0, stations - 1) > middle:
            low = middle
        else:
            high = middle
    return low


def lost_by_collisions(probability: float) -> float:
    """Share of frames whose every transmission collides."""
    return float(probability**_RETRIES)


def _attempts(collision: float) -> float:
    """Chance that a station transmits in a slot (equation 7, in the form without 0/0 at 1/2)."""
    doubled = sum((2 * collision) ** stage for stage in range(_DOUBLINGS))
    return 2 / (1 + _WINDOW + collision * _WINDOW * doubled)
