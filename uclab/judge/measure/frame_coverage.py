"""What a capture does not hold of its packets, and which frames are not understood: what a check needs and
did not get is not shown (`uclab.judge.coverage.bytes_needed`).

A capture with a snap length keeps the beginning of each packet. Of which packets what is missing is counted
by what the bytes are for, so that headers alone are enough for what only looks at headers. Frames of kinds
that are not read here (tunnels, PPPoE, IPv6 with user's data, fragments, unknown EtherTypes) are counted by
kind and taken for nothing else; what every network has besides (ARP, LLDP, spanning tree, neighbour
discovery) is understood.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from uclab.capture.headers import ARP, CUSTOMER_TAG, IPV4, IPV6, LLDP, MPLS, TCP, UDP, Headers, Mask
from uclab.capture.packets import Packets
from uclab.capture.routing import BFD, BGP

Part = Literal["headers", "signalling", "media", "control", "routing", "rest"]
"""What the missing bytes were: headers, or payload of SIP, RTP, RTCP, BGP and BFD, or anything else."""
SAMPLES = 3

HARMLESS = {ARP, LLDP, 0x8035, 0x8809, 0x888E, 0x9000}
"""EtherTypes without user's data: ARP, RARP, LLDP, LACP, 802.1X, loop detection."""
READ_PROTOCOLS = {1, 2, TCP, UDP, 89, 103, 112}
"""IPv4 protocols that hold no other packet: ICMP, IGMP, TCP, UDP, OSPF, PIM, VRRP."""
READ_NEXT_HEADERS = {0, 58}
"""IPv6: multicast listener reports (behind a hop-by-hop header) and neighbour discovery."""
LINK_LOCAL_GROUPS = (0x0180C2000000, 0x01000CCCCCC0)
"""Multicast addresses of spanning tree and its like, without the last four bits (802.1D, Cisco's)."""
LLC_LENGTH = 1500
"""A type field up to here is a length (802.3)."""
TUNNEL_PORTS = {4789: "VXLAN", 8472: "VXLAN", 6081: "GENEVE", 1701: "L2TP", 4500: "ESP in UDP", 2152: "GTP"}
"""UDP ports of tunnels; an overlay of the plan is known by its own."""
ETHERTYPES = {
    0x8863: "PPPoE discovery",
    0x8864: "PPPoE",
    IPV6: "IPv6",
    MPLS: "MPLS with several labels",
    0x8848: "MPLS multicast",
    0x88E7: "provider backbone bridging",
    0x6558: "Ethernet in Ethernet",
    CUSTOMER_TAG: "a third VLAN tag",
    0x88A8: "a third VLAN tag",
    0x9100: "a third VLAN tag",
    0x9200: "a third VLAN tag",
}
PROTOCOLS = {
    4: "IP in IP", 41: "IPv6 in IPv4", 47: "GRE", 50: "ESP", 51: "AH", 97: "Ethernet in IP", 115: "L2TPv3",
    132: "SCTP", 137: "MPLS in IP",
}  # fmt: skip
ARP_BEHIND_A_LABEL = bytes((0, 1, 8, 0, 6, 4))


@dataclass
class Cut:
    """Packets at one tap that lack some bytes."""

    packets: int = 0
    longest: int = 0
    """Bytes that the capture holds of the longest one."""
    samples: list[int] = field(default_factory=list)


@dataclass
class Unread:
    """Frames of one kind at one tap."""

    packets: int = 0
    first_ns: int = 1 << 62
    samples: list[int] = field(default_factory=list)


def _table(size: int, entries: set[int]) -> Mask:
    table = np.zeros(size, np.bool_)
    table[sorted(entries)] = True
    return table


_HARMLESS, _PROTOCOLS = _table(1 << 16, HARMLESS), _table(256, READ_PROTOCOLS)
_NEXT_HEADERS, _ROUTING = _table(256, READ_NEXT_HEADERS), _table(1 << 16, {BGP, BFD})


class FrameCoverage:
    """Grows by batches; asked by tap."""

    def __init__(self, sips_ports: Iterable[int] = (), own_tunnels: Iterable[int] = ()) -> None:
        self.cut: dict[tuple[str, Part], Cut] = {}
        self.unread: dict[str, dict[str, Unread]] = {}
        """Tap -> kind -> frames that were not understood."""
        self.packets: dict[str, int] = {}
        self.snap_lengths: dict[str, int] = {}
        """Tap -> what the capture says of it: so many bytes a packet at most; 0: all."""
        self._sips = _table(1 << 16, set(sips_ports))
        self._tunnels = _table(1 << 16, set(TUNNEL_PORTS) - set(own_tunnels))

    def add(
        self, packets: Packets, columns: Headers, labels: Sequence[str], media: Mask, control: Mask
    ) -> None:
        """Takes a batch; `media` and `control` say which rows are RTP and RTCP of the session controller."""
        counts = np.bincount(packets.interface, minlength=len(labels))
        for label, count in zip(labels, counts.tolist(), strict=False):
            if count:
                self.packets[label] = self.packets.get(label, 0) + count
        if columns.cut.any():
            self._note_cut(packets, columns, labels, media, control)
        strange = ~self._understood(columns, media | control) & ~columns.headless
        if strange.any():
            self._note_strange(packets, columns, labels, np.flatnonzero(strange))

    def _understood(self, columns: Headers, known_udp: Mask) -> Mask:
        """Rows that are read, or that hold nothing which checks look for. (-1 finds a table's last entry,
        which is empty.)"""
        is_ip = columns.ethertype == IPV4
        tunnel = (columns.proto == UDP) & self._tunnels[columns.dport] & ~known_udp
        mask: Mask = is_ip & _PROTOCOLS[columns.proto] & ~columns.fragment & ~tunnel
        if is_ip.all():
            return mask
        mask |= _HARMLESS[columns.ethertype]
        mask |= (columns.ethertype == IPV6) & _NEXT_HEADERS[columns.next_protocol]
        group = columns.dst_mac & np.uint64(0xFFFFFFFFFFF0)
        control = np.isin(group, np.array(LINK_LOCAL_GROUPS, np.uint64))
        mask |= control & (columns.ethertype <= LLC_LENGTH) & (columns.ethertype >= 0)
        return mask

    def _note_strange(
        self, packets: Packets, columns: Headers, labels: Sequence[str], rows: npt.NDArray[np.intp]
    ) -> None:
        parts = (
            packets.interface[rows],
            columns.ethertype[rows],
            columns.next_protocol[rows],
            columns.fragment[rows],
            np.where(columns.proto[rows] == UDP, columns.dport[rows], -1),
        )
        unique, first, inverse, counts = np.unique(
            np.stack([part.astype(np.int64) for part in parts]),
            axis=1, return_index=True, return_inverse=True, return_counts=True,
        )  # fmt: skip
        inverse = inverse.reshape(-1)
        for index, (values, count) in enumerate(zip(unique.T.tolist(), counts.tolist(), strict=True)):
            interface, ethertype, protocol, fragment, port = values
            same = rows[inverse == index]
            if ethertype == MPLS and self._is_arp(packets, columns, int(rows[first[index]])):
                continue
            kind = kind_of(ethertype, protocol, bool(fragment), port)
            unread = self.unread.setdefault(labels[interface], {}).setdefault(kind, Unread())
            unread.packets += count
            unread.first_ns = min(unread.first_ns, int(packets.time_ns[same].min()))
            unread.samples += packets.number[same[: SAMPLES - len(unread.samples)]].tolist()

    @staticmethod
    def _is_arp(packets: Packets, columns: Headers, row: int) -> bool:
        """A carrier's customers ask for addresses, too."""
        frame = packets.packet(row)
        return columns.label[row] >= 0 and ARP_BEHIND_A_LABEL in frame[18:40]

    def _note_cut(
        self, packets: Packets, columns: Headers, labels: Sequence[str], media: Mask, control: Mask
    ) -> None:
        rows = np.flatnonzero(columns.cut)
        sport, dport = columns.sport[rows], columns.dport[rows]
        part = np.full(len(rows), PARTS.index("rest"))
        part[_ROUTING[sport] | _ROUTING[dport]] = PARTS.index("routing")
        part[control[rows]] = PARTS.index("control")
        part[media[rows]] = PARTS.index("media")
        signalling = (columns.proto[rows] == TCP) & (self._sips[sport] | self._sips[dport])
        part[signalling & (columns.payload_wire[rows] > 0)] = PARTS.index("signalling")
        part[columns.headless[rows]] = PARTS.index("headers")
        code = packets.interface[rows].astype(np.int64) * len(PARTS) + part
        for value in np.unique(code).tolist():
            interface, which = divmod(value, len(PARTS))
            same = rows[code == value]
            cut = self.cut.setdefault((labels[interface], PARTS[which]), Cut())
            cut.packets += len(same)
            cut.longest = max(cut.longest, int(packets.caplen[same].max()))
            cut.samples += packets.number[same[: SAMPLES - len(cut.samples)]].tolist()

    def short(self, tap: str, parts: Iterable[Part]) -> str | None:
        """How many packets at a tap lack some of these bytes; None where none does."""
        found = [self.cut[tap, part] for part in parts if (tap, part) in self.cut]
        if not found:
            return None
        longest, snap = max(cut.longest for cut in found), self.snap_lengths.get(tap, 0)
        why = " (the capture's snap length)" if snap == longest else ""
        packets, total = sum(cut.packets for cut in found), self.packets[tap]
        return f"{packets} of {total} packets at {tap} are cut to {longest} bytes{why}"

    def strange(self, tap: str) -> str | None:
        """Frames at a tap that were not understood, in words; None where there are none."""
        kinds = self.unread.get(tap)
        if not kinds:
            return None
        counted = ", ".join(f"{unread.packets} of {kind}" for kind, unread in sorted(kinds.items()))
        return f"frames at {tap} were not understood: {counted}"

    def unseen(self, tap: str) -> str | None:
        """Why packets may have passed a tap without being recognised: their headers were cut off, or they
        stood in a frame that was not understood. None where that cannot be."""
        return self.short(tap, ("headers",)) or self.strange(tap)


PARTS: tuple[Part, ...] = ("headers", "signalling", "media", "control", "routing", "rest")


def kind_of(ethertype: int, protocol: int, fragment: bool, port: int) -> str:
    """What an engineer calls such a frame."""
    if ethertype == IPV4:
        if fragment:
            return "IPv4 fragments"
        if protocol == UDP and port in TUNNEL_PORTS:
            return f"{TUNNEL_PORTS[port]} (UDP port {port})"
        if protocol in READ_PROTOCOLS or protocol < 0:
            return "IPv4 with a broken header"
        return f"{PROTOCOLS.get(protocol, 'IPv4')} (protocol {protocol})"
    if ethertype == IPV6:
        return f"IPv6 (next header {protocol})" if protocol >= 0 else "IPv6 with a broken header"
    if ethertype <= LLC_LENGTH:
        return "802.3 without EtherType"
    return f"{ETHERTYPES.get(ethertype, 'unknown')} (EtherType {ethertype:#06x})"
