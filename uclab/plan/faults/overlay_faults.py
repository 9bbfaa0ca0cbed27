"""Deliberate faults of overlays (W6)."""

from __future__ import annotations

from dataclasses import replace

from uclab.plan.resolve.plan_edits import with_node
from uclab.plan.schema.fault import pick, registered
from uclab.plan.schema.overlay import Overlay
from uclab.plan.schema.plan import LinkEnd, Plan

SLOW_MS = 160.0
"""More than any call bears one way (ITU-T G.114: 150 ms)."""
NEVER_S = 86400.0


@registered(
    "overlay-unmarked",
    "a site's edge does not copy DSCP to the outer header of its tunnels",
    "qos.overlay",
    may_break=("quality.overload", "audio.heard", "signalling.registered", "message.delivered"),
    blames="edge",
    topology="sd-wan",
)
def unmarked(plan: Plan, target: str | None) -> Plan:
    """A site's edge does not copy DSCP outwards. `target` is a site's router with tunnels.

    Signalling loses its class too: on a full line a phone may lose its registration.
    """
    overlay = _overlay(plan, target)
    tunnels = tuple(replace(t, near=replace(t.near, copies_dscp=False)) for t in overlay.tunnels)
    return _with(plan, replace(overlay, tunnels=tunnels))


@registered(
    "steering-stuck",
    "the SD-WAN's controller does not move traffic, and the preferred path has become slow",
    "sdwan.steering",
    "quality.voice",
    may_break=("quality.overload",),
    blames="sdwan-controller",
    topology="sd-wan",
)
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
    return pick({overlay.edge: overlay for overlay in plan.overlays}, target, "SD-WAN edge")


def _with(plan: Plan, changed: Overlay) -> Plan:
    return replace(plan, overlays=tuple(changed if o.site == changed.site else o for o in plan.overlays))
