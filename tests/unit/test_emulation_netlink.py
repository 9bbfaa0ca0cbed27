"""Requests to the kernel are what rtnetlink(7) says: read back with pyroute2, an independent
implementation."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any, ClassVar

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from uclab.emulation.link import veth
from uclab.emulation.link.veth import InterfaceSettings, NodeSettings
from uclab.emulation.linux import conntrack, netns, rtnetlink
from uclab.emulation.linux.rtnetlink import NetlinkError, Request, VethEnd


def read(request: Request, message: type[Any]) -> Any:
    """The request as pyroute2 reads it."""
    body = request.body + b"\0" * (-len(request.body) % 4)
    decoded = message(struct.pack("=IHHII", 16 + len(body), request.type, request.flags, 0, 0) + body)
    decoded.decode()
    return decoded


def test_a_veth_pair_is_born_in_its_namespaces_with_names_macs_and_indices() -> None:
    # given two ends
    a = VethEnd("acc1-p1", namespace_fd=7, index=101, mac="02:00:00:00:00:01")
    b = VethEnd("eth0", namespace_fd=8, index=102, mac="02:00:00:00:00:02")
    # when the request is packed
    link = read(rtnetlink.veth(a, b, mtu=1500), ifinfmsg)
    # then both ends are complete in the one message, the first of them up
    peer = link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_KIND") == "veth"
    for got, end in ((link, a), (peer, b)):
        assert got["index"] == end.index
        assert got.get_attr("IFLA_IFNAME") == end.name
        assert got.get_attr("IFLA_NET_NS_FD") == end.namespace_fd
        assert got.get_attr("IFLA_ADDRESS") == end.mac
        assert got.get_attr("IFLA_MTU") == 1500
    assert (link["flags"] & 1, peer["flags"] & 1) == (1, 0)


def test_addresses_routes_and_neighbours_say_what_was_planned() -> None:
    # given an address, routes and a neighbour
    address = read(rtnetlink.address(5, "10.10.110.11/24"), ifaddrmsg)
    default = read(rtnetlink.route("0.0.0.0/0", "10.10.110.1"), rtmsg)
    direct = read(rtnetlink.route("198.18.0.0/15", index=5, metric=20), rtmsg)
    neighbour = read(rtnetlink.neighbour(5, "10.10.110.1", "02:00:00:00:00:09"), ndmsg)
    # then an independent reader finds them in the messages
    assert (address["prefixlen"], address["index"], address.get_attr("IFA_LOCAL")) == (24, 5, "10.10.110.11")
    assert (default["dst_len"], default.get_attr("RTA_DST")) == (0, None)
    assert default.get_attr("RTA_GATEWAY") == "10.10.110.1"
    assert (direct["dst_len"], direct.get_attr("RTA_DST")) == (15, "198.18.0.0")
    assert (direct.get_attr("RTA_OIF"), direct.get_attr("RTA_PRIORITY")) == (5, 20)
    assert (neighbour.get_attr("NDA_DST"), neighbour.get_attr("NDA_LLADDR")) == (
        "10.10.110.1",
        "02:00:00:00:00:09",
    )


def test_a_node_is_configured_in_an_order_that_the_kernel_accepts() -> None:
    # given a node with an address, a route through it and a fixed neighbour
    settings = NodeSettings(
        (InterfaceSettings("eth0", 5, ("10.0.0.1/24",)),),
        (("0.0.0.0/0", "10.0.0.254", 0),),
        ((5, "10.0.0.254", "02:00:00:00:00:09"),),
    )
    # when its requests are listed
    purposes = [request.purpose for request in veth.requests(settings)]
    # then interfaces are up before routes lead over them
    assert purposes == [
        "interface lo up",
        "address 10.0.0.1/24",
        "interface eth0 up",
        "route 0.0.0.0/0 via 10.0.0.254",
        "neighbour 10.0.0.254 is 02:00:00:00:00:09",
    ]


class FakeKernel:
    """A socket pair whose far end answers every request, the chosen one with an error and a reason."""

    def __init__(self, refuse: int, code: int, reason: str) -> None:
        self.refuse, self.code, self.reason = refuse, code, reason
        self.seen = 0
        self.calls = 0
        self.answers: list[bytes] = []

    def setsockopt(self, *_: int) -> None:
        pass

    def send(self, data: bytes) -> None:
        self.calls += 1
        offset = 0
        while offset < len(data):
            length, _, _, sequence, _ = struct.unpack_from("=IHHII", data, offset)
            failed = self.seen == self.refuse
            self.answers.append(
                self._answer(sequence, -self.code if failed else 0, data[offset : offset + 16])
            )
            self.seen += 1
            offset += (length + 3) & ~3

    def recv(self, _: int) -> bytes:
        return self.answers.pop(0)

    def _answer(self, sequence: int, code: int, header: bytes) -> bytes:
        words = self.reason.encode() + b"\0"
        text = struct.pack("=HH", 4 + len(words), 1) + words if code else b""
        text += b"\0" * (-len(text) % 4)
        flags = 0x100 | (0x200 if code else 0)
        return (
            struct.pack("=IHHII", 20 + 16 + len(text), 2, flags, sequence, 0)
            + struct.pack("=i", code)
            + header
            + text
        )


def test_a_refused_request_is_named_with_the_kernels_own_reason() -> None:
    # given a kernel that refuses the 150th of 200 requests
    kernel = FakeKernel(refuse=149, code=17, reason="Address already assigned")
    wanted = [rtnetlink.address(5, f"10.0.{n // 250}.{n % 250 + 1}/16") for n in range(200)]
    # when they are sent
    with pytest.raises(NetlinkError) as refused:
        rtnetlink.send(kernel, wanted, "desk1")  # type: ignore[arg-type]
    # then the error names node, request, error and reason
    assert str(refused.value).endswith("desk1: address 10.0.0.150/16: File exists (Address already assigned)")
    assert refused.value.errno == 17


def test_requests_go_in_few_system_calls() -> None:
    # given a kernel that accepts everything
    kernel = FakeKernel(refuse=-1, code=0, reason="")
    # when 200 requests are sent
    rtnetlink.send(kernel, [rtnetlink.link_state(n, True, "x") for n in range(200)], "here")  # type: ignore[arg-type]
    # then 64 share a call, and every one is acknowledged
    assert kernel.calls == 4
    assert kernel.answers == []


def test_an_interface_counts_as_ready_only_when_the_kernel_has_started_it() -> None:
    # given answers of the kernel: one interface up, one with carrier but not started yet (lower layer down)
    def link(name: str, state: int) -> bytes:
        words = name.encode() + b"\0"
        text = struct.pack("=HH", 4 + len(words), 3) + words + b"\0" * (-len(words) % 4)
        body = struct.pack("=BxHiII", 0, 1, 2, 0x11043, 0) + text + struct.pack("=HHBxxx", 5, 16, state)
        return struct.pack("=IHHII", 16 + len(body), 16, 2, 0, 0) + body

    class Kernel:
        answers: ClassVar[list[bytes]] = [
            link("eth0", 6),
            link("eth1", 3) + struct.pack("=IHHIIi", 20, 3, 2, 0, 0, 0),
        ]

        def send(self, _: bytes) -> None:
            pass

        def recv(self, _: int) -> bytes:
            return self.answers.pop(0)

    # then only the first is
    assert rtnetlink.operational(Kernel()) == {"eth0": True, "eth1": False}  # type: ignore[arg-type]


def test_a_thread_is_back_in_its_namespace_after_an_error_inside() -> None:
    # given a namespace: the one that this thread is in, under another name
    home = os.stat("/proc/thread-self/ns/net").st_ino
    if os.geteuid() != 0:
        pytest.skip("setns(2) needs root")
    here = netns.current("here")
    # when something fails inside
    with pytest.raises(ZeroDivisionError), netns.entered(here):
        _ = 1 / 0
    # then the thread is where it was
    assert os.stat("/proc/thread-self/ns/net").st_ino == home
    with here.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert sock.family == socket.AF_INET
    netns.let_go(here)


@pytest.mark.req("V2")
def test_all_connections_are_forgotten_with_one_message() -> None:
    length, kind, flags, _, _ = struct.unpack_from("=IHHII", conntrack.delete_all())
    assert (length, kind, flags) == (len(conntrack.delete_all()), 1 << 8 | 2, 0x5)
    # no filter follows the header of the family
    assert conntrack.delete_all()[16:] == bytes([socket.AF_INET, 0, 0, 0])


@pytest.mark.req("V2", "N5")
def test_a_device_that_chooses_its_default_route_itself_gets_back_only_the_others() -> None:
    settings = NodeSettings((), (("0.0.0.0/0", "203.0.113.1", 0), ("10.0.0.0/8", "10.0.0.2", 0)))
    assert veth.without_defaults(settings).routes == (("10.0.0.0/8", "10.0.0.2", 0),)
