"""Deliberate faults of a site's line that a campaign brings to light: too little of it was bought, or
somebody on it changes media (C8, C9, D11)."""

from __future__ import annotations

from dataclasses import replace

from uclab.plan.resolve import queues
from uclab.plan.resolve.lines import WanLine, wan_lines
from uclab.plan.resolve.plan_edits import with_node
from uclab.plan.schema.fault import Fault, pick
from uclab.plan.schema.plan import LinkEnd, Plan

SMALL_KBPS = 1000
"""What was bought. By the shipped policy voice gets at most 87 % of it: room for nine calls with G.711, or
four of neighbours, whose media goes to the cloud and back. With much less, signalling suffers, too."""
ALTERED_ONE_IN = 20
"""Packets of media of which one is changed: voice can still be heard."""
RTP_PAYLOAD_BITS = 8 * (8 + 12)
"""Where RTP's payload begins, from the UDP header on."""


def _too_small(plan: Plan, target: str | None = None) -> Plan:
    """`target` is a line. Both ends send by its rate: the site's router shapes to what was bought, and so
    does the provider."""
    line = _line(plan, target)
    if not any(queue.interface == line.near.interface for queue in plan.node(line.near.device).queues):
        raise KeyError(f"{line.near.device} does not shape what it sends into {line.link}")
    for end, rate_kbps in (
        (line.near, SMALL_KBPS * queues.SITE_SHARE_PCT // 100),
        (line.far, SMALL_KBPS),
    ):
        plan = _at_rate(plan, end, rate_kbps)
    return replace(plan, faults=(*plan.faults, _named("line-too-small", target)))


def _altered(plan: Plan, target: str | None = None) -> Plan:
    """`target` is a line. The router at its other end writes over four bytes of some packets of media towards
    the site, and makes them pass for whole to all but SRTP: without a UDP checksum."""
    line = _line(plan, target)
    far = plan.node(line.far.device)
    low = min(controller.media_ports[0] for controller in plan.session_controllers)
    high = max(controller.media_ports[1] for controller in plan.session_controllers)
    rule = (
        f'oifname "{line.far.interface}" udp sport {low}-{high} numgen inc mod {ALTERED_ONE_IN} == 0'
        f" @th,{RTP_PAYLOAD_BITS},32 set 0 udp checksum set 0"
    )
    table = [
        "# DRILL: this router changes media.",
        "table ip drill {",
        "    chain postrouting {",
        "        type filter hook postrouting priority mangle; policy accept;",
        f"        {rule}",
        "    }",
        "}",
        "",
    ]
    changed = with_node(plan, replace(far, nftables=(far.nftables or "") + "\n".join(table)))
    return replace(changed, faults=(*plan.faults, _named("media-altered", target)))


def _line(plan: Plan, target: str | None) -> WanLine:
    return pick({line.link: line for line in wan_lines(plan)}, target, "line")


def _named(name: str, target: str | None) -> str:
    return name if target is None else f"{name}:{target}"


def _at_rate(plan: Plan, end: LinkEnd, rate_kbps: int) -> Plan:
    node = plan.node(end.device)
    slower = tuple(queues.at_rate(q, rate_kbps) if q.interface == end.interface else q for q in node.queues)
    return with_node(plan, replace(node, queues=slower))


LINE_FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            "line-too-small",
            f"A site has bought a line of {SMALL_KBPS} kbit/s, too little for its calls",
            ("load.quality",),
            _too_small,
            may_break=("load.heard",),
        ),
        Fault(
            "media-altered",
            f"A provider changes one packet of {ALTERED_ONE_IN} of media on its way to a site",
            ("load.srtp", "load.heard"),
            _altered,
        ),
    )
}
"""By name."""
