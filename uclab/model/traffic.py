"""How much is called, and with which codec: what the capacity of a WAN line is computed with (C8, Q2).

All of it is optional. A policy says what its provider's phones do; a site says where it differs.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uclab.model.schema_types import StrictModel

Codec = Literal["G711", "G722", "Opus"]
SrtpSuite = Literal[
    "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"
]
PacketMs = Literal[10, 20, 30, 40, 60]


class CallTraffic(StrictModel):
    """What calls put on a line."""

    codec: Codec = "G711"
    """Codec of all calls: G.711 and G.722 with 64 kbit/s, Opus with `opus_kbps`."""
    opus_kbps: int = Field(default=32, ge=6, le=510)
    """Rate of Opus, kbit/s (RFC 6716 section 2.1.1); constant, without DTX."""
    packet_ms: PacketMs = 20
    """Speech in one RTP packet, ms."""
    srtp_suite: SrtpSuite = "AES_CM_128_HMAC_SHA1_80"
    """SRTP's authentication tag lengthens each packet: 10, 4 or (AEAD) 16 bytes (RFC 4568, RFC 7714)."""
    simultaneous_pct: int = Field(default=100, ge=1, le=100)
    """Share of a site's endpoints that are in a call at the busiest moment, per cent."""
    calls_per_hour: int = Field(default=6, ge=0, le=3600)
    """Calls that an endpoint takes part in during the busy hour; for the signalling."""
    call_bytes: int = Field(default=4000, ge=0, le=1_000_000)
    """Signalling of one endpoint's call from set-up to end, each way, bytes of Ethernet frames without
    FCS."""
    registration_bytes: int = Field(default=5000, ge=0, le=1_000_000)
    """A registration with its TLS handshake, each way, bytes of Ethernet frames without FCS."""
    registration_spread_s: int | None = Field(default=None, ge=1, le=86400)
    """Seconds over which all endpoints of a site re-register after the line was down; as the policy's
    `registration` has it where absent."""


class SiteTraffic(StrictModel):
    """Where a site's calls differ from what the policy says."""

    codec: Codec | None = None
    """Codec of the site's calls; the policy's where absent."""
    simultaneous_pct: int | None = Field(default=None, ge=1, le=100)
    """Share of the site's endpoints in a call at the busiest moment, per cent; the policy's where absent."""

    def over(self, general: CallTraffic) -> CallTraffic:
        """The policy's values with the site's in their place."""
        return general.model_copy(update=self.model_dump(exclude_none=True))
