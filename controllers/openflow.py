"""Flow rules on the wire: OpenFlow 1.3 messages made with os-ken, and the reports that switches send.

Messages of one order are sent as one block of bytes that ends with a barrier. The same rule on another
switch costs nothing: its bytes are kept, only the transaction number and the cookie are put in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from os_ken.ofproto import ofproto_v1_3 as ofp
from os_ken.ofproto import ofproto_v1_3_parser as parser
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from controllers.flows import Change, FlowRule, FlowTable, GroupRule, MeterRule, Purpose, RateUnit
from uclab.plan.schema.flows import ANY_VLAN, UNTAGGED, FlowAction, Match

PROTOCOL = ProtocolDesc(ofp.OFP_VERSION)
"""Stands in for a connection while messages are made."""
HEADER_XID = 4
"""Offset of the transaction number in every message."""
FLOW_COOKIE = 8
"""Offset of the cookie in a flow modification."""
PURPOSE_BITS = 8
BURSTS_PER_SECOND = 10
"""A meter in kbit/s lets 100 ms of its rate pass at once."""
SMALLEST_BURST_KBIT = 25
"""Two frames of 1500 bytes, or nothing of that size would ever pass a slow meter."""
GENERATION_BITS = 20


@dataclass(frozen=True)
class Message:
    """A message without its transaction number, and what it is about, should the switch refuse it."""

    data: bytes
    about: object

    def numbered(self, xid: int) -> bytes:
        """Ready to be sent."""
        return self.data[:HEADER_XID] + struct.pack("!I", xid) + self.data[HEADER_XID + 4 :]


def change_messages(change: Change, generation: int) -> Iterator[Message]:
    """A change in the order that a switch accepts: what rules refer to comes before and goes after them."""
    for meter in change.add_meters:
        yield _meter(meter, ofp.OFPMC_ADD)
    for meter in change.modify_meters:
        yield _meter(meter, ofp.OFPMC_MODIFY)
    for group in change.add_groups:
        yield _group(group, ofp.OFPGC_ADD)
    for group in change.modify_groups:
        yield _group(group, ofp.OFPGC_MODIFY)
    for rule in change.set_rules:
        yield _with_cookie(_flow(rule, ofp.OFPFC_ADD), rule, generation)
    for rule in change.delete_rules:
        yield _flow(rule, ofp.OFPFC_DELETE_STRICT)
    for group in change.delete_groups:
        yield _group(group, ofp.OFPGC_DELETE)
    for meter in change.delete_meters:
        yield _meter(meter, ofp.OFPMC_DELETE)


def table_messages(table: FlowTable, generation: int) -> Iterator[Message]:
    """A whole table for a switch that may hold anything: put all in, then delete what is of another time.

    Groups and meters are added and then modified: whichever of the two was needed (see `is_harmless`).
    """
    meters, groups = tuple(table.meters), tuple(table.groups)
    yield from change_messages(
        Change(tuple(table.rules), (), groups, groups, (), meters, meters, ()), generation
    )
    for bit in range(GENERATION_BITS):
        mask = 1 << bit
        yield _delete_by_cookie(~generation & mask, mask)


def barrier() -> Message:
    """Asks the switch to say when it has done everything before it."""
    return Message(_bytes(parser.OFPBarrierRequest(PROTOCOL)), "barrier")


def is_harmless(error_type: int, code: int) -> bool:
    """Whether an error only says that a group or meter of `table_messages` was there already."""
    return (error_type, code) in (
        (ofp.OFPET_GROUP_MOD_FAILED, ofp.OFPGMFC_GROUP_EXISTS),
        (ofp.OFPET_METER_MOD_FAILED, ofp.OFPMMFC_METER_EXISTS),
    )


def purpose_of(cookie: int) -> Purpose:
    """Why a switch reported a frame: from the cookie of the rule that did it."""
    return Purpose(cookie & (1 << PURPOSE_BITS) - 1)


def is_live(port: Any) -> bool:
    """Whether a port (OpenFlow `ofp_port`) has its link."""
    return not port.state & ofp.OFPPS_LINK_DOWN and not port.config & ofp.OFPPC_PORT_DOWN


def _with_cookie(message: Message, rule: FlowRule, generation: int) -> Message:
    cookie = struct.pack("!Q", generation << PURPOSE_BITS | rule.purpose)
    return Message(message.data[:FLOW_COOKIE] + cookie + message.data[FLOW_COOKIE + 8 :], message.about)


def _bytes(message: Any) -> bytes:
    message.xid = 0
    message.serialize()
    return bytes(message.buf)


@lru_cache(maxsize=65536)
def _flow(rule: FlowRule, command: int) -> Message:
    instructions = []
    if command == ofp.OFPFC_ADD:
        if rule.meter is not None:
            instructions.append(parser.OFPInstructionMeter(rule.meter))
        if rule.actions:
            actions = [_action(action) for action in rule.actions]
            instructions.append(parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions))
        if rule.goto is not None:
            instructions.append(parser.OFPInstructionGotoTable(rule.goto))
    flow_mod = parser.OFPFlowMod(
        PROTOCOL,
        table_id=rule.table,
        command=command,
        priority=rule.priority,
        out_port=ofp.OFPP_ANY,
        out_group=ofp.OFPG_ANY,
        match=_match(rule.match),
        instructions=instructions,
    )
    return Message(_bytes(flow_mod), rule)


@lru_cache(maxsize=4 * GENERATION_BITS)
def _delete_by_cookie(cookie: int, mask: int) -> Message:
    flow_mod = parser.OFPFlowMod(
        PROTOCOL,
        cookie=cookie << PURPOSE_BITS,
        cookie_mask=mask << PURPOSE_BITS,
        table_id=ofp.OFPTT_ALL,
        command=ofp.OFPFC_DELETE,
        out_port=ofp.OFPP_ANY,
        out_group=ofp.OFPG_ANY,
        match=parser.OFPMatch(),
    )
    return Message(_bytes(flow_mod), "deletion of what an earlier controller left")


@lru_cache(maxsize=8192)
def _group(group: GroupRule, command: int) -> Message:
    buckets = [
        parser.OFPBucket(
            watch_port=bucket.watch_port,
            watch_group=ofp.OFPG_ANY,
            actions=[_action(action) for action in bucket.actions],
        )
        for bucket in (() if command == ofp.OFPGC_DELETE else group.buckets)
    ]
    return Message(_bytes(parser.OFPGroupMod(PROTOCOL, command, ofp.OFPGT_FF, group.id, buckets)), group)


@lru_cache(maxsize=8192)
def _meter(meter: MeterRule, command: int) -> Message:
    in_packets = meter.unit is RateUnit.PACKETS_PER_SECOND
    burst = meter.rate if in_packets else max(meter.rate // BURSTS_PER_SECOND, SMALLEST_BURST_KBIT)
    bands = [parser.OFPMeterBandDrop(rate=meter.rate, burst_size=burst)]
    flags = ofp.OFPMF_BURST | (ofp.OFPMF_PKTPS if in_packets else ofp.OFPMF_KBPS)
    return Message(_bytes(parser.OFPMeterMod(PROTOCOL, command, flags, meter.id, bands)), meter)


def _match(match: Match) -> Any:
    fields: dict[str, Any] = {
        "in_port": match.in_port,
        "eth_src": match.eth_src,
        "eth_type": match.eth_type,
        "ip_proto": match.ip_proto,
        "ip_dscp": match.ip_dscp,
        "udp_src": match.udp_src,
        "udp_dst": match.udp_dst,
        "tcp_dst": match.tcp_dst,
        "icmpv6_type": match.icmpv6_type,
        "arp_sha": match.arp_sha,
        "arp_spa": match.arp_spa,
        "arp_tpa": match.arp_tpa,
        "ipv4_src": match.ipv4_src,
        "ipv4_dst": match.ipv4_dst,
        "eth_dst": tuple(match.eth_dst.split("/"))
        if match.eth_dst and "/" in match.eth_dst
        else match.eth_dst,
    }
    if match.vlan == ANY_VLAN:
        fields["vlan_vid"] = (ofp.OFPVID_PRESENT, ofp.OFPVID_PRESENT)
    elif match.vlan is not None:
        fields["vlan_vid"] = ofp.OFPVID_NONE if match.vlan == UNTAGGED else ofp.OFPVID_PRESENT | match.vlan
    return parser.OFPMatch(**{name: value for name, value in fields.items() if value is not None})


def _action(action: FlowAction) -> Any:
    value = action.value
    match action.kind:
        case "push-vlan":
            return parser.OFPActionPushVlan(value)
        case "pop-vlan":
            return parser.OFPActionPopVlan()
        case "set-vlan":
            return parser.OFPActionSetField(vlan_vid=ofp.OFPVID_PRESENT | value)
        case "set-pcp":
            return parser.OFPActionSetField(vlan_pcp=value)
        case "set-dscp":
            return parser.OFPActionSetField(ip_dscp=value)
        case "set-in-port":
            return parser.OFPActionSetField(in_port_nxm=value)  # OVS refuses OpenFlow's own 32-bit field here
        case "output":
            return parser.OFPActionOutput(value)
        case "group":
            return parser.OFPActionGroup(value)
        case "controller":
            return parser.OFPActionOutput(ofp.OFPP_CONTROLLER, value)
        case _:
            raise ValueError(f"no fabric has flows with {action}")
