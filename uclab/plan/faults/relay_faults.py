"""Deliberate faults of the media relay."""

from __future__ import annotations

from dataclasses import replace

from uclab.plan.resolve.plan_edits import with_node
from uclab.plan.schema.fault import pick, registered
from uclab.plan.schema.plan import Plan

RTCP = "udp dport >= 1024 @th,64,2 2 @th,72,8 >= 192 @th,72,8 <= 223"
"""RTCP in nftables' words: version 2 and a packet type of its range (RFC 5761 section 4)."""


@registered(
    "rtcp-unmarked",
    "the media relay marks RTP, but sends RTCP without DSCP",
    "qos.dscp",
    may_break=("qos.pcp", "qos.wmm", "qos.mpls-tc"),
    blames="fra1-sbc",
)
def _rtcp_unmarked(plan: Plan, target: str | None) -> Plan:
    """`target` is a session controller. A site's router gives what comes back the marking that its phones
    gave on the way out, so that the fault shows in front of it; elsewhere priorities follow."""
    nodes = {controller.name: plan.node(controller.node) for controller in plan.session_controllers}
    relay = pick(nodes, target, "session controller")
    rules = [
        "# DRILL: the relay's RTCP leaves unmarked.",
        "table ip drill {",
        "    chain output {",
        "        type filter hook output priority mangle; policy accept;",
        f"        {RTCP} ip dscp set 0",
        "    }",
        "}",
        "",
    ]
    return with_node(plan, replace(relay, nftables=(relay.nftables or "") + "\n".join(rules)))
