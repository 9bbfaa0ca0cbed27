"""What one call takes in one direction: codec, RTP, SRTP and every header down to the wire (C8, Q2).

`(payload + 40 + tag + layer 2) * 8 / packet ms` kbit/s, for IPv4 without options (RFC 791, RFC 768,
RFC 3550).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from uclab.model.traffic import CallTraffic, Codec, SrtpSuite

Layer = Literal["ip", "line", "ethernet", "tagged", "wire"]
"""Where bytes are counted: IP packets; `line`: as Linux' HTB does, with Ethernet's header, without FCS; whole
Ethernet frames; such frames with an 802.1Q tag; those with preamble and gap, as a cable is occupied."""

LAYER_2_BYTES: dict[Layer, int] = {"ip": 0, "line": 14, "ethernet": 18, "tagged": 22, "wire": 42}
"""Bytes around an IP packet: header 14, FCS 4, tag 4, preamble 8 and gap 12 (IEEE 802.3, 802.1Q)."""
IP_UDP_RTP_BYTES = 20 + 8 + 12
TUNNEL_BYTES = 20 + 8 + 24 + 14
"""What an overlay's tunnel puts around each packet, as in captures of OpenVPN 2.6 with AES-GCM: IPv4 and UDP;
opcode with peer id, packet id and tag; the Ethernet header inside (TAP mode)."""
RTCP_INTERVAL_S = 5.0
"""A telephone call's RTCP is held back by the shortest interval, not by its share of the rate (RFC 3550
section 6.2)."""
RTCP_PACKET_BYTES = 20 + 8 + 52 + 32 + 14
"""IP, UDP, sender report with one block, source description with a short CNAME, SRTCP's index and 80-bit tag
(RFC 3550 sections 6.4.1 and 6.5, RFC 3711 section 3.4); as long as baresip's in captures."""

PORTS_A_CALL = 4
"""Media ports that a relay takes for one call: towards each side a pair, RTP on the even one and RTCP
(RFC 3550 section 11)."""
TAG_BYTES: dict[SrtpSuite, int] = {
    "AES_CM_128_HMAC_SHA1_80": 10,
    "AES_CM_128_HMAC_SHA1_32": 4,
    "AEAD_AES_128_GCM": 16,
    "AEAD_AES_256_GCM": 16,
}
"""SRTP's authentication tags (RFC 3711, RFC 4568, RFC 7714)."""
SIGNALLING_PACKET_BYTES = 400
"""Ethernet frame without FCS, on average over registrations and calls; 370 to 505 in captures of the lab's
phones."""
FIXED_RATE_KBPS: dict[Codec, int] = {"G711": 64, "G722": 64}
"""Codecs with one rate only (ITU-T G.711; G.722 as RFC 3551 carries it)."""


@dataclass(frozen=True)
class MediaStream:
    """One direction of one call."""

    codec: Codec
    payload_bytes: int
    packet_ms: int
    tag_bytes: int
    """SRTP's authentication tag; 0 for plain RTP."""
    tunnel_bytes: int = 0
    """`TUNNEL_BYTES` on a line that an overlay's tunnel runs over."""

    def media_kbps(self, layer: Layer) -> float:
        """RTP or SRTP alone, kbit/s."""
        packet = self.payload_bytes + IP_UDP_RTP_BYTES + self.tag_bytes + self.tunnel_bytes
        return (packet + LAYER_2_BYTES[layer]) * 8 / self.packet_ms

    def kbps(self, layer: Layer) -> float:
        """With the RTCP that belongs to it, kbit/s."""
        return self.media_kbps(layer) + rtcp_kbps(layer, self.tunnel_bytes)


def rtcp_kbps(layer: Layer, tunnel_bytes: int = 0) -> float:
    """One sender report with its source description every five seconds, kbit/s."""
    return (RTCP_PACKET_BYTES + tunnel_bytes + LAYER_2_BYTES[layer]) * 8 / RTCP_INTERVAL_S / 1000


def media_stream(traffic: CallTraffic, tunnel_bytes: int = 0) -> MediaStream:
    """The stream of one call with that codec, packet time and SRTP suite."""
    rate = FIXED_RATE_KBPS.get(traffic.codec, traffic.opus_kbps)
    return MediaStream(
        codec=traffic.codec,
        payload_bytes=math.ceil(rate * traffic.packet_ms / 8),
        packet_ms=traffic.packet_ms,
        tag_bytes=TAG_BYTES[traffic.srtp_suite],
        tunnel_bytes=tunnel_bytes,
    )


def signalling_kbps(traffic: CallTraffic, endpoints: int, spread_s: float, tunnel_bytes: int = 0) -> float:
    """The worst moment of a number of endpoints: all re-register within `spread_s` while calls go on as in
    the busy hour, kbit/s each way."""
    registering = traffic.registration_bytes * 8 / spread_s
    calling = traffic.calls_per_hour * traffic.call_bytes * 8 / 3600
    return endpoints * (registering + calling) / 1000 * (1 + tunnel_bytes / SIGNALLING_PACKET_BYTES)
