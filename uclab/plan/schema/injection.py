"""Forged media: somebody which is in no call sends RTP to a media relay's ports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Injection:
    """What the intruder does, from the moment that captures run until the lab ends.

    A relay that learns from packets where a phone is sends that phone's media to whoever sent the last one.
    So an intruder knows by the answers which ports are in use.
    """

    source_node: str
    target_address: str
    """The relay's address for media."""
    ports: tuple[int, int]
    """UDP ports, lowest and highest; RTP has the even ones (RFC 3550 section 11)."""
    packets_per_s: int
    """To each port that has answered."""
    search_ms: int
    """Every port gets a packet this often, and counts as answering for three times as long."""
