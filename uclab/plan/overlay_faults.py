"""Deliberate faults of overlays (W6); `uclab.plan.faults` has their names and what they break."""

from __future__ import annotations

from dataclasses import replace

from uclab.plan.changes import with_node
from uclab.plan.overlay import Overlay
from uclab.plan.types import LinkEnd, Plan

SLOW_MS = 160.0
"""More than any call bears one way (ITU-T G.114: 150 ms)."""
NEVER_S = 86400.0


def unmarked(plan: Plan, target: str | None) -> Plan:
    """A site's edge does not copy DSCP outwards. `target` is a site's router with tunnels."""
    overlay = _overlay(plan, target)
    tunnels = tuple(replace(t, near=replace(t.near, copies_dscp=False)) for t in overlay.tunnels)
    return _with(plan, replace(overlay, tunnels=tunnels))


def stuck(plan: Plan, target: str | None) -> Plan:
    """The controller never leaves a path, and the preferred line is slower than calls bear, both ways."""
    overlay = _overlay(plan, target)
    near = LinkEnd(overlay.edge, overlay.tunnels[0].near.underlay)
    far = next(link.b if link.a == near else link.a for link in plan.links if near in (link.a, link.b))
    for end in (near, far):
        node = plan.node(end.device)
        slow = tuple(
            replace(line, delay_ms=line.delay_ms + SLOW_MS) if line.interface == end.interface else line
            for line in node.impairments
        )
        plan = with_node(plan, replace(node, impairments=slow))
    return _with(plan, replace(overlay, rules=replace(overlay.rules, leave_after_s=NEVER_S)))


def _overlay(plan: Plan, target: str | None) -> Overlay:
    edges = {overlay.edge: overlay for overlay in plan.overlays}
    if target is None and edges:
        return plan.overlays[0]
    if target is None or target not in edges:
        raise KeyError(f"no SD-WAN edge {target or ''}".strip() + f"; there is {', '.join(edges) or 'none'}")
    return edges[target]


def _with(plan: Plan, changed: Overlay) -> Plan:
    return replace(plan, overlays=tuple(changed if o.site == changed.site else o for o in plan.overlays))
