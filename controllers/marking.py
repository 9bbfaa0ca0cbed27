"""Trust boundary and priority tags: the DSCP and 802.1p with which a packet enters the fabric (C8, Q1).

The values come from the policy: ordered classes, first match wins, what none matches gets the default.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from controllers.flows import FlowRule, Table
from controllers.ingress_filter import IPV4, IPV6, UDP
from uclab.plan.schema.flows import ANY_VLAN, Match, set_dscp, set_pcp
from uclab.plan.schema.plan import MarkingRule, Policy

TCP = 6
TOP_PRIORITY = 1000
"""Of the policy's first rule; the following ones count down."""


def port_masks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The fewest (value, mask) pairs that cover a range of ports: OpenFlow matches bits, not ranges."""
    while first <= last:
        size = first & -first or 1 << 16
        while first + size - 1 > last:
            size >>= 1
        yield first, 0xFFFF & ~(size - 1)
        first += size


@lru_cache(maxsize=16)
def marking_rules(policy: Policy) -> frozenset[FlowRule]:
    """The tables `TRUSTED` and `UNTRUSTED`, the same on every switch with edge ports."""
    return frozenset(_trust_boundary(policy))


def _trust_boundary(policy: Policy) -> Iterator[FlowRule]:
    for eth_type in (IPV4, IPV6):
        for dscp in sorted({rule.set_dscp for rule in policy.rules}):
            match = Match(eth_type=eth_type, ip_dscp=dscp)
            yield FlowRule(Table.TRUSTED, TOP_PRIORITY + 1, match, goto=Table.PRIORITY)
    for number, rule in enumerate(policy.rules):
        yield from _class_rules(Table.TRUSTED, TOP_PRIORITY - number, rule, policy, believe_dscp=True)
        if policy.open_to_untrusted(rule.traffic_class):
            yield from _class_rules(Table.UNTRUSTED, TOP_PRIORITY - number, rule, policy, believe_dscp=False)
    for table in (Table.TRUSTED, Table.UNTRUSTED):
        for eth_type in (IPV4, IPV6):
            default = (set_dscp(policy.default_dscp),)
            yield FlowRule(table, 1, Match(eth_type=eth_type), default, goto=Table.PRIORITY)
        yield FlowRule(table, 0, Match(), goto=Table.PRIORITY)


def priority_rules(policy: Policy) -> Iterator[FlowRule]:
    """The table `PRIORITY`: 802.1p from DSCP; what has no mapping, or no DSCP, gets 0."""
    for dscp, pcp in policy.dscp_to_pcp:
        for eth_type in (IPV4, IPV6):
            match = Match(vlan=ANY_VLAN, eth_type=eth_type, ip_dscp=dscp)
            yield FlowRule(Table.PRIORITY, 10, match, (set_pcp(pcp),), goto=Table.FORWARD)
    yield FlowRule(Table.PRIORITY, 0, Match(vlan=ANY_VLAN), (set_pcp(0),), goto=Table.FORWARD)


def _class_rules(
    table: Table, priority: int, rule: MarkingRule, policy: Policy, *, believe_dscp: bool
) -> Iterator[FlowRule]:
    mark = (set_dscp(rule.set_dscp),)
    for prefix in (None,) if rule.any_destination else policy.cloud_prefixes:
        matches = {
            Match(eth_type=IPV4, ip_proto=UDP, ipv4_dst=prefix, udp_dst=ports)
            for port_range in rule.udp_ports
            for ports in port_masks(*port_range)
        } | {
            Match(eth_type=IPV4, ip_proto=TCP, ipv4_dst=prefix, tcp_dst=ports)
            for port_range in rule.tcp_ports
            for ports in port_masks(*port_range)
        }
        if believe_dscp:
            matches |= {Match(eth_type=IPV4, ipv4_dst=prefix, ip_dscp=dscp) for dscp in rule.dscps}
        for match in matches:
            yield FlowRule(table, priority, match, mark, goto=Table.PRIORITY)
