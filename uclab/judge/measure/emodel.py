"""Quality of voice by the E-model, ITU-T G.107 in its reduced form for packet networks (defaults R0 - Is =
93.2)."""

from __future__ import annotations

from dataclasses import dataclass

from uclab.plan.load.record import OPUS_PAYLOAD

R_DEFAULT = 93.2
"""Basic signal-to-noise ratio less simultaneous impairments, all parameters of G.107 at their default."""


@dataclass(frozen=True)
class Codec:
    """Equipment impairment of a codec (ITU-T G.113 appendix I)."""

    name: str
    ie: float
    """Impairment without loss."""
    bpl: float
    """Robustness against random loss."""
    packet_ms: float = 20.0
    clock_hz: int = 8000


G711 = Codec("G.711 with loss concealment", ie=0.0, bpl=25.1)
G711_PLAIN = Codec("G.711 without loss concealment", ie=0.0, bpl=4.3)
OPUS = Codec("Opus, rated like G.711", ie=0.0, bpl=25.1, clock_hz=48_000)
"""There is no ITU value for Opus; its clock is RFC 7587's."""
BY_PAYLOAD_TYPE = {0: G711, 8: G711, OPUS_PAYLOAD: OPUS}
"""Static payload types of RFC 3551, and what load generators send; other types are rated like G.711."""


def r_factor(delay_ms: float, loss_pct: float, codec: Codec = G711, burst_r: float = 1.0) -> float:
    """Transmission rating R for a mouth-to-ear delay in ms, a packet loss in percent and a burst ratio (1:
    random)."""
    if delay_ms < 0 or not 0 <= loss_pct <= 100 or burst_r < 1:
        raise ValueError(f"E-model: delay {delay_ms} ms, loss {loss_pct} %, burst ratio {burst_r}")
    delay_impairment = 0.024 * delay_ms + (0.11 * (delay_ms - 177.3) if delay_ms > 177.3 else 0.0)
    loss_impairment = codec.ie + (95.0 - codec.ie) * loss_pct / (loss_pct / burst_r + codec.bpl)
    return R_DEFAULT - delay_impairment - loss_impairment


def mos(r: float) -> float:
    """Mean opinion score (1..4.5) of a rating R (G.107 annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r))
