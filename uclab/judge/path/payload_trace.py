"""Where on its way the payload of a media packet was changed: asked only where one does not authenticate, so
the captures are read once more, for these packets alone.

A packet of SRTP is known by SSRC, sequence number and time stamp, one of SRTCP by SSRC and index (RFC 3711
sections 3.1 and 3.4); its bytes stay what they are on the way to or from a session controller.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence

import numpy as np

from uclab.capture.headers import decode
from uclab.capture.packets import MalformedCapture
from uclab.capture.pcapng import PcapngReader
from uclab.judge.evidence.network import LEGS, Leg
from uclab.judge.measure.flows import media_rows
from uclab.judge.measure.run_evidence import RunEvidence
from uclab.judge.measure.srtp import Authentication, traced
from uclab.judge.path.hop_trace import blame_between

SAMPLE = 3
"""Packets that are followed."""


def changed_between(
    evidence: RunEvidence, failed: Authentication, way: Sequence[str]
) -> tuple[str, str] | None:
    """The last tap that had a packet as it was sent, and the first that had it otherwise; None where it was
    so from the first tap on, or where it was seen at that one alone. `way` is in the order of the leg."""
    seen = _checksums(evidence, failed)
    for checksums in seen.values():
        taps = [tap for tap in way if tap in checksums]
        for before, at in itertools.pairwise(taps):
            if checksums[before] != checksums[at]:
                return before, at
    return None


def changer(evidence: RunEvidence, failed: Authentication, way: Sequence[str]) -> tuple[str, str] | None:
    """Who changed it, and where in words."""
    between = changed_between(evidence, failed, way)
    if between is None:
        return None
    before, at = between
    return blame_between(evidence.network, before, at), f"unchanged up to {before}, changed at {at}"


def _checksums(evidence: RunEvidence, failed: Authentication) -> dict[bytes, dict[str, int]]:
    """Identity of a packet -> tap -> CRC-32 of its payload, the first time that it passed."""
    wanted, found = set(failed.failed_ids[:SAMPLE]), dict[bytes, dict[str, int]]()
    for path in evidence.run.captures:
        reader = PcapngReader(path)
        try:
            for packets in reader:
                columns = decode(packets)
                media, control, leg = media_rows(
                    columns, evidence.network.media_addresses, evidence.network.site_prefixes
                )
                rows = control & (columns.control_ssrc == failed.ssrc) if failed.control else media
                rows &= leg == LEGS.index(failed.leg)
                if not failed.control:
                    rows &= columns.ssrc == failed.ssrc
                for row in np.flatnonzero(rows).tolist():
                    start, length = int(columns.payload[row]), int(columns.payload_len[row])
                    packet = packets.data[start : start + length].tobytes()
                    identity = traced(packet, failed.control)
                    if length == columns.payload_wire[row] and identity in wanted:
                        name = reader.interfaces[int(packets.interface[row])].name
                        tap = evidence.run.label(path.stem, name)
                        found.setdefault(identity, {}).setdefault(tap, zlib.crc32(packet))
        except MalformedCapture:
            continue  # it was read as far as that goes; `capture.complete` says so
    return found


def way_of(evidence: RunEvidence, leg: Leg, sender: str, receiver: str) -> list[str]:
    """The planned taps of a leg of a call's direction, in the order in which its packets pass them."""
    path = evidence.network.path_of.get(sender if leg != "down" else receiver)
    taps = [hop.tap for hop in path.hops] if path is not None else []
    return taps[::-1] if leg == "down" else taps
