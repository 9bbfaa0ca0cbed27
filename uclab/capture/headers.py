"""Vectorised header decoding: Ethernet, 802.1Q/802.1ad, MPLS, IPv4, UDP, TCP, and what may be RTP (RFC 3550
section 5.1).

Every column has one value a packet. What a packet does not have is -1 (or 0 where a mask column says so);
what was cut off by the capture counts as absent, and `cut` and `headless` say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from uclab.capture.packets import I64, Packets

IPV4, IPV6, ARP, LLDP = 0x0800, 0x86DD, 0x0806, 0x88CC
CUSTOMER_TAG, SERVICE_TAG, MPLS = 0x8100, 0x88A8, 0x8847
OLD_SERVICE_TAGS = (0x9100, 0x9200)
"""EtherTypes of service tags before 802.1ad, still in use on older switches."""
TCP, UDP = 6, 17
RTCP_TYPES = (192, 223)
"""Packet types of RTCP where it may share a port with RTP (RFC 5761 section 4)."""
RTP_END, TCP_END = 20, 20
"""Bytes of the UDP and RTP headers, and of TCP's without options."""
SYN, FIN, RST, ACK = 0x02, 0x01, 0x04, 0x10

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]
I16 = npt.NDArray[np.int16]
Mask = npt.NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Headers:
    """Columns of a batch of Ethernet packets."""

    dst_mac: U64
    src_mac: U64
    vlan: I16
    """VLAN id of the customer's (802.1Q) tag, the outer one of two; -1: untagged."""
    pcp: I16
    """802.1p priority of that tag; -1: untagged."""
    inner_vlan: I16
    """VLAN id of a second 802.1Q tag behind it."""
    ethertype: I32
    """After all tags; IPv4 behind a label that it is read behind."""
    dscp: I16
    """0..63; -1: not IPv4."""
    proto: I16
    """IPv4 protocol; -1: not IPv4, or a fragment without transport header."""
    src: U32
    dst: U32
    sport: I32
    dport: I32
    payload: I64
    """Where the UDP or TCP payload begins in the batch's data."""
    payload_len: I64
    payload_wire: I64
    """Bytes of payload on the wire, by the IP header; the capture may hold fewer (`payload_len`)."""
    tcp_flags: I16
    tcp_seq: U32
    rtp: Mask
    """May be RTP: version 2, at least 12 bytes, payload type outside RTCP's range (RFC 5761 section 4)."""
    ssrc: U32
    seq: I32
    rtp_time: U32
    payload_type: I16
    rtcp: Mask
    """May be RTCP: version 2, at least 8 bytes, packet type in RTCP's range."""
    control_ssrc: U32
    """Who sends that RTCP; this stands in clear in SRTCP too (RFC 3711 section 3.4)."""
    service_vlan: I16
    """VLAN id of a service tag (802.1ad, or an older one's) in front; -1: none."""
    service_pcp: I16
    """Priority of the service tag; -1: none."""
    label: I32
    """MPLS label, the outer one of several; -1: none."""
    tc: I16
    """Its traffic class (RFC 5462); -1: none."""
    next_protocol: I16
    """IPv4 protocol also of a fragment, IPv6 next header; -1: neither."""
    fragment: Mask
    """A part of an IPv4 packet (RFC 791 section 3.2)."""
    cut: Mask
    """The capture holds fewer bytes than the frame had, by its length on the wire or by its IP header."""
    headless: Mask
    """Cut in front of the end of a header that is read here."""


def decode(packets: Packets) -> Headers:
    """Headers of all packets of a batch."""
    if not len(packets):
        return _empty()
    data, base, caplen = packets.data, packets.offset, packets.caplen
    frame = _gather(data, base, 24)
    pairs = frame.view(">u2").astype(np.uint64)
    dst_mac = ((pairs[:, 0] << 32) | (pairs[:, 1] << 16) | pairs[:, 2]).astype(np.uint64)
    src_mac = ((pairs[:, 3] << 32) | (pairs[:, 4] << 16) | pairs[:, 5]).astype(np.uint64)
    small = pairs[:, 6:11].astype(np.int32)
    kind, first_tci, second_kind, second_tci, third_kind = (small[:, i] for i in range(5))
    kind = np.where(caplen >= 14, kind, -1)
    tagged = _is_tag(kind) & (caplen >= 18)
    double = tagged & _is_tag(second_kind) & (caplen >= 22)
    service = tagged & (kind != CUSTOMER_TAG)
    service_vlan = np.where(service, first_tci & 0xFFF, -1).astype(np.int16)
    service_pcp = np.where(service, first_tci >> 13, -1).astype(np.int16)
    own_tci = np.where(service, second_tci, first_tci)
    own = np.where(service, double, tagged)
    vlan = np.where(own, own_tci & 0xFFF, -1).astype(np.int16)
    pcp = np.where(own, own_tci >> 13, -1).astype(np.int16)
    inner = np.where(double & ~service, second_tci & 0xFFF, -1).astype(np.int16)
    ethertype = np.where(double, third_kind, np.where(tagged, second_kind, kind))
    l3 = np.where(double, 22, np.where(tagged, 18, 14))

    entry = (
        _gather(data, base + np.minimum(l3, np.maximum(caplen - 4, 0)), 4).view(">u4")[:, 0].astype(np.int64)
    )
    labelled = (ethertype == MPLS) & (caplen >= l3 + 4)
    label = np.where(labelled, entry >> 12, -1).astype(np.int32)
    tc = np.where(labelled, entry >> 9 & 7, -1).astype(np.int16)
    bottom = labelled & (entry >> 8 & 1 == 1)
    l3 = np.where(bottom, l3 + 4, l3)

    ip = _gather(data, base + l3, 20)
    behind = bottom & (caplen >= l3 + 20) & (ip[:, 0] >> 4 == 4)
    ethertype = np.where(behind, IPV4, ethertype)
    words, halves = ip.view(">u4"), ip.view(">u2").astype(np.int32)
    header = (ip[:, 0] & 15).astype(np.int64) * 4
    total = halves[:, 1].astype(np.int64)
    is_ip = (ethertype == IPV4) & (ip[:, 0] >> 4 == 4) & (header >= 20) & (caplen >= l3 + header)
    whole = is_ip & ((halves[:, 3] & 0x1FFF) == 0)
    fragment = is_ip & ((halves[:, 3] & 0x3FFF) != 0)
    dscp = np.where(is_ip, ip[:, 1].astype(np.int16) >> 2, -1).astype(np.int16)
    zero = np.uint32(0)
    src = np.where(is_ip, words[:, 3], zero).astype(np.uint32)
    dst = np.where(is_ip, words[:, 4], zero).astype(np.uint32)

    l4 = l3 + header
    l4_end = np.minimum(caplen, l3 + total)
    l4_safe = np.where(whole, l4, 0)
    transport = _gather(data, base + l4_safe, 20)
    t2, t4 = transport.view(">u2").astype(np.int32), transport.view(">u4")
    kind_ip = ip[:, 9].astype(np.int16)
    udp = whole & (kind_ip == UDP) & (l4_end >= l4 + 8)
    tcp = whole & (kind_ip == TCP) & (l4_end >= l4 + 20)
    proto = np.where(whole & ((kind_ip != UDP) | udp) & ((kind_ip != TCP) | tcp), kind_ip, -1).astype(
        np.int16
    )
    ports = udp | tcp
    sport = np.where(ports, t2[:, 0], -1).astype(np.int32)
    dport = np.where(ports, t2[:, 1], -1).astype(np.int32)
    skip = np.where(tcp, (transport[:, 12] >> 4).astype(np.int64) * 4, 8)
    payload_len = np.where(ports, np.maximum(l4_end - l4 - skip, 0), 0)
    payload_wire = np.where(ports, np.maximum(total - header - skip, 0), 0)
    is_ip6 = (ethertype == IPV6) & (caplen >= l3 + 40)
    next_protocol = np.where(is_ip, kind_ip, np.where(is_ip6, ip[:, 6].astype(np.int16), -1)).astype(np.int16)
    cut = (caplen < packets.wirelen) | (is_ip & (caplen < l3 + total))
    headless = cut & _headless(caplen, ethertype, l3, l4, labelled & ~bottom, is_ip | is_ip6, whole, kind_ip)
    flags = np.where(tcp, transport[:, 13], 0).astype(np.int16)
    kind_byte = transport[:, 9].astype(np.int16) & 0x7F
    second = udp & (payload_len >= 8) & (transport[:, 8] >> 6 == 2)
    rtcp = second & (transport[:, 9] >= RTCP_TYPES[0]) & (transport[:, 9] <= RTCP_TYPES[1])
    rtp = udp & (payload_len >= 12) & (transport[:, 8] >> 6 == 2) & ((kind_byte < 64) | (kind_byte > 95))
    return Headers(
        dst_mac,
        src_mac,
        vlan,
        pcp,
        inner,
        ethertype.astype(np.int32),
        dscp,
        proto,
        src,
        dst,
        sport,
        dport,
        base + l4 + skip,
        payload_len,
        payload_wire,
        flags,
        np.where(tcp, t4[:, 1], zero).astype(np.uint32),
        rtp,
        np.where(rtp, t4[:, 4], zero).astype(np.uint32),
        np.where(rtp, t2[:, 5], -1).astype(np.int32),
        np.where(rtp, t4[:, 3], zero).astype(np.uint32),
        np.where(rtp, kind_byte, -1).astype(np.int16),
        rtcp,
        np.where(rtcp, t4[:, 3], zero).astype(np.uint32),
        service_vlan,
        service_pcp,
        label,
        tc,
        next_protocol,
        fragment,
        cut,
        headless,
    )


def _headless(
    caplen: I64,
    ethertype: I64,
    l3: I64,
    l4: I64,
    labelled: Mask,
    is_ip: Mask,
    whole: Mask,
    protocol: I16,
) -> Mask:
    """Which packets end before the last header that would be read. Of UDP that is RTP's fixed one, of TCP
    the fixed one, too."""
    no_type = (caplen < 14) | _is_tag(ethertype) | ((ethertype == MPLS) & labelled & (caplen < l3 + 4))
    no_ip = ((ethertype == IPV4) | (ethertype == IPV6)) & ~is_ip
    wanted = np.where(protocol == UDP, RTP_END, np.where(protocol == TCP, TCP_END, 0))
    mask: Mask = no_type | no_ip | (whole & (caplen < l4 + wanted))
    return mask


def _is_tag(kind: npt.NDArray[np.signedinteger[Any]]) -> Mask:
    mask: Mask = (kind == CUSTOMER_TAG) | (kind == SERVICE_TAG)
    for old in OLD_SERVICE_TAGS:
        mask |= kind == old
    return mask


def _gather(data: npt.NDArray[np.uint8], at: I64, width: int) -> npt.NDArray[np.uint8]:
    """`width` bytes from each position, as a contiguous matrix; positions near the end are clipped."""
    windows = np.lib.stride_tricks.sliding_window_view(data, width)
    return np.ascontiguousarray(windows[np.minimum(at, len(data) - width)])


def _empty() -> Headers:
    def none(kind: type[Scalar]) -> npt.NDArray[Scalar]:
        return np.empty(0, kind)

    u64, u32, i64, i32, i16 = none(np.uint64), none(np.uint32), none(np.int64), none(np.int32), none(np.int16)
    mask = none(np.bool_)
    return Headers(
        u64, u64, i16, i16, i16, i32, i16, i16, u32, u32, i32, i32, i64, i64, i64, i16, u32, mask, u32, i32,
        u32, i16, mask, u32, i16, i16, i32, i16, i16, mask, mask, mask
    )  # fmt: skip
