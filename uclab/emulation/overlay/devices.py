"""Tunnel interfaces and the routing tables that marked packets are looked up in.

The interfaces are there before the program behind them (persistent TAP, Linux' tuntap.rst): addresses and
routes are set and captures started like those of any interface, and OpenVPN needs no privilege to attach.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable
from ipaddress import IPv4Interface

from pyroute2 import IPRoute

from uclab.emulation.link.cabling import LabIntf
from uclab.emulation.linux import netns
from uclab.emulation.mininet.hosts import LabHost
from uclab.emulation.mininet.network import LabNet
from uclab.plan.schema.overlay import FIRST_TABLE, MTU, Overlay, TunnelEnd
from uclab.plan.schema.plan import Plan

TUN = "/dev/net/tun"
_TUNSETIFF, _TUNSETPERSIST, _TUNSETIFINDEX = 0x400454CA, 0x400454CB, 0x400454DA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
DEFAULT = "0.0.0.0/0"


def register(net: LabNet, plan: Plan) -> None:
    """The plan's tunnel interfaces as Mininet objects, so that they get addresses and routes like all
    others."""
    for end in ends(plan):
        interface = LabIntf(end.interface, net[end.device], mac=end.mac, moveIntfFn=_stays)
        interface.setIP(end.address)


def _stays(*_: object) -> None:
    """Mininet would move a new interface to its node's namespace; this one is made there."""


def ends(plan: Plan) -> Iterable[TunnelEnd]:
    """Both ends of every tunnel."""
    for overlay in plan.overlays:
        for tunnel in overlay.tunnels:
            yield from (tunnel.near, tunnel.far)


def make_interfaces(host: LabHost, ends: Iterable[TunnelEnd]) -> None:
    """Make a device's tunnel interfaces."""
    with netns.entered(host.live_namespace()), IPRoute() as kernel:
        for end in ends:
            index = next(intf.index for intf in host.intfList() if intf.name == end.interface)
            _make(end.interface, index)
            kernel.link("set", index=index, address=end.mac, mtu=MTU)


def _make(name: str, index: int) -> None:
    """A persistent TAP interface in the calling thread's namespace."""
    descriptor = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFINDEX, struct.pack("I", index))
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
    finally:
        os.close(descriptor)


def route_by_mark(host: LabHost, plan: Plan) -> None:
    """Packets with a tunnel's mark are looked up in its own table: the site's default route there, the way
    back to the site at the gateway."""
    prefixes = {o.site: [v.subnet for v in plan.vlans if v.site == o.site] for o in plan.overlays}
    with netns.entered(host.live_namespace()), IPRoute() as kernel:
        for overlay, mark, own, other, outwards in _here(host.name, plan):
            table = FIRST_TABLE + mark
            index = next(intf.index for intf in host.intfList() if intf.name == own.interface)
            for prefix in [DEFAULT] if outwards else prefixes[overlay.site]:
                gateway = str(IPv4Interface(other.address).ip)
                kernel.route("replace", dst=prefix, gateway=gateway, oif=index, table=table)
            kernel.rule("add", fwmark=mark, table=table, priority=table)


def _here(device: str, plan: Plan) -> Iterable[tuple[Overlay, int, TunnelEnd, TunnelEnd, bool]]:
    """(Overlay, mark, own end, other end, whether the site is here) of each tunnel at a device."""
    for overlay in plan.overlays:
        for tunnel in overlay.tunnels:
            if tunnel.near.device == device:
                yield overlay, tunnel.mark, tunnel.near, tunnel.far, True
            elif tunnel.far.device == device:
                yield overlay, tunnel.mark, tunnel.far, tunnel.near, False
