"""What a carrier's engineer can get wrong, as changes of a plan (W2, W3, Q1).

All are on the way from the site: an error on the return path too would take the classes away from BGP and BFD
behind the cloud's queue, and be another fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from uclab.plan.resolve.plan_edits import with_switch
from uclab.plan.schema.fault import registered
from uclab.plan.schema.flows import ARP, IPV4, SERVICE_TAG, FlowAction, SwitchFlow, set_pcp
from uclab.plan.schema.plan import Plan, Switch

LOWER = 1
"""By how much a shifted map is wrong."""


@registered(
    "mpls-map-shifted",
    "a carrier's edge gives each packet the traffic class below its own",
    "qos.mpls-tc",
    "qos.pcp",
    blames="mpls1-edge1",
    topology="mpls-branch",
)
def shifted_classes(plan: Plan, target: str | None) -> Plan:
    """An edge switch gives every packet the traffic class below its own."""

    def shifted(action: FlowAction) -> FlowAction:
        is_class = action.kind == "set-tc" and action.value
        return replace(action, value=action.value - LOWER) if is_class else action

    return _changed(plan, target, lambda flow: _pushes_label(flow, IPV4), shifted)


@registered(
    "service-tag-unmarked",
    "a carrier's edge does not copy the priority to the service tag",
    "qos.pcp",
    blames="metro1-edge1",
    topology="evpl-point-to-point",
)
def unmarked_service_tags(plan: Plan, target: str | None) -> Plan:
    """An edge switch does not copy the customer's priority to the service tag."""

    def unmarked(action: FlowAction) -> FlowAction:
        return set_pcp(0) if action.kind == "set-pcp" else action

    return _changed(plan, target, lambda flow: FlowAction("push-vlan", SERVICE_TAG) in flow.actions
                    and flow.match.eth_type != ARP, unmarked)  # fmt: skip


@registered(
    "labels-shared",
    "a carrier's edge gives two customers' circuits one label",
    "carrier.apart",
    blames="mpls1-edge1",
    topology="mpls-branch",
)
def shared_labels(plan: Plan, target: str | None) -> Plan:
    """An edge switch gives the other customer's IPv4 packets the label of ours, and the core sends both where
    ours go."""
    others = {chatter.source_node for chatter in plan.chatter}

    def is_others(switch: Switch, flow: SwitchFlow) -> bool:
        port = next((p for p in switch.ports if p.number == flow.match.in_port), None)
        return port is not None and port.peer in others and _pushes_label(flow, IPV4)

    for switch in plan.switches:
        theirs = [flow for flow in switch.flows if is_others(switch, flow)]
        ours = [f for f in switch.flows if _pushes_label(f, IPV4) and not is_others(switch, f)]
        if not theirs or target not in (None, switch.name):
            continue
        label = next(action for action in ours[0].actions if action.kind == "set-label")
        mixed = tuple(
            replace(flow, actions=tuple(label if a.kind == "set-label" else a for a in flow.actions))
            if flow in theirs
            else flow
            for flow in switch.flows
        )
        return with_switch(plan, replace(switch, flows=mixed))
    known = [s.name for s in plan.switches if any(is_others(s, flow) for flow in s.flows)]
    raise _nothing(target, "carrier's edge switch with another customer", known)


def _changed(
    plan: Plan,
    target: str | None,
    concerns: Callable[[SwitchFlow], bool],
    change: Callable[[FlowAction], FlowAction],
) -> Plan:
    """The first edge switch with such flows, or the one that is named, with their actions changed."""
    fitting = [switch for switch in plan.switches if any(map(concerns, switch.flows))]
    switch = next((s for s in fitting if target in (None, s.name)), None)
    if switch is None:
        raise _nothing(target, "carrier's edge switch", [s.name for s in fitting])
    flows = tuple(
        replace(flow, actions=tuple(map(change, flow.actions))) if concerns(flow) else flow
        for flow in switch.flows
    )
    return with_switch(plan, replace(switch, flows=flows))


def _pushes_label(flow: SwitchFlow, payload: int) -> bool:
    return flow.match.eth_type == payload and any(a.kind == "push-mpls" for a in flow.actions)


def _nothing(target: str | None, what: str, known: list[str]) -> KeyError:
    return KeyError(f"no {what} {target or ''}".strip() + f"; there is {', '.join(known) or 'none'}")
