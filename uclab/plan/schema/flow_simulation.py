"""What flows do with a frame, without a switch: the plan's paths and the tests see where it goes, and what it
looks like there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network
from operator import attrgetter
from typing import Any

from uclab.plan.schema.flows import ANY_VLAN, IPV4, MPLS, UNTAGGED, FlowAction, Match, SwitchFlow


@dataclass(frozen=True)
class Tag:
    """A VLAN tag."""

    protocol: int
    vlan: int
    pcp: int = 0


@dataclass(frozen=True)
class Frame:
    """An Ethernet frame as far as flows look at it."""

    payload: int = IPV4
    """EtherType of what is behind tags and label."""
    dscp: int | None = None
    tags: tuple[Tag, ...] = ()
    """The outermost first."""
    label: int | None = None
    tc: int | None = None
    eth_src: str = ""
    eth_dst: str = ""
    ip_proto: int | None = None
    ipv4_src: str | None = None
    ipv4_dst: str | None = None
    udp_src: int | None = None
    udp_dst: int | None = None
    tcp_dst: int | None = None
    icmpv6_type: int | None = None
    arp_sha: str | None = None
    arp_spa: str | None = None
    arp_tpa: str | None = None

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__dataclass_fields__))

    def __hash__(self) -> int:
        """Worked out once: frames are looked up at every table of every switch."""
        return self._hash

    @property
    def eth_type(self) -> int:
        """What follows the tags."""
        return self.payload if self.label is None else MPLS

    @property
    def vlan(self) -> int | None:
        """VLAN id of the outermost tag; None where there is none."""
        return self.tags[0].vlan if self.tags else None

    @property
    def pcp(self) -> int | None:
        """802.1p priority of the outermost tag; None where there is none."""
        return self.tags[0].pcp if self.tags else None

    @property
    def visible_dscp(self) -> int | None:
        """The DSCP where a flow can see it: behind no label."""
        return self.dscp if self.label is None else None

    def vlan_of(self, protocol: int) -> int | None:
        """VLAN id of the tag of that kind."""
        return next((tag.vlan for tag in self.tags if tag.protocol == protocol), None)


def forward(flows: Iterable[SwitchFlow], in_port: int, frame: Frame) -> tuple[int, Frame] | None:
    """The port by which a frame leaves a switch with these flows, and what it is then; None where no flow
    matches."""
    fitting = [flow for flow in flows if flow.match.in_port in (None, in_port) and fits(flow.match, frame)]
    best = max(fitting, key=lambda flow: flow.priority, default=None)
    if best is None:
        return None
    for action in best.actions:
        frame = changed(frame, action)
    return best.out_port, frame


@lru_cache(maxsize=1 << 16)
def changed(frame: Frame, action: FlowAction) -> Frame:
    """The frame after an action that changes it. AssertionError for what no switch could do."""
    kind, value = action.kind, action.value
    if kind == "push-vlan":
        return replace(frame, tags=(Tag(value, 0), *frame.tags))
    if kind in ("pop-vlan", "set-vlan", "set-pcp"):
        assert frame.tags, f"{action} without a tag"
        outer, *inner = frame.tags
        if kind == "pop-vlan":
            return replace(frame, tags=tuple(inner))
        outer = replace(outer, vlan=value) if kind == "set-vlan" else replace(outer, pcp=value)
        return replace(frame, tags=(outer, *inner))
    if kind == "set-dscp":
        assert frame.visible_dscp is not None, "sets the DSCP of what has none"
        return replace(frame, dscp=value)
    if kind == "push-mpls":
        return replace(frame, label=0, tc=0)
    assert frame.label is not None, f"{action} without a label"
    match kind:
        case "pop-mpls":
            return replace(frame, label=None, tc=None, payload=value)
        case "set-label":
            return replace(frame, label=value)
        case "set-tc":
            return replace(frame, tc=value)
    raise AssertionError(f"{action} does not change a frame")


Check = Callable[[Frame], bool]


def fits(match: Match, frame: Frame) -> bool:
    """Whether a frame is one that a flow applies to, whatever its port."""
    return check_of(match)(frame)


@lru_cache(maxsize=1 << 16)
def check_of(match: Match) -> Check:
    """The same for many frames: the fields that must be equal in one go, then what needs arithmetic.
    OpenFlow's prerequisites are the switch's business."""
    wanted: dict[str, Any] = {
        "eth_src": match.eth_src,
        "eth_type": match.eth_type,
        "ip_proto": match.ip_proto,
        "visible_dscp": match.ip_dscp,
        "udp_src": match.udp_src,
        "icmpv6_type": match.icmpv6_type,
        "arp_sha": match.arp_sha,
        "pcp": match.pcp,
        "label": match.mpls_label,
        "tc": match.mpls_tc,
    }
    exact = {name: value for name, value in wanted.items() if value is not None}
    checks: list[Check] = []
    if match.vlan == UNTAGGED:
        exact["vlan"] = None
    elif match.vlan == ANY_VLAN:
        checks.append(lambda frame: bool(frame.tags))
    elif match.vlan is not None:
        exact["vlan"] = match.vlan
    if (mac := match.eth_dst) is not None:
        if "/" in mac:
            checks.append(lambda frame: _mac_matches(mac, frame.eth_dst))
        else:
            exact["eth_dst"] = mac
    if (udp := match.udp_dst) is not None:
        checks.append(lambda frame: _bits_match(udp, frame.udp_dst))
    if (tcp := match.tcp_dst) is not None:
        checks.append(lambda frame: _bits_match(tcp, frame.tcp_dst))
    prefixes = ("arp_spa", "arp_tpa", "ipv4_src", "ipv4_dst")
    checks += [
        _prefix_check(name, prefix) for name in prefixes if (prefix := getattr(match, name)) is not None
    ]
    equal = _equal(exact)
    return lambda frame: equal(frame) and all(check(frame) for check in checks)


def _equal(exact: dict[str, Any]) -> Check:
    """Whether all these fields of a frame have these values."""
    if not exact:
        return lambda _: True
    read = attrgetter(*exact)
    values = tuple(exact.values()) if len(exact) > 1 else next(iter(exact.values()))
    return lambda frame: bool(read(frame) == values)


def _prefix_check(name: str, prefix: str) -> Check:
    """Whether an address of a frame is in a network."""
    network, read = IPv4Network(prefix), attrgetter(name)
    return lambda frame: read(frame) is not None and IPv4Address(read(frame)) in network


@lru_cache(maxsize=4096)
def _mac(text: str) -> int:
    return int(text.replace(":", ""), 16)


def _mac_matches(wanted: str, found: str) -> bool:
    """Whether a MAC address has the bits of `address/mask`."""
    address, _, mask = wanted.partition("/")
    return _mac(found) & _mac(mask) == _mac(address)


def _bits_match(wanted: tuple[int, int], found: int | None) -> bool:
    return found is not None and found & wanted[1] == wanted[0]
