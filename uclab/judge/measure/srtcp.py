"""Proof that RTCP is authentic (SRTCP, RFC 3711 section 3.4): libsrtp checks it with the keys of the media
to which it belongs.

Some endpoints send RTCP before their SRTP session stands and after it has gone: baresip 1.0 and 1.1 open the
way through NAT by an APP packet in clear, and end a call by a BYE in clear. A relay that keeps to SRTP drops
both. They hold no report, so they are counted apart, and only on the way to the session controller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from uclab.capture.headers import RTCP_TYPES, Headers, Mask
from uclab.capture.packets import Packets
from uclab.judge.evidence.network import LEGS, Leg
from uclab.judge.measure.srtp import Authentication, KeyRing

WITHOUT_REPORT = {202: "SDES", 203: "BYE", 204: "APP"}
"""Packet types that tell nothing of what was sent and heard (RFC 3550 section 12.1)."""


def clear_types(packet: bytes) -> tuple[int, ...] | None:
    """Packet types of RTCP in clear: packets one behind the other that fill it to its last byte (RFC 3550
    section 6.1). None for SRTCP, which has an index and a tag behind them."""
    types: list[int] = []
    at = 0
    while at + 4 <= len(packet):
        if packet[at] >> 6 != 2 or not RTCP_TYPES[0] <= packet[at + 1] <= RTCP_TYPES[1]:
            return None
        types.append(packet[at + 1])
        at += 4 * (int.from_bytes(packet[at + 2 : at + 4], "big") + 1)
    return tuple(types) if at == len(packet) else None


@dataclass
class ControlSecrecy:
    """Collects over batches."""

    ring: KeyRing
    proof_taps: frozenset[str]
    """Where packets are authenticated: endpoints' and session controllers' own interfaces."""
    sampled: bool = False
    """At every tap, as with media of a campaign; in any case only where the keys are known."""
    authentications: dict[tuple[str, Leg, int, int], Authentication] = field(default_factory=dict)
    """By tap, leg, SSRC of the sender and the session controller's port of the *media*."""
    clear: dict[tuple[str, Leg, int, int], Counter[str]] = field(default_factory=dict)
    """By the same: packets without a report that an endpoint sent in clear, by type."""

    def add(
        self, packets: Packets, columns: Headers, labels: list[str], control: Mask, leg: npt.NDArray[np.int8]
    ) -> None:
        """Takes a batch; `control` says which rows are RTCP."""
        for row in np.flatnonzero(control).tolist():
            tap, which = labels[packets.interface[row]], LEGS[leg[row]]
            own = int((columns.dport if which == "up" else columns.sport)[row])
            port = self.media_port(which, own)
            if port is None or not (self.sampled or tap in self.proof_taps):
                continue
            ssrc, start = int(columns.control_ssrc[row]), int(columns.payload[row])
            length = int(columns.payload_len[row])
            key = (tap, which, ssrc, port)
            found = self.authentications.get(key)
            if found is None:
                found = Authentication(*key, first_ns=int(packets.time_ns[row]), control=True)
                self.authentications[key] = found
            found.packets += 1
            if length < columns.payload_wire[row]:
                found.cut += 1
            else:
                packet = packets.data[start : start + length].tobytes()
                types = clear_types(packet) if which == "up" else None
                if types and set(types) <= set(WITHOUT_REPORT):
                    self.clear.setdefault(key, Counter())[WITHOUT_REPORT[types[0]]] += 1
                    continue
                found.check(packet, int(packets.number[row]), self.ring)

    def media_port(self, leg: Leg, port: int) -> int | None:
        """The media port to which an RTCP port belongs: the one below (RFC 3550 section 11), or the same
        (RFC 5761). None where no key is known for either."""
        return next((known for known in (port, port - 1) if self.ring.of(leg, known)), None)

    def in_clear(self, found: Iterable[Authentication]) -> str:
        """What was sent in clear beside these, at the tap that saw most of it: `1 APP, 1 BYE`."""
        by_tap: dict[str, Counter[str]] = {}
        for a in found:
            by_tap.setdefault(a.tap, Counter()).update(
                self.clear.get((a.tap, a.leg, a.ssrc, a.port), Counter())
            )
        most = max(by_tap.values(), key=Counter.total, default=Counter[str]())
        return ", ".join(f"{count} {kind}" for kind, count in sorted(most.items()))
