"""Messages on the wire are what the rules say: read back with os-ken's own parser."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from os_ken.ofproto import ofproto_parser
from os_ken.ofproto import ofproto_v1_3 as ofp

from controllers import openflow
from controllers.fabric import compile_fabric
from controllers.flows import Change, FlowRule, FlowTable, Purpose, Table, difference
from testbed.fabrics import enterprise

COMPILED = compile_fabric(enterprise())
ACCESS = COMPILED.tables[5]


def parsed(message: openflow.Message, xid: int = 7) -> Any:
    data = message.numbered(xid)
    version, kind, length, number = struct.unpack_from("!BBHI", data)
    assert (length, number) == (len(data), xid)
    return ofproto_parser.msg(openflow.PROTOCOL, version, kind, length, number, data)


@pytest.mark.req("D2")
def test_every_rule_of_a_table_becomes_one_flow_modification_with_its_purpose_and_generation() -> None:
    messages = [m for m in openflow.table_messages(ACCESS, 0x1234) if isinstance(m.about, FlowRule)]
    assert len(messages) == len(ACCESS.rules)
    for message in messages:
        flow, rule = parsed(message), message.about
        assert isinstance(rule, FlowRule)
        assert flow.cookie >> openflow.PURPOSE_BITS == 0x1234
        assert openflow.purpose_of(flow.cookie) is rule.purpose
        assert (flow.table_id, flow.priority, flow.command) == (rule.table, rule.priority, ofp.OFPFC_ADD)
        assert (flow.idle_timeout, flow.hard_timeout) == (0, 0)


def test_what_an_earlier_controller_left_is_deleted_by_every_bit_in_which_its_generation_differs() -> None:
    generation, deletions = 0b1010, []
    for message in openflow.table_messages(COMPILED.tables[1], generation):
        flow = parsed(message)
        if getattr(flow, "command", None) == ofp.OFPFC_DELETE and flow.msg_type == ofp.OFPT_FLOW_MOD:
            deletions.append(
                (flow.cookie >> openflow.PURPOSE_BITS, flow.cookie_mask >> openflow.PURPOSE_BITS)
            )
    assert not any(generation & mask == cookie for cookie, mask in deletions)
    for earlier in (0b1011, 0b0010, 0, (1 << openflow.GENERATION_BITS) - 1):
        assert any(earlier & mask == cookie for cookie, mask in deletions)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (FlowTable(), ACCESS, [ofp.OFPT_METER_MOD, ofp.OFPT_GROUP_MOD, ofp.OFPT_FLOW_MOD]),
        (ACCESS, FlowTable(), [ofp.OFPT_FLOW_MOD, ofp.OFPT_GROUP_MOD, ofp.OFPT_METER_MOD]),
    ],
    ids=["making", "deleting"],
)
def test_groups_and_meters_come_before_the_rules_that_use_them_and_go_after(
    old: FlowTable, new: FlowTable, expected: list[int]
) -> None:
    kinds = [message.data[1] for message in openflow.change_messages(difference(old, new), 1)]
    assert list(dict.fromkeys(kinds)) == expected
    assert kinds == sorted(kinds, key=expected.index)


def test_a_deleted_group_is_named_without_buckets() -> None:
    """Open vSwitch 3.1 refuses a deletion that lists them (OFPGMFC_INVALID_GROUP)."""
    group = next(iter(COMPILED.tables[1].groups))
    (message,) = openflow.change_messages(Change(delete_groups=(group,)), 1)
    assert len(message.data) == 16


def test_only_that_something_was_there_already_is_harmless() -> None:
    assert openflow.is_harmless(ofp.OFPET_GROUP_MOD_FAILED, ofp.OFPGMFC_GROUP_EXISTS)
    assert not openflow.is_harmless(ofp.OFPET_GROUP_MOD_FAILED, ofp.OFPGMFC_INVALID_GROUP)
    assert not openflow.is_harmless(ofp.OFPET_FLOW_MOD_FAILED, 0)


def test_reports_carry_why() -> None:
    reporting = {
        rule.purpose for rule in ACCESS.rules if rule.table in (Table.PORTS, Table.SECURITY, Table.FILTER)
    }
    assert {Purpose.PORT_SECURITY, Purpose.VLAN_FILTER, Purpose.ARP_FILTER, Purpose.FRAME_FILTER} <= reporting
