"""rtnetlink requests packed by hand and sent many at a time (RFC 3549, rtnetlink(7)).

Only the few requests that a lab sends by the thousand are here: packing one takes microseconds, where a
general library takes 0.3 ms, as long as the kernel's own work. Everything rare (traffic control) goes through
pyroute2.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWNEIGH = 16, 17, 20, 24, 28
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_REPLACE, _NLM_F_EXCL, _NLM_F_CREATE = 0x1, 0x4, 0x100, 0x200, 0x400
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_GETLINK, _NLM_F_DUMP, _IFLA_OPERSTATE, _IFLA_EXT_MASK = 18, 0x300, 16, 29
_IF_OPER_UP, _SKIP_STATISTICS = 6, 8
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_NLM_F_CAPPED, _NLM_F_ACK_TLVS, _NLMSGERR_ATTR_MSG = 0x100, 0x200, 1

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 1, 3, 4, 18, 28
_IFLA_NUM_TX_QUEUES, _IFLA_NUM_RX_QUEUES = 31, 32
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 1, 4, 5, 6
_RT_TABLE_MAIN, _RTPROT_STATIC, _RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK, _RTN_UNICAST = 254, 4, 0, 253, 1
_NDA_DST, _NDA_LLADDR, _NUD_PERMANENT = 1, 2, 0x80
_IFF_UP = 1
_BATCH = 64
"""Requests a system call. Each leaves an acknowledgement of about 1 KiB (truesize) in the receive buffer of
208 KiB."""


class NetlinkError(OSError):
    """The kernel refused a request; the message says which and why."""


@dataclass(frozen=True)
class Request:
    """A request without its sequence number, and what it is for in words."""

    type: int
    flags: int
    body: bytes
    purpose: str


@dataclass(frozen=True)
class VethEnd:
    """One end of a veth pair. `index` is the interface index that it shall have in its namespace (no look-up
    afterwards)."""

    name: str
    namespace_fd: int
    index: int
    mac: str


def _attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + b"\0" * (-length % 4)


def _u32(kind: int, value: int) -> bytes:
    return struct.pack("=HHI", 8, kind, value)


def mac_bytes(mac: str) -> bytes:
    """`02:00:00:00:00:01` as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def _ifinfo(index: int, flags: int, change: int) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


def veth(a: VethEnd, b: VethEnd, mtu: int) -> Request:
    """A veth pair, born in its two namespaces with names, addresses and indices; `a` up. MTU in bytes.

    `b` is left down: a veth end that is raised before its pair is complete makes the kernel refuse (ENOTCONN,
    Linux 6.18).
    """

    def end(it: VethEnd) -> bytes:
        return (
            _attribute(_IFLA_IFNAME, it.name.encode() + b"\0")
            + _u32(_IFLA_NET_NS_FD, it.namespace_fd)
            + _u32(_IFLA_MTU, mtu)
            + _u32(_IFLA_NUM_TX_QUEUES, 1)
            + _u32(_IFLA_NUM_RX_QUEUES, 1)
            + _attribute(_IFLA_ADDRESS, mac_bytes(it.mac))
        )

    peer = _attribute(_VETH_INFO_PEER, _ifinfo(b.index, 0, 0) + end(b))
    kind = _attribute(_IFLA_INFO_KIND, b"veth") + _attribute(_IFLA_INFO_DATA, peer)
    body = _ifinfo(a.index, _IFF_UP, _IFF_UP) + end(a) + _attribute(_IFLA_LINKINFO, kind)
    return Request(RTM_NEWLINK, _NLM_F_CREATE | _NLM_F_EXCL, body, f"veth pair {a.name} - {b.name}")


def link_state(index: int, up: bool, name: str) -> Request:
    """Interface administratively up or down."""
    body = _ifinfo(index, _IFF_UP if up else 0, _IFF_UP)
    return Request(RTM_NEWLINK, 0, body, f"interface {name} {'up' if up else 'down'}")


def address(index: int, cidr: str) -> Request:
    """An address on an interface, `10.10.110.11/24`."""
    interface = ipaddress.ip_interface(cidr)
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    body = struct.pack("=BBBBi", family, interface.network.prefixlen, 0, _RT_SCOPE_UNIVERSE, index)
    body += _attribute(_IFA_LOCAL, interface.packed) + _attribute(_IFA_ADDRESS, interface.packed)
    return Request(RTM_NEWADDR, _NLM_F_CREATE | _NLM_F_EXCL, body, f"address {cidr}")


def route(prefix: str, via: str | None = None, *, index: int | None = None, metric: int = 0) -> Request:
    """A static route through a gateway, or directly over interface `index`. An equal one is replaced."""
    network = ipaddress.ip_network(prefix)
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    scope = _RT_SCOPE_UNIVERSE if via else _RT_SCOPE_LINK
    body = struct.pack(
        "=BBBBBBBBI", family, network.prefixlen, 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, scope, _RTN_UNICAST, 0
    )
    if network.prefixlen:
        body += _attribute(_RTA_DST, network.network_address.packed)
    if via:
        body += _attribute(_RTA_GATEWAY, ipaddress.ip_address(via).packed)
    if index is not None:
        body += _u32(_RTA_OIF, index)
    if metric:
        body += _u32(_RTA_PRIORITY, metric)
    way = f"via {via}" if via else f"over interface {index}"
    return Request(RTM_NEWROUTE, _NLM_F_CREATE | _NLM_F_REPLACE, body, f"route {prefix} {way}")


def neighbour(index: int, ip: str, mac: str) -> Request:
    """A permanent ARP entry."""
    packed = ipaddress.ip_address(ip)
    family = socket.AF_INET if packed.version == 4 else socket.AF_INET6
    body = struct.pack("=BxHiHBB", family, 0, index, _NUD_PERMANENT, 0, 0)
    body += _attribute(_NDA_DST, packed.packed) + _attribute(_NDA_LLADDR, mac_bytes(mac))
    return Request(RTM_NEWNEIGH, _NLM_F_CREATE | _NLM_F_REPLACE, body, f"neighbour {ip} is {mac}")


def send(sock: socket.socket, requests: Sequence[Request], where: str) -> None:
    """Send all requests in order, many a system call; raises `NetlinkError` for the first that the kernel
    refused.

    `sock` is an AF_NETLINK/NETLINK_ROUTE socket of the namespace concerned; `where` names it in errors.
    """
    sock.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
    sock.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
    for start in range(0, len(requests), _BATCH):
        batch = requests[start : start + _BATCH]
        sock.send(b"".join(_packed(request, number) for number, request in enumerate(batch)))
        _read_acknowledgements(sock, batch, where)


def operational(sock: socket.socket) -> dict[str, bool]:
    """Whether each interface of the namespace can carry packets: operational state up (RFC 2863 section
    3.1.14).

    Administratively up with carrier is not enough: the kernel starts the interface's queue a moment later
    (net/core/link_watch.c), and drops what is sent before.
    """
    body = _ifinfo(0, 0, 0) + _u32(_IFLA_EXT_MASK, _SKIP_STATISTICS)
    sock.send(struct.pack("=IHHII", 16 + len(body), _RTM_GETLINK, _NLM_F_REQUEST | _NLM_F_DUMP, 0, 0) + body)
    states: dict[str, bool] = {}
    while True:
        data = sock.recv(1 << 17)
        offset = 0
        while offset < len(data):
            length, kind = struct.unpack_from("=IH", data, offset)
            if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                return states
            attributes = _attributes(data[offset + 32 : offset + length])
            name = attributes[_IFLA_IFNAME].rstrip(b"\0").decode()
            states[name] = attributes[_IFLA_OPERSTATE][0] == _IF_OPER_UP
            offset += (length + 3) & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (max(length, 4) + 3) & ~3
    return found


def _packed(request: Request, sequence: int) -> bytes:
    header = struct.pack(
        "=IHHII",
        16 + len(request.body),
        request.type,
        request.flags | _NLM_F_REQUEST | _NLM_F_ACK,
        sequence,
        0,
    )
    return header + request.body + b"\0" * (-len(request.body) % 4)


def _read_acknowledgements(sock: socket.socket, batch: Sequence[Request], where: str) -> None:
    missing = len(batch)
    while missing:
        data = sock.recv(1 << 16)
        offset = 0
        while offset < len(data):
            length, kind, flags, sequence, _, code = struct.unpack_from("=IHHIIi", data, offset)
            if kind == _NLMSG_ERROR:
                missing -= 1
                if code:
                    reason = _reason(data[offset : offset + length], flags)
                    raise NetlinkError(
                        -code, f"{where}: {batch[sequence].purpose}: {os.strerror(-code)}{reason}"
                    )
            offset += (length + 3) & ~3


def _reason(message: bytes, flags: int) -> str:
    """The kernel's own words (extended acknowledgement), if it gave any."""
    if not flags & _NLM_F_ACK_TLVS or not flags & _NLM_F_CAPPED:
        return ""
    message_text = _attributes(message[16 + 4 + 16 :]).get(_NLMSGERR_ATTR_MSG)
    return f" ({message_text.rstrip(bytes(1)).decode(errors='replace')})" if message_text else ""
