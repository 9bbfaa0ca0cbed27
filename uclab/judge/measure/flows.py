"""Packets summed into flows: one record for all packets at one tap that agree in every header field of
interest.

Almost all verdicts are statements about flows ("no packet at any site tap has both ends at the site"), so
that the packets are touched once, on whole columns, and memory grows with the number of flows, not of
packets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from uclab.capture.headers import ACK, IPV4, SYN, TCP, Headers, Mask
from uclab.capture.packets import I64, Packets

SAMPLES = 3
"""Packet numbers kept of each flow as evidence."""


@dataclass(frozen=True)
class FlowKey:
    """What packets of a flow have in common. -1 where the packets do not have that field."""

    tap: str
    src_mac: int
    multicast: bool
    """Sent to a multicast or broadcast MAC address."""
    vlan: int
    pcp: int
    inner_vlan: int
    ethertype: int
    dscp: int
    proto: int
    src: int
    dst: int
    sport: int
    dport: int
    ssrc: int
    """Of media (RTP to, from or past the session controller); else -1."""
    loaded: bool
    """Carries TCP or UDP payload."""
    service_vlan: int = -1
    service_pcp: int = -1
    """VLAN and priority of a service tag (802.1ad)."""
    label: int = -1
    tc: int = -1
    """MPLS label and its traffic class."""
    control: int = -1
    """SSRC of who sends RTCP to or from the session controller; else -1."""


@dataclass
class Flow:
    """A flow's figures."""

    key: FlowKey
    packets: int = 0
    octets: int = 0
    first_ns: int = 1 << 62
    last_ns: int = 0
    samples: list[int] = field(default_factory=list)
    frame: bytes = b""
    """Of media: the first packet's headers, for a second opinion by tshark."""


@dataclass
class FlowTable:
    """Grows by batches. The 64-bit hash of a key stands for it: with a million flows two collide with
    probability 3e-8."""

    flows: dict[int, Flow] = field(default_factory=dict)
    opened: list[tuple[str, int, int, int, int, int]] = field(default_factory=list)
    """TCP connection requests: (tap, src, sport, dst, dport, initial sequence number). The last survives
    NAT."""
    octets_per_second: dict[tuple[str, int, int, bool], int] = field(default_factory=dict)
    """(tap, second, DSCP or -1, leaves the tap's device) -> bytes on the wire, without preamble and FCS."""
    leaves: Callable[[str, int], bool] = lambda tap, sender: False
    """Whether a frame of this sender's MAC address leaves the tap's device there (`judge.directions`)."""

    def add(self, packets: Packets, columns: Headers, labels: list[str], media: Mask, control: Mask) -> None:
        """Takes a batch; `labels` names the taps of its interface indices, `media` says which rows are
        media, `control` which are RTCP. What has no IP header that could be read is in no flow."""
        ssrc = np.where(media, columns.ssrc.astype(np.int64), -1)
        loaded = (columns.payload_wire > 0).astype(np.int64)
        multicast = (columns.dst_mac >> np.uint64(40)) & np.uint64(1)
        parts = (
            packets.interface,
            columns.src_mac,
            multicast,
            columns.vlan,
            columns.pcp,
            columns.inner_vlan,
            columns.ethertype,
            columns.dscp,
            columns.proto,
            columns.src,
            columns.dst,
            columns.sport,
            columns.dport,
            ssrc,
            loaded,
            columns.service_vlan,
            columns.service_pcp,
            columns.label,
            columns.tc,
            np.where(control, columns.control_ssrc.astype(np.int64), -1),
        )
        tap_salt = np.array([hash_text(label) for label in labels], np.uint64)[packets.interface]
        keys = _hash((tap_salt, *parts[1:]))
        unique, first, inverse, counts = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        octets = np.bincount(inverse, packets.wirelen, len(unique))
        earliest = np.full(len(unique), 1 << 62, np.int64)
        np.minimum.at(earliest, inverse, packets.time_ns)
        latest = np.zeros(len(unique), np.int64)
        np.maximum.at(latest, inverse, packets.time_ns)
        for index, key in enumerate(unique.tolist()):
            flow = self.flows.get(key)
            row = int(first[index])
            if flow is None:
                values = [int(part[row]) for part in parts]
                if values[6] < 0 or (values[6] == IPV4 and values[7] < 0):
                    continue  # without a header that could be read it is nobody's
                flow = Flow(_key(labels[values[0]], values))
                self.flows[key] = flow
                if values[13] >= 0:
                    flow.frame = packets.packet(row)
            flow.packets += int(counts[index])
            flow.octets += int(octets[index])
            flow.first_ns = min(flow.first_ns, int(earliest[index]))
            flow.last_ns = max(flow.last_ns, int(latest[index]))
            if len(flow.samples) < SAMPLES:
                flow.samples.append(int(packets.number[row]))
        self._requests(columns, packets, labels)
        senders = zip(packets.interface[first].tolist(), columns.src_mac[first].tolist(), strict=True)
        leaving = np.array([self.leaves(labels[tap], mac) for tap, mac in senders], np.int64)
        self._rates(columns, packets, labels, leaving[inverse])

    def _requests(self, columns: Headers, packets: Packets, labels: list[str]) -> None:
        requests = (columns.proto == TCP) & ((columns.tcp_flags & (SYN | ACK)) == SYN)
        for row in np.flatnonzero(requests):
            self.opened.append(
                (
                    labels[packets.interface[row]],
                    int(columns.src[row]),
                    int(columns.sport[row]),
                    int(columns.dst[row]),
                    int(columns.dport[row]),
                    int(columns.tcp_seq[row]),
                )
            )

    def _rates(self, columns: Headers, packets: Packets, labels: list[str], leaving: I64) -> None:
        second = packets.time_ns // 1_000_000_000
        start = int(second.min())
        code = (((second - start) * 65 + columns.dscp + 1) * len(labels) + packets.interface) * 2 + leaving
        unique, inverse = np.unique(code, return_inverse=True)
        octets = np.bincount(inverse, packets.wirelen, len(unique))
        for value, size in zip(unique.tolist(), octets.tolist(), strict=True):
            rest, out = divmod(value, 2)
            rest, tap = divmod(rest, len(labels))
            offset, dscp = divmod(rest, 65)
            key = (labels[tap], start + offset, dscp - 1, bool(out))
            self.octets_per_second[key] = self.octets_per_second.get(key, 0) + int(size)

    def all(self) -> list[Flow]:
        """All flows, by first packet."""
        return sorted(self.flows.values(), key=lambda flow: flow.first_ns)


def _key(tap: str, values: list[int]) -> FlowKey:
    """The key of a row whose columns have these values."""
    _, mac, multicast, vlan, pcp, inner, kind, dscp, proto, src, dst, sport, dport, ssrc, loaded = values[:15]
    return FlowKey(
        tap,
        mac,
        bool(multicast),
        vlan,
        pcp,
        inner,
        kind,
        dscp,
        proto,
        src,
        dst,
        sport,
        dport,
        ssrc,
        bool(loaded),
        *values[15:],
    )


def hash_text(label: str) -> int:
    """A stable 64-bit number of a tap's name."""
    value = 14695981039346656037
    for octet in label.encode():
        value = (value ^ octet) * 1099511628211 % (1 << 64)
    return value


def _hash(parts: tuple[npt.NDArray[np.generic], ...]) -> npt.NDArray[np.uint64]:
    """Mixes columns into 64 bits (multiply, rotate by shift, add; the finaliser is that of splitmix64)."""
    mixed = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        mixed ^= part.astype(np.int64).view(np.uint64)
        mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0x94D049BB133111EB)
    result: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result


def media_rows(
    columns: Headers, media_addresses: frozenset[int], site_prefixes: tuple[tuple[int, int], ...]
) -> tuple[Mask, Mask, npt.NDArray[np.int8]]:
    """Which rows are media, which are its RTCP, and on which leg (index into `network.LEGS`).

    Media goes to (`up`) or from (`down`) a session controller; RTP between two hosts of the sites is
    `direct`.
    """
    known = np.array(sorted(media_addresses), np.uint32)
    up, down = np.isin(columns.dst, known), np.isin(columns.src, known)
    candidates = columns.rtp & ~(up | down)
    direct = np.zeros(len(up), np.bool_)
    if candidates.any():
        both = [np.zeros(len(up), np.bool_), np.zeros(len(up), np.bool_)]
        for net, mask in site_prefixes:
            both[0] |= (columns.src & np.uint32(mask)) == net
            both[1] |= (columns.dst & np.uint32(mask)) == net
        direct = candidates & both[0] & both[1]
    leg = np.where(up, 0, np.where(down, 1, 2)).astype(np.int8)
    return columns.rtp & (up | down | direct), columns.rtcp & (up | down), leg
