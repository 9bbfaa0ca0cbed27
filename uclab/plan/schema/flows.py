"""The vocabulary of flows, for all switches: those that a controller programs (`controllers.flows` adds
tables, groups and meters) and those that neither learn nor have one.

It is OpenFlow 1.3's (ONF TS-012). A flow's actions are done in order. `uclab.plan.schema.flow_simulation`
says what becomes of a frame, without a switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

IPV4, ARP = 0x0800, 0x0806
CUSTOMER_TAG, SERVICE_TAG = 0x8100, 0x88A8
"""Tag protocol identifiers of IEEE 802.1Q: of a customer's tag (C-tag) and of a service tag (S-tag)."""
MPLS = 0x8847
"""EtherType of unicast MPLS (RFC 5332)."""

UNTAGGED = 0
"""`Match.vlan` of frames without an 802.1Q tag."""
ANY_VLAN = -1
"""`Match.vlan` of frames with a tag, whatever its VLAN."""


@dataclass(frozen=True)
class Match:
    """What a flow applies to; None means any. A MAC address may carry a mask, `address/mask`."""

    in_port: int | None = None
    vlan: int | None = None
    """VLAN id of the outermost tag, `UNTAGGED` or `ANY_VLAN`."""
    eth_src: str | None = None
    eth_dst: str | None = None
    eth_type: int | None = None
    """What follows the tags."""
    ip_proto: int | None = None
    ip_dscp: int | None = None
    ipv4_src: str | None = None
    """Prefix in CIDR form."""
    ipv4_dst: str | None = None
    """Prefix in CIDR form."""
    udp_src: int | None = None
    udp_dst: tuple[int, int] | None = None
    """Port and mask."""
    tcp_dst: tuple[int, int] | None = None
    icmpv6_type: int | None = None
    arp_sha: str | None = None
    arp_spa: str | None = None
    """Address or prefix."""
    arp_tpa: str | None = None
    """Address or prefix."""
    pcp: int | None = None
    """802.1p priority of the outermost tag."""
    mpls_label: int | None = None
    mpls_tc: int | None = None


ActionKind = Literal[
    "push-vlan", "pop-vlan", "set-vlan", "set-pcp", "push-mpls", "pop-mpls", "set-label", "set-tc",
    "set-dscp", "set-in-port", "output", "group", "controller",
]  # fmt: skip


@dataclass(frozen=True)
class FlowAction:
    """One thing done with a frame. `value`: the EtherType of the tag or label for a push, of what is left
    behind for `pop-mpls`; the port of `output` and `set-in-port`, the number of a `group`, the bytes of a
    frame that the `controller` gets; else the new value. `set-vlan` and `set-pcp` change the outermost
    tag."""

    kind: ActionKind
    value: int = 0


def output(port: int) -> FlowAction:
    """Send out of a port; nothing happens where that is the `in_port` (OpenFlow 1.3 section 5.12)."""
    return FlowAction("output", port)


def push_tag(vlan: int, protocol: int = CUSTOMER_TAG) -> tuple[FlowAction, FlowAction]:
    """Put a tag of this VLAN in front, with priority 0."""
    return FlowAction("push-vlan", protocol), FlowAction("set-vlan", vlan)


def set_vlan(vlan: int) -> FlowAction:
    """Change the VLAN in the tag; its priority stays."""
    return FlowAction("set-vlan", vlan)


def set_pcp(pcp: int) -> FlowAction:
    """Set the 802.1p priority in the tag, 0..7."""
    return FlowAction("set-pcp", pcp)


def set_dscp(dscp: int) -> FlowAction:
    """Set the differentiated services code point, 0..63."""
    return FlowAction("set-dscp", dscp)


POP_TAG = FlowAction("pop-vlan")
"""Take the outermost tag off."""


@dataclass(frozen=True)
class SwitchFlow:
    """A flow of a switch with one table and no controller: frames that match go through `actions` and leave
    by `out_port`; the highest priority that matches decides."""

    priority: int
    out_port: int
    match: Match = Match()
    actions: tuple[FlowAction, ...] = ()


def words(flow: SwitchFlow) -> str:
    """A flow on one line, e.g. `10 in 1 type 0x8847 label 102 tc 5: pop-mpls 0x0800, out 3`."""
    match = flow.match
    fields = (("in", match.in_port), ("type", match.eth_type), ("vlan", match.vlan), ("pcp", match.pcp),
              ("dscp", match.ip_dscp), ("label", match.mpls_label), ("tc", match.mpls_tc))  # fmt: skip
    matched = [f"{name} {_number(value)}" for name, value in fields if value is not None]
    done = [a.kind if a == POP_TAG else f"{a.kind} {_number(a.value)}" for a in flow.actions]
    return f"{' '.join([str(flow.priority), *matched])}: " + ", ".join([*done, f"out {flow.out_port}"])


def _number(value: int) -> str:
    return f"{value:#06x}" if value in (IPV4, ARP, CUSTOMER_TAG, SERVICE_TAG, MPLS) else str(value)
